// Words that an attribute may say only since some version: schemas don't list them.
#include <array>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

struct Word {
  std::string_view op_type;
  std::int64_t version;
  const char* attribute;
  const char* word;
};
constexpr std::array words{
    Word{"Pad", 19, "mode", "wrap"},
    Word{"Resize", 19, "coordinate_transformation_mode", "half_pixel_symmetric"},
    Word{"ScatterElements", 18, "reduction", "max"},
    Word{"ScatterElements", 18, "reduction", "min"},
    Word{"ScatterND", 18, "reduction", "max"},
    Word{"ScatterND", 18, "reduction", "min"},
    Word{"DepthToSpace", 11, "mode", "CRD"},
};

Reason word_down(Step& step) {
  for (const Word& each : words) {
    if (!step.node.is(each.op_type) || each.version != step.version) continue;
    if (step.node.string_or(each.attribute, "") == each.word)
      return fmt::format("its {} is '{}'", each.attribute, each.word);
  }
  return {};
}

}  // namespace

std::vector<Entry> mode_rules() {
  std::vector<Entry> rules;
  for (const Word& each : words) {
    if (rules.empty() || rules.back().op_type != each.op_type || rules.back().version != each.version)
      rules.push_back({each.op_type, each.version, nullptr, word_down});
  }
  return rules;
}

}  // namespace hone::passes::opset
