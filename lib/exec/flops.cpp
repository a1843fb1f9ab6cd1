#include "exec/flops.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "exec/fuse.h"
#include "exec/fuse_attention.h"

namespace hone::exec {
namespace {

// They copy, or look at shapes only.
constexpr std::array moves = {
    std::string_view("Cast"),
    std::string_view("CenterCropPad"),
    std::string_view("Compress"),
    std::string_view("Concat"),
    std::string_view("ConcatFromSequence"),
    std::string_view("Constant"),
    std::string_view("ConstantOfShape"),
    std::string_view("DepthToSpace"),
    std::string_view("Expand"),
    std::string_view("EyeLike"),
    std::string_view("Flatten"),
    std::string_view("Gather"),
    std::string_view("GatherElements"),
    std::string_view("GatherND"),
    std::string_view("Identity"),
    std::string_view("If"),
    std::string_view("Loop"),
    std::string_view("NonZero"),
    std::string_view("OneHot"),
    std::string_view("Pad"),
    std::string_view("Range"),
    std::string_view("Reshape"),
    std::string_view("ReverseSequence"),
    std::string_view("Scan"),
    std::string_view("ScatterElements"),
    std::string_view("ScatterND"),
    std::string_view("Shape"),
    std::string_view("Size"),
    std::string_view("Slice"),
    std::string_view("SpaceToDepth"),
    std::string_view("Split"),
    std::string_view("SplitToSequence"),
    std::string_view("Squeeze"),
    std::string_view("Tile"),
    std::string_view("Transpose"),
    std::string_view("Trilu"),
    std::string_view("Unsqueeze"),
    std::string_view("Where"),
};

double elements(const ir::Dims* dims) {
  if (!dims) return 0;
  double product = 1;
  for (const std::int64_t dim : *dims) product *= static_cast<double>(dim);
  return product;
}

double from_end(const ir::Dims* dims, std::size_t index) {
  return dims && dims->size() > index ? static_cast<double>((*dims)[dims->size() - 1 - index]) : 1.0;
}

}  // namespace

double flops(const ir::Node& node, std::span<const ir::Dims* const> inputs, std::span<const ir::Dims* const> outputs) {
  const auto input = [&](std::size_t index) { return index < inputs.size() ? inputs[index] : nullptr; };
  const ir::Dims* output = outputs.empty() ? nullptr : outputs[0];
  const std::string& op = node.op_type();
  if (!node.domain().empty() && node.domain() != fused_domain) return 0;
  if (op == "Conv" || op == "ConvInteger" || op == "QLinearConv") {
    const ir::Dims* weights = input(op == "QLinearConv" ? 3 : 1);
    const double filters =
        weights && !weights->empty() ? static_cast<double>(std::max<std::int64_t>((*weights)[0], 1)) : 1.0;
    return 2 * elements(output) * elements(weights) / filters;
  }
  if (op == "ConvTranspose") {
    const ir::Dims* weights = input(1);
    const double filters =
        weights && !weights->empty() ? static_cast<double>(std::max<std::int64_t>((*weights)[0], 1)) : 1.0;
    return 2 * elements(input(0)) * elements(weights) / filters;
  }
  if (op == "MatMul" || op == "MatMulInteger" || op == "QLinearMatMul")
    return 2 * elements(output) * from_end(input(0), 0);
  if (op == "Gemm") return 2 * elements(output) * from_end(input(0), node.int_or("transA", 0) != 0 ? 1 : 0);
  if (op == "LSTM" || op == "GRU" || op == "RNN") {
    // Of each direction, the weights once a step and sample.
    return 2 * from_end(input(0), 2) * from_end(input(0), 1) * (elements(input(1)) + elements(input(2)));
  }
  if (op == "Attention") {
    const ir::Dims* keys = input(1);
    std::size_t rows = 1;  // from the end
    if (const auto fused = read_attention(node)) {
      using Order = FusedAttention::Order;
      rows = fused->keys == Order::plain ? 0 : fused->keys == Order::by_row ? 2 : 1;
    }
    const double length = keys && keys->size() > 2 ? from_end(keys, rows) : 1.0;
    return 4 * elements(input(0)) * length;
  }
  if (std::find(moves.begin(), moves.end(), op) != moves.end()) return 0;
  return std::max(elements(input(0)), elements(output));
}

}  // namespace hone::exec
