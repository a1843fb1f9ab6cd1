#include "hone/onnx/ir_version.h"

#include "onnx/wire.h"

namespace hone::onnx {

std::int64_t ir_version_for_opset(std::int64_t opset) {
  // The table of ONNX's docs/Versioning.md: opset, and the ir_version that came with it.
  constexpr struct {
    std::int64_t opset, ir;
  } table[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}, {12, 7}, {11, 6}, {10, 5}, {9, 4}};
  for (const auto& row : table) {
    if (opset >= row.opset) return row.ir;
  }
  return 3;
}

bool has_training_info(const ir::Model& model) {
  constexpr std::uint32_t training_info = 20;
  wire::Source source{std::string_view(model.rest)};
  for (wire::Fields fields(source, {0, model.rest.size()}, Message::model); fields.next();) {
    if (fields->number == training_info) return true;
  }
  return false;
}

}  // namespace hone::onnx
