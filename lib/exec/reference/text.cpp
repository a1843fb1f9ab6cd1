// Strings: StringConcat StringSplit StringNormalizer RegexFullMatch TfIdfVectorizer.
//
// Regular expressions are RE2's, whose time grows with the text alone. StringNormalizer changes the case of Latin, Greek
// and Cyrillic letters, whatever its locale says.
#include <re2/re2.h>

#include <map>
#include <set>
#include <unordered_map>

#include "exec/reference/broadcast.h"
#include "exec/reference/list.h"
#include "exec/string_list.h"
#include "hone/support/buffer.h"
#include "hone/support/error.h"

namespace hone::exec {
namespace {

// Far more than models of text make; an ONNX file holds eight times as much.
constexpr std::uint64_t most_text = std::uint64_t{1} << 28;

void string_concat(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(a, ir::ElementType::string, "the first input");
  require_type(b, ir::ElementType::string, "the second input");
  const ir::Dims dims = broadcast_dims(a.dims, b.dims);
  Array& out = context.output(0, ir::ElementType::string, dims);
  // Concatenations that each double the text of the one before: no dimension tells.
  const auto joined = [&](const Array& in) {
    std::uint64_t bytes = 0;
    for (const std::string& text : *in.strings) bytes += text.size();
    return in.count() == 0 ? 0
                           : bytes * (static_cast<std::uint64_t>(out.count()) / static_cast<std::uint64_t>(in.count()));
  };
  const std::uint64_t bytes = joined(a) + joined(b);
  if (bytes > most_text)
    fail(ErrorKind::resource_limit, "a result of {} bytes of text, and {} is the limit", bytes, most_text);
  require_memory(bytes, "a tensor of strings");
  combine(broadcast<2>(dims, {a.dims, b.dims}), a.strings->data(), b.strings->data(), out.strings->data(), costly_grain,
          [](const std::string& x, const std::string& y) { return x + y; });
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// As Python's str.split(): an empty delimiter stands for runs of white space, and drops it at both ends.
std::vector<std::string> split(std::string_view text, std::string_view delimiter, std::int64_t most) {
  std::vector<std::string> parts;
  const auto full = [&] { return most >= 0 && static_cast<std::int64_t>(parts.size()) == most; };
  if (delimiter.empty()) {
    while (true) {
      while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
      if (text.empty()) return parts;
      std::size_t end = 0;
      while (end < text.size() && !is_space(text[end])) ++end;
      if (full()) end = text.size();
      parts.emplace_back(text.substr(0, end));
      text.remove_prefix(end);
    }
  }
  for (std::size_t end = 0; !full() && (end = text.find(delimiter)) != std::string_view::npos;) {
    parts.emplace_back(text.substr(0, end));
    text.remove_prefix(end + delimiter.size());
  }
  parts.emplace_back(text);
  return parts;
}

void string_split(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ir::ElementType::string, "the input");
  const std::string delimiter = context.node().string_or("delimiter", "");
  const std::int64_t most = context.node().int_or("maxsplit", -1);
  std::vector<std::vector<std::string>> parts;
  std::size_t widest = 0;
  for (const std::string& text : *in.strings) {
    parts.push_back(split(text, delimiter, most));
    widest = std::max(widest, parts.back().size());
  }
  ir::Dims dims = in.dims;
  dims.push_back(static_cast<std::int64_t>(widest));
  Array& out = context.output(0, ir::ElementType::string, dims);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::move(parts[i].begin(), parts[i].end(), out.strings->begin() + static_cast<std::ptrdiff_t>(i * widest));
  }
  if (!context.wants_output(1)) return;
  Array& counts = context.output(1, ir::ElementType::int64, in.dims);
  for (std::size_t i = 0; i < parts.size(); ++i)
    counts.as<std::int64_t>()[i] = static_cast<std::int64_t>(parts[i].size());
}

// Letters that differ by a fixed distance, or alternate.
char32_t change_case(char32_t c, bool upper) {
  const auto within = [&](char32_t low, char32_t high) { return c >= low && c <= high; };
  const char32_t sign = upper ? -1 : 1;
  if (upper ? within('a', 'z') : within('A', 'Z')) return c + sign * 32;
  if ((upper ? within(0xE0, 0xFE) : within(0xC0, 0xDE)) && c != 0xD7 && c != 0xF7) return c + sign * 32;
  if (upper && c == 0xFF) return 0x178;
  if (!upper && c == 0x178) return 0xFF;
  if (within(0x100, 0x137) || within(0x14A, 0x177)) {  // capital first, but for the Turkish i
    if (c == 0x130 || c == 0x131) return c;
    return upper ? c & ~char32_t{1} : c | 1;
  }
  if (within(0x139, 0x148) || within(0x179, 0x17E)) {
    const bool capital = c % 2 == 1;
    return upper && !capital ? c - 1 : !upper && capital ? c + 1 : c;
  }
  if (upper ? within(0x3B1, 0x3C9) && c != 0x3C2 : within(0x391, 0x3A9)) return c + sign * 32;
  if (upper ? within(0x430, 0x44F) : within(0x410, 0x42F)) return c + sign * 32;
  if (upper ? within(0x450, 0x45F) : within(0x400, 0x40F)) return c + sign * 80;
  return c;
}

// Bytes that are no UTF-8 stay as they are.
std::string change_case(const std::string& text, bool upper) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
    if (byte(0) < 0x80) {
      result += static_cast<char>(change_case(static_cast<char32_t>(byte(0)), upper));
      ++i;
    } else if ((byte(0) & 0xE0) == 0xC0 && i + 1 < text.size() && (byte(1) & 0xC0) == 0x80) {
      // All letters above have two bytes in either case.
      const char32_t changed = change_case((static_cast<char32_t>(byte(0) & 0x1F) << 6) | (byte(1) & 0x3F), upper);
      result += static_cast<char>(0xC0 | (changed >> 6));
      result += static_cast<char>(0x80 | (changed & 0x3F));
      i += 2;
    } else {
      result += text[i++];
    }
  }
  return result;
}

void string_normalizer(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ir::ElementType::string, "the input");
  if (in.rank() != 1 && (in.rank() != 2 || in.dims[0] != 1)) bad_input("an input of shape {}", ir::text(in.dims));
  const std::string action = context.node().string_or("case_change_action", "NONE");
  if (action != "NONE" && action != "LOWER" && action != "UPPER") bad_input("case_change_action is {}", quote(action));
  const bool exact = flag(context.node(), "is_case_sensitive", false);
  std::set<std::string> stops;
  for (const std::string& word : string_list(context.node(), "stopwords")) {
    stops.insert(exact ? word : change_case(word, false));
  }
  std::vector<std::string> kept;
  for (const std::string& word : *in.strings) {
    if (stops.contains(exact ? word : change_case(word, false))) continue;
    kept.push_back(action == "NONE" ? word : change_case(word, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();  // a result is never empty
  const auto count = static_cast<std::int64_t>(kept.size());
  Array& out = context.output(0, ir::ElementType::string, in.rank() == 1 ? ir::Dims{count} : ir::Dims{1, count});
  *out.strings = std::move(kept);
}

void regex_full_match(Context& context) {
  const Array& in = context.input(0);
  require_type(in, ir::ElementType::string, "the input");
  const std::string pattern = required_string(context.node(), "pattern");
  const RE2 expression(pattern, RE2::Quiet);
  if (!expression.ok()) bad_input("pattern {}: {}", quote(pattern), expression.error());
  Array& out = context.output(0, ir::ElementType::boolean, in.dims);
  for (std::size_t i = 0; i < in.strings->size(); ++i) out.as<bool>()[i] = RE2::FullMatch((*in.strings)[i], expression);
}

// The n-grams to count, as a tree of words: a node's children by word, and the n-gram that ends there.
class Pool {
 public:
  explicit Pool(const ir::Node& node) {
    for (const std::string& word : string_list(node, "pool_strings")) words_.push_back(number(word));
    by_string_ = !words_.empty();
    if (!by_string_) words_ = node.ints_or("pool_int64s", {});
    const ir::Dims starts = required_ints(node, "ngram_counts");
    const std::int64_t least = required_int(node, "min_gram_length"), most = required_int(node, "max_gram_length");
    const auto total = static_cast<std::int64_t>(words_.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
      const auto length = static_cast<std::int64_t>(i) + 1;
      const std::int64_t begin = starts[i], end = i + 1 < starts.size() ? starts[i + 1] : total;
      if (begin < 0 || end < begin || end > total || (end - begin) % length != 0)
        bad_input("ngram_counts {}", ir::text(starts));
      for (std::int64_t at = begin; at < end; at += length, ++count_) {
        if (length < least || length > most) continue;
        std::size_t node_at = 0;
        for (std::int64_t k = at; k < at + length; ++k) {
          const std::size_t fresh = tree_.size();
          const auto [found, is_new] = tree_[node_at].children.try_emplace(words_[static_cast<std::size_t>(k)], fresh);
          node_at = found->second;
          if (is_new) tree_.emplace_back();
        }
        tree_[node_at].ngram = count_;
      }
    }
  }

  bool by_string() const { return by_string_; }
  std::int64_t count() const { return count_; }
  std::int64_t known(const std::string& word) const {  // -1: in no n-gram
    const auto found = numbers_.find(word);
    return found == numbers_.end() ? -1 : found->second;
  }
  // Calls f(n-gram, its length) for each n-gram that starts here, `step` words apart.
  template <typename F>
  void match(std::span<const std::int64_t> words, std::size_t at, std::size_t step, const F& f) const {
    std::size_t node_at = 0;
    for (std::int64_t length = 1; at < words.size(); at += step, ++length) {
      const auto found = tree_[node_at].children.find(words[at]);
      if (found == tree_[node_at].children.end()) return;
      node_at = found->second;
      if (tree_[node_at].ngram >= 0) f(tree_[node_at].ngram, length);
    }
  }

 private:
  std::int64_t number(const std::string& word) {
    return numbers_.try_emplace(word, static_cast<std::int64_t>(numbers_.size())).first->second;
  }

  struct Branch {
    std::unordered_map<std::int64_t, std::size_t> children;
    std::int64_t ngram = -1;
  };
  std::vector<Branch> tree_ = std::vector<Branch>(1);
  std::unordered_map<std::string, std::int64_t> numbers_;
  std::vector<std::int64_t> words_;
  bool by_string_ = false;
  std::int64_t count_ = 0;
};

void tf_idf_vectorizer(Context& context) {
  const ir::Node& node = context.node();
  const Array& in = context.input(0);
  const Pool pool(node);
  const ir::Dims columns = required_ints(node, "ngram_indexes");
  const std::string mode = required_string(node, "mode");
  if (mode != "TF" && mode != "IDF" && mode != "TFIDF") bad_input("mode is {}", quote(mode));
  if (static_cast<std::int64_t>(columns.size()) < pool.count())
    bad_input("{} ngram_indexes for {} n-grams", columns.size(), pool.count());
  std::int64_t width = 0;
  for (const std::int64_t column : columns) {
    if (column < 0) bad_input("ngram_indexes hold {}", column);
    width = std::max(width, size_sum(column, 1));
  }
  const std::vector<float> weights = node.floats_or("weights", {});
  if (!weights.empty() && static_cast<std::int64_t>(weights.size()) < width)
    bad_input("{} weights for {} columns", weights.size(), width);
  const std::int64_t skips = required_int(node, "max_skip_count"), least = required_int(node, "min_gram_length");
  if (in.rank() > 2 || skips < 0) bad_input("an input of shape {} and {} skips", ir::text(in.dims), skips);
  const std::int64_t rows = in.rank() == 2 ? in.dims[0] : 1, length = in.rank() == 0 ? 1 : in.dims.back();

  std::vector<std::int64_t> words;
  if (pool.by_string()) {
    require_type(in, ir::ElementType::string, "the input");
    for (const std::string& word : *in.strings) words.push_back(pool.known(word));
  } else {
    Array flat = in;
    flat.dims = {in.count()};
    words = read_ints(flat);
  }
  Array& out = context.output(0, ir::ElementType::float32, in.rank() == 2 ? ir::Dims{rows, width} : ir::Dims{width});
  std::fill_n(out.as<float>(), out.count(), 0.0f);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto row = std::span<const std::int64_t>(words).subspan(static_cast<std::size_t>(r * length),
                                                                  static_cast<std::size_t>(length));
    float* counts = out.as<float>() + r * width;
    for (std::int64_t step = 1; step <= std::min(skips + 1, std::max<std::int64_t>(1, length)); ++step) {
      for (std::size_t at = 0; at < row.size(); ++at) {
        pool.match(row, at, static_cast<std::size_t>(step), [&](std::int64_t ngram, std::int64_t n) {
          if (n >= least && (n > 1 || step == 1))
            ++counts[columns[static_cast<std::size_t>(ngram)]];  // one word has no gaps
        });
      }
    }
    for (std::int64_t c = 0; c < width && mode != "TF"; ++c) {
      const float weight = weights.empty() ? 1.0f : weights[static_cast<std::size_t>(c)];
      counts[c] = mode == "IDF" ? (counts[c] > 0 ? weight : 0.0f) : counts[c] * weight;
    }
  }
}

}  // namespace

std::span<const KernelEntry> text_kernels() {
  static constexpr KernelEntry entries[] = {
      {"StringConcat", 20, stateless<string_concat>},         {"StringSplit", 20, stateless<string_split>},
      {"StringNormalizer", 10, stateless<string_normalizer>}, {"RegexFullMatch", 20, stateless<regex_full_match>},
      {"TfIdfVectorizer", 9, stateless<tf_idf_vectorizer>},
  };
  return entries;
}

}  // namespace hone::exec
