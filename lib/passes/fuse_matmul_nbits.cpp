// fuse-matmul-nbits: a MatMul by a constant matrix kept in blocks of 4-bit (2-, 8-bit) codes becomes MatMulNBits of
// com.microsoft, which multiplies by the codes. They are laid out anew: [columns, blocks, block], two codes a byte.
//
// accuracy_level stays 0: products are of float32, as the graph says. (Left to itself, ONNX Runtime makes the same node when
// it loads the graph, with activations rounded to 8 bits.)
//
// Left alone: codes that anybody else reads; blocks along other axes; sizes of blocks that the operator does not take;
// signed 8-bit codes; scales of other types than float32; matrices of more than two dimensions.
#include <bit>

#include "hone/rewrite/match.h"
#include "passes/microsoft.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Bindings {
  ir::Node* dequantize;
  const ir::Tensor *codes, *scales, *zeros;
  std::int64_t depth, columns, block, bits;
  bool is_signed;
};

Match<Bindings> match(const ir::Node& product) {
  ir::Node* dequantize = rewrite::sole_producer(product.input(1), "DequantizeLinear");
  if (!dequantize) return no("no matrix of codes");
  const ir::Tensor *codes = ir::constant(dequantize->input(0)), *scales = ir::constant(dequantize->input(1));
  const ir::Tensor* zeros = dequantize->input(2) ? ir::constant(dequantize->input(2)) : nullptr;
  if (!codes || !scales || (dequantize->input(2) && !zeros)) return no("codes, scales or zero points are not constant");
  if (scales->type() != ir::ElementType::float32 || product.output(0)->element_type() != ir::ElementType::float32)
    return no("element type");
  const ir::ElementType type = codes->type();
  const std::int64_t bits = static_cast<std::int64_t>(ir::bit_width(type));
  const bool is_signed = type == ir::ElementType::int4 || type == ir::ElementType::int2;
  if (!is_signed && type != ir::ElementType::uint4 && type != ir::ElementType::uint2 && type != ir::ElementType::uint8)
    return no("codes of another type");
  if (codes->rank() != 2) return no("not two dimensions");
  const std::int64_t axis = dequantize->int_or("axis", 1), block = dequantize->int_or("block_size", 0);
  if (axis != 0 && axis != -2) return no("blocks along another axis");
  if (block < 16 || block > 256 || !std::has_single_bit(static_cast<std::uint64_t>(block)))
    return no("a size of blocks that MatMulNBits does not take");
  const std::int64_t depth = codes->dims()[0], columns = codes->dims()[1];
  // The last block of MatMulNBits may be short in the same way.
  if (scales->dims() != ir::Dims{(depth + block - 1) / block, columns} || depth == 0 || columns == 0)
    return no("scales of another shape");
  if (zeros && (zeros->dims() != scales->dims() || zeros->type() != type))
    return no("zero points of another shape or type");
  if (const auto& shape = product.input(0)->shape(); !shape || shape->empty())
    return no("the other factor's shape is not known");
  return Bindings{dequantize, codes, scales, zeros, depth, columns, block, bits, is_signed};
}

}  // namespace

Status fuse_matmul_nbits(ir::Node& product, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const auto found = match(product);
  if (!found) return rewriter.decline(product, found.reason());
  if (!takes_microsoft(rewriter, product)) return rewriter.decline(product, "com.microsoft has no place here");
  const std::int64_t blocks = (found->depth + found->block - 1) / found->block, bits = found->bits, per_byte = 8 / bits;
  const std::int64_t offset =
      found->is_signed ? std::int64_t{1} << (bits - 1) : 0;  // the operator's codes are unsigned
  const auto packed = [&](std::vector<std::byte>& out, std::int64_t at, std::int64_t code) {
    auto& byte = out[static_cast<std::size_t>(at / per_byte)];
    byte |= static_cast<std::byte>((code + offset) << (at % per_byte * bits));
  };
  const auto tensor = [](ir::Dims dims, const std::vector<std::byte>& bytes) {
    ir::Tensor result = ir::Tensor::allocate(ir::ElementType::uint8, std::move(dims));
    std::copy(bytes.begin(), bytes.end(), result.mutable_bytes().begin());
    return result;
  };
  const std::int64_t blob = found->block / per_byte, zero_bytes = (blocks + per_byte - 1) / per_byte;
  std::vector<std::byte> codes(static_cast<std::size_t>(found->columns * blocks * blob));
  const std::vector<std::int64_t> from = found->codes->to_ints();
  for (std::int64_t k = 0; k < found->depth; ++k) {
    for (std::int64_t n = 0; n < found->columns; ++n) {
      packed(codes, n * blocks * found->block + k, from[static_cast<std::size_t>(k * found->columns + n)]);
    }
  }
  const std::vector<float> old_scales = found->scales->to_floats();
  std::vector<float> scales(old_scales.size());
  std::vector<std::byte> zeros(static_cast<std::size_t>(found->columns * zero_bytes));
  const std::vector<std::int64_t> old_zeros =
      found->zeros ? found->zeros->to_ints() : std::vector<std::int64_t>(old_scales.size(), 0);
  for (std::int64_t b = 0; b < blocks; ++b) {
    for (std::int64_t n = 0; n < found->columns; ++n) {
      const auto at = static_cast<std::size_t>(b * found->columns + n);
      scales[static_cast<std::size_t>(n * blocks + b)] = old_scales[at];
      packed(zeros, n * zero_bytes * per_byte + b, old_zeros[at]);
    }
  }
  std::vector<ir::Value*> inputs{
      product.input(0), &rewriter.constant(product, tensor({found->columns, blocks, blob}, codes), "codes"),
      &rewriter.constant(product, ir::Tensor::of<float>({found->columns, blocks}, scales), "scales")};
  // Without zero points the operator's is in the middle, which is what 0 of signed codes became.
  if (found->zeros || !found->is_signed)
    inputs.push_back(&rewriter.constant(product, tensor({found->columns, zero_bytes}, zeros), "zero_points"));
  ir::Node& fused = add_microsoft(
      rewriter, "MatMulNBits", inputs,
      rewrite::attributes("K", found->depth, "N", found->columns, "bits", bits, "block_size", found->block), product,
      &product);
  return rewriter.replace(product, *fused.output(0));
}

}  // namespace hone::passes
