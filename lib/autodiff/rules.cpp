#include <algorithm>
#include <map>

#include "autodiff/backward.h"
#include "hone/autodiff/gradient.h"

namespace hone::autodiff {

void from_input(Backward& back) {
  back.give(0, [&] {
    return back.own(back.node().op_type() + "Gradient", {back.gradient(), back.input(0)}, back.same_attributes());
  });
}

std::span<const std::span<const Operator>> all_rules() {
  static const std::vector<std::span<const Operator>> families = {
      arithmetic_rules(), activation_rules(), contraction_rules(), normalization_rules(), pooling_rules(),
      movement_rules(),   reduction_rules(),  random_rules(),      loss_rules(),
  };
  return families;
}

const Operator* find_rule(const ir::Node& node) {
  static const auto table = [] {
    std::map<std::pair<std::string_view, std::string_view>, const Operator*> result;
    for (const auto family : all_rules()) {
      for (const Operator& each : family) result.emplace(std::pair(each.domain, each.op_type), &each);
    }
    return result;
  }();
  const auto found = table.find({node.domain(), node.op_type()});
  return found == table.end() ? nullptr : found->second;
}

std::vector<std::string> differentiable_operators() {
  std::vector<std::string> names;
  for (const auto family : all_rules()) {
    for (const Operator& each : family) {
      if (each.domain.empty()) names.emplace_back(each.op_type);
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hone::autodiff
