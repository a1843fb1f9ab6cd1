#include "hone/onnx/convert_opset.h"
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
}  // namespace hone::onnx
