#include "hone/ir/einsum.h"

#include <algorithm>
#include <map>
#include <set>

#include "hone/support/error.h"

namespace hone::ir {
namespace {

constexpr std::string_view ellipsis = "...";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_open(const std::string& term) { return term.find(ellipsis) != std::string::npos; }

// Blanks may stand anywhere but within an ellipsis.
bool is_term(std::string_view text) {
  bool open = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (is_letter(text[i]) || text[i] == ' ') continue;
    if (open || text.substr(i, ellipsis.size()) != ellipsis) return false;
    open = true;
    i += ellipsis.size() - 1;
  }
  return true;
}

// An ellipsis stands for `hidden` dimensions.
EinsumEquation::Labels labels_of(const std::string& term, std::size_t hidden) {
  EinsumEquation::Labels labels;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (is_letter(term[i])) {
      labels.push_back(term[i]);
      continue;
    }
    for (std::size_t k = hidden; k-- > 0;) labels.push_back(256 + static_cast<int>(k));
    i += ellipsis.size() - 1;
  }
  return labels;
}

}  // namespace

EinsumEquation::EinsumEquation(std::string_view text) {
  const std::size_t arrow = text.find("->");
  const auto term = [&](std::string_view part) {
    if (!is_term(part))
      bad_input("{} is no equation of letters, commas, an ellipsis for each operand and '->'", quote(text));
    std::string plain(part);
    std::erase(plain, ' ');
    return plain;
  };
  std::string_view rest = text.substr(0, arrow);
  for (std::size_t comma = rest.find(','); comma != std::string_view::npos; comma = rest.find(',')) {
    operands_.push_back(term(rest.substr(0, comma)));
    rest.remove_prefix(comma + 1);
  }
  operands_.push_back(term(rest));
  if (arrow != std::string_view::npos) result_ = term(text.substr(arrow + 2));
}

EinsumEquation::Labelled EinsumEquation::label(std::span<const std::size_t> ranks) const {
  if (operands_.size() != ranks.size())
    bad_input("an equation of {} operands for {} inputs", operands_.size(), ranks.size());
  Labelled labelled;
  std::size_t widest = 0;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const bool open = is_open(operands_[i]);
    const std::size_t named = operands_[i].size() - (open ? ellipsis.size() : 0);
    if (open ? named > ranks[i] : named != ranks[i])
      bad_input("{} in the equation for an input of rank {}", quote(operands_[i]), ranks[i]);
    labelled.operands.push_back(labels_of(operands_[i], open ? ranks[i] - named : 0));
    if (open) widest = std::max(widest, ranks[i] - named);
  }
  if (result_) {
    labelled.result = labels_of(*result_, widest);
    if (std::set<int>(labelled.result.begin(), labelled.result.end()).size() != labelled.result.size())
      bad_input("a label twice in the result of the equation");
    return labelled;
  }
  std::map<int, int> counts;
  for (const Labels& labels : labelled.operands) {
    for (const int label : labels) ++counts[label];
  }
  for (std::size_t k = widest; k-- > 0;) labelled.result.push_back(256 + static_cast<int>(k));
  for (const auto& [label, count] : counts) {
    if (label < 256 && count == 1) labelled.result.push_back(label);
  }
  return labelled;
}

}  // namespace hone::ir
