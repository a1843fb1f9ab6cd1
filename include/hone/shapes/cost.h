// What a model costs to run and to keep, counted from shapes: no run, no clock.
#pragma once

#include <cstdint>

#include "hone/ir/model.h"

namespace hone::shapes {

struct Cost {
  std::uint64_t parameters = 0;  // elements of initializers and Constant nodes, counted once each
  std::uint64_t parameter_bytes = 0;
  std::uint64_t nonzero_parameters = 0;  // only where asked for: reads every weight
  double macs = 0;                       // multiply-accumulates of Conv, MatMul, Gemm, LSTM and their kin
  double activation_bytes = 0;           // all intermediate values together
  std::uint64_t nodes = 0;               // with those in subgraphs
  bool complete = true;                  // false: some shape was not known, macs and activation_bytes are lower bounds
};

// Types must have been inferred (Inference::run). Symbols count as `symbol_value`; bodies of Loop and Scan as one turn.
Cost cost(const ir::Model& model, std::int64_t symbol_value = 1, bool count_nonzero = false);
double macs(const ir::Node& node, std::int64_t symbol_value, bool& complete);

}  // namespace hone::shapes
