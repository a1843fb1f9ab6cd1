// Which nodes run on integers, and which values carry a Q/DQ pair.
//
// The rules are those of ONNX Runtime's CPU provider (version 1.32), as measured:
//  1. Conv runs as QLinearConv only with a Q right behind it, or behind a Relu or Clip that is its only user; Gemm and MatMul
//     run as QGemm and MatMulIntegerToFloat without one, and their output is better left float.
//  2. Add, Mul, Concat, AveragePool, GlobalAveragePool, LeakyRelu, Sigmoid join where every input comes from integers and
//     somebody behind wants integers: alone they are slower than float.
//  3. MaxPool, Reshape, Transpose and other movers pass integers on when Q behind and DQ before them have the same
//     parameters.
#pragma once

#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "hone/quantize/quantize.h"

namespace hone::quantize {

struct Placement {
  // Values with a Q/DQ pair, in graph order. The pair of a value in `same_as` has the parameters of that other value.
  std::vector<ir::Value*> values;
  std::unordered_map<const ir::Value*, ir::Value*> same_as;
  // Nodes with a constant weight that becomes int8.
  std::vector<ir::Node*> weighted;
  // All nodes on integers: those, and what joined.
  std::unordered_set<const ir::Node*> integer;
  std::vector<NodeDecision> decisions;
};

// Whether the node has a constant float weight an integer kernel takes; the reason where not.
bool has_integer_kernel(const ir::Node& node, std::string& reason);
// The slot of an activation of a weighted node is 0; that of the weight 1, of the bias 2 (Conv, Gemm).

Placement place(ir::Model& model, const QuantizeOptions& options);

// Nodes that options select, of those with integer kernels; decisions for the others.
std::vector<ir::Node*> select_nodes(ir::Model& model, const QuantizeOptions& options,
                                    std::vector<NodeDecision>& decisions);

}  // namespace hone::quantize
