// Integer operators in place of float ones between DequantizeLinear and QuantizeLinear, at plan time, on the engine's own
// copy of a graph. What results are ONNX's and com.microsoft's operators on integers, for which there are kernels of both
// kinds; a model that holds these operators itself runs on the same ones.
//
// An output differs from the float computation by one step at most, where that lies on the border of two steps.
//
// Left as it is, in float: scales and zero points that are not constant or not float32, one for all elements (weights: one
// for each output channel), 8-bit integers; values in between that somebody else reads, that are outputs, or that an
// observer or extra output asks for; activations that the QuantizeLinear behind them doesn't make void; biases that 32 bits
// don't hold in steps of the product, and sums that may pass 32 bits.
#pragma once

#include <string>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

// Names in `keep` stay values of their own.
void lower_quantized(PrivateGraph& graph, const std::vector<std::string>& keep);

}  // namespace hone::exec
