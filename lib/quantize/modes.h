// The two ways to write a quantized graph.
#pragma once

#include <string>
#include <unordered_map>

#include "quantize/calibrate.h"
#include "quantize/placement.h"

namespace hone::quantize {

// Inserts the pairs of `placement` with these ranges, and makes the weights integer.
void write_static(ir::Model& model, const Placement& placement, const std::unordered_map<std::string, Extent>& extents,
                  const QuantizeOptions& options, QuantizeResult& result);

// Turns each selected Gemm and MatMul into DynamicQuantizeLinear, MatMulInteger, Cast, Mul and Add.
void write_dynamic(ir::Model& model, const std::vector<ir::Node*>& nodes, const QuantizeOptions& options,
                   QuantizeResult& result);

// Range of int8 weights: -most ... most.
inline int largest_weight(const QuantizeOptions& options) { return options.reduce_range ? 64 : 127; }
// The output channels of the weight of a Conv, Gemm or MatMul.
inline std::size_t channel_axis(const ir::Node& node) {
  if (node.is("Conv")) return 0;
  return node.is("Gemm") && node.int_or("transB", 0) != 0 ? 0 : 1;
}

}  // namespace hone::quantize
