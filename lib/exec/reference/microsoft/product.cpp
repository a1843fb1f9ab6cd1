// FusedMatMul MatMulNBits GatherBlockQuantized of com.microsoft. MatMulNBits computes in float whatever accuracy_level allows.
//
// Not handled: g_idx; weights that were packed ahead for one machine; float8 and float4 blocks.
#include "exec/reference/gemm.h"
#include "exec/reference/matmul.h"
#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {
namespace {

// The operand as a stack of matrices: the first dimension moved behind the others if `batch_moved`.
ir::Dims stacked(const Array& in, bool batch_moved) {
  ir::Dims dims = in.dims;
  if (batch_moved && dims.size() > 2) std::rotate(dims.begin(), dims.begin() + 1, dims.end() - 1);
  return dims;
}

void fused_mat_mul(Context& context) {
  const Array &a = context.input(0), &b = context.input(1);
  require_type(b, a.type, "B");
  const ir::Node& node = context.node();
  const float alpha = node.float_or("alpha", 1);
  struct Operand {
    ir::Dims dims;  // as MatMul sees it
    bool transposed, moved;
    std::int64_t step, size;  // between rows in memory; between matrices
  };
  const auto operand = [&](const Array& in, const char* transposed, const char* moved) {
    Operand o{{}, flag(node, transposed, false) && in.rank() > 1, flag(node, moved, false) && in.rank() > 2, 0, 0};
    o.dims = stacked(in, o.moved);
    const std::size_t rank = o.dims.size();
    if (rank < 2) return o;
    const std::int64_t rows = o.dims[rank - 2], columns = o.dims[rank - 1], matrices = product(o.dims, 0, rank - 2);
    o.step = o.moved ? size_product(matrices, columns) : columns;
    o.size = o.moved ? columns : size_product(rows, columns);
    if (o.transposed) std::swap(o.dims[rank - 2], o.dims[rank - 1]);
    return o;
  };
  Operand left = operand(a, "transA", "transBatchA"), right = operand(b, "transB", "transBatchB");
  // Operands that lie otherwise than MatMulShape takes for granted go matrix by matrix.
  const bool plain = !left.transposed && !left.moved;
  MatMulShape shape(left.dims, right.dims);
  if (left.dims.size() == 1) left.step = left.dims[0];
  if (right.dims.size() == 1) right.step = 1;
  in_real(context, a.type, [&]<typename T>() {
    const T *x = view<T>(context, a), *y = view<T>(context, b);
    Result<T> out(context, 0, a.type, shape.dims);
    if (out.count() == 0) return;
    T* to = out.data();
    std::int64_t rows = shape.rows, stacks = shape.stacks;
    const std::size_t rank = left.dims.size();
    if (!plain && shape.stacks == 1 && rank > 2) {  // MatMulShape took the stack for one tall matrix
      rows = left.dims[rank - 2];
      stacks = product(left.dims, 0, rank - 2);
    }
    const double work =
        static_cast<double>(rows) * static_cast<double>(shape.depth) * static_cast<double>(shape.columns);
    parallel_for(stacks, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const bool tall = stacks != shape.stacks;
        const std::int64_t at = tall ? i : shape.a_at[static_cast<std::size_t>(i)],
                           bt = tall ? 0 : shape.b_at[static_cast<std::size_t>(i)];
        multiply<T>(rows, shape.depth, shape.columns, {x + at * left.size, left.step, left.transposed},
                    {y + bt * right.size, right.step, right.transposed},
                    {to + i * rows * shape.columns, shape.columns});
      }
    });
    if (alpha != 1) map_range(to, to, out.count(), cheap_grain, [=](T value) { return value * static_cast<T>(alpha); });
    out.finish();
  });
}

// Code `i` of `bits` bits each, the low ones of a byte first.
std::int32_t code_at(const std::uint8_t* bytes, std::int64_t i, std::int64_t bits) {
  const std::int64_t per_byte = 8 / bits;
  return bytes[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1);
}
std::int64_t checked_bits(const ir::Node& node) {
  const std::int64_t bits = node.int_or("bits", 4);
  if (bits != 2 && bits != 4 && bits != 8) bad_input("bits is {}, not 2, 4 or 8", bits);
  return bits;
}

// a times the transpose of a [N, K] matrix kept as codes, with a scale and zero point for each block of a row.
void mat_mul_nbits(Context& context) {
  const ir::Node& node = context.node();
  const Array &a = context.input(0), &b = context.input(1), &scales = context.input(2);
  const Array *zeros = optional_input(context, 3), *bias = optional_input(context, 5);
  require_absent(context, 4, "g_idx");
  if (node.int_or("weight_prepacked", 0) != 0)
    unsupported("node {} (MatMulNBits): weights packed for one machine", quote(node.name()));
  const std::int64_t columns = required_int(node, "N"), depth = required_int(node, "K"),
                     block = required_int(node, "block_size");
  const std::int64_t bits = checked_bits(node);
  if (columns < 0 || depth < 1 || block < 16 || (block & (block - 1)) != 0)
    bad_input("N {}, K {} and block_size {}", columns, depth, block);
  const std::int64_t blocks = ceil_div(depth, block), bytes = block * bits / 8,
                     zero_bytes = ceil_div(size_product(blocks, bits), 8);
  require_type(b, ir::ElementType::uint8, "B");
  if (b.count() != size_product(size_product(columns, blocks), bytes))
    bad_input("B of shape {} for N {}, K {}", ir::text(b.dims), columns, depth);
  if (scales.count() != size_product(columns, blocks))
    bad_input("scales of shape {} for N {}, K {}", ir::text(scales.dims), columns, depth);
  const bool packed_zeros = zeros && zeros->type == ir::ElementType::uint8;
  if (zeros && zeros->count() != (packed_zeros ? columns * zero_bytes : columns * blocks)) {
    bad_input("zero points of shape {} for N {}, K {}", ir::text(zeros->dims), columns, depth);
  }
  if (bias) require_dims(*bias, {columns}, "the bias");
  require_rank(a, 1, std::numeric_limits<std::size_t>::max(), "A");
  if (a.dims.back() != depth) bad_input("A of shape {} for K {}", ir::text(a.dims), depth);
  ir::Dims dims = a.dims;
  dims.back() = columns;
  const std::int64_t rows = product(a.dims, 0, a.rank() - 1);
  in_real(context, a.type, [&]<typename T>() {
    const T *x = view<T>(context, a), *scale = view<T>(context, scales),
            *added = bias ? view<T>(context, *bias) : nullptr;
    const T* zero = zeros && !packed_zeros ? view<T>(context, *zeros) : nullptr;
    const auto* codes = b.as<std::uint8_t>();
    Result<T> out(context, 0, a.type, dims);
    if (out.count() == 0) return;
    T* to = out.data();
    constexpr std::int64_t width = 32;  // columns at once: their weights stay in the second-level cache
    parallel_for(
        ceil_div(columns, width), grain_for(static_cast<double>(width * depth) * static_cast<double>(rows + 2)),
        [&](std::int64_t begin, std::int64_t end) {
          Buffer memory(static_cast<std::size_t>(size_product(width * depth, sizeof(T))));
          T* weights = reinterpret_cast<T*>(memory.data());
          for (std::int64_t unit = begin; unit < end; ++unit) {
            const std::int64_t first = unit * width, count = std::min(width, columns - first);
            for (std::int64_t c = 0; c < count; ++c) {
              const std::int64_t n = first + c;
              for (std::int64_t k = 0; k < depth; ++k) {
                const std::int64_t at = n * blocks + k / block;
                const T center =
                    zero ? zero[at]
                         : static_cast<T>(packed_zeros
                                              ? code_at(zeros->as<std::uint8_t>() + n * zero_bytes, k / block, bits)
                                              : 1 << (bits - 1));
                weights[c * depth + k] =
                    (static_cast<T>(code_at(codes + at * bytes, k % block, bits)) - center) * scale[at];
              }
            }
            multiply<T>(rows, depth, count, {x, depth}, {weights, depth, true}, {to + first, columns});
            if (!added) continue;
            for (std::int64_t r = 0; r < rows; ++r) {
              for (std::int64_t c = 0; c < count; ++c) to[r * columns + first + c] += added[first + c];
            }
          }
        });
    out.finish();
  });
}

// Rows of a tensor kept as codes with a scale for each block of an axis. uint8 data holds codes of `bits` bits along the last axis.
void gather_block_quantized(Context& context) {
  const ir::Node& node = context.node();
  const Array &data = context.input(0), &indices = context.input(1), &scales = context.input(2);
  const Array* zeros = optional_input(context, 3);
  const bool bytes = data.type == ir::ElementType::uint8;
  if (!bytes && data.type != ir::ElementType::uint4 && data.type != ir::ElementType::int4)
    unsupported_type(context, data.type);
  const std::int64_t bits = bytes ? checked_bits(node) : 4, block = node.int_or("block_size", 128);
  if (block < 16 || (block & (block - 1)) != 0) bad_input("block_size is {}", block);
  require_rank(data, 1, std::numeric_limits<std::size_t>::max(), "the data");
  ir::Dims full = data.dims;
  if (bytes) full.back() = size_product(full.back(), 8 / bits);
  const std::size_t gathered = checked_axis(node.int_or("gather_axis", 0), full.size());
  const std::size_t axis = checked_axis(node.int_or("quantize_axis", 1), full.size());
  if (gathered == axis) bad_input("gather_axis and quantize_axis are one");
  ir::Dims scale_dims = full;
  scale_dims[axis] = ceil_div(full[axis], block);
  require_dims(scales, scale_dims, "scales");
  if (zeros) {
    require_type(*zeros, data.type, "the zero point");
    ir::Dims zero_dims = scale_dims;
    if (bytes && bits < 8) zero_dims.back() = ceil_div(zero_dims.back(), 8 / bits);
    require_dims(*zeros, zero_dims, "the zero point");
  }
  // All codes, one a byte; those of a row are padded to whole bytes.
  const auto spread = [&](const Array& in, const ir::Dims& dims) -> const std::uint8_t* {
    auto* codes = scratch<std::uint8_t>(context, product(dims));
    if (!bytes) {
      unpack(in, codes);
      return codes;
    }
    const std::int64_t width = dims.back(), rows = width == 0 ? 0 : product(dims) / width;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t i = 0; i < width; ++i) {
        codes[r * width + i] = static_cast<std::uint8_t>(code_at(in.as<std::uint8_t>() + r * in.dims.back(), i, bits));
      }
    }
    return codes;
  };
  const std::uint8_t* codes = spread(data, full);
  const std::uint8_t* zero_codes = zeros ? spread(*zeros, scale_dims) : nullptr;
  Array list = indices;
  list.dims = {indices.count()};
  ir::Dims chosen = read_ints(list);
  for (std::int64_t& index : chosen) {
    if (index < -full[gathered] || index >= full[gathered]) bad_input("index {} of {}", index, full[gathered]);
    if (index < 0) index += full[gathered];
  }
  ir::Dims dims(full.begin(), full.begin() + static_cast<std::ptrdiff_t>(gathered));
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), full.begin() + static_cast<std::ptrdiff_t>(gathered) + 1, full.end());
  const bool is_signed = data.type == ir::ElementType::int4;
  const std::int32_t none = bytes ? 1 << (bits - 1) : 0;
  const auto number = [&](std::uint8_t code) {
    return is_signed ? signed_code(code, 4) : static_cast<std::int32_t>(code);
  };
  in_real(context, scales.type, [&]<typename T>() {
    const T* scale = view<T>(context, scales);
    Result<T> out(context, 0, scales.type, dims);
    if (out.count() == 0) return;
    const std::int64_t outer = product(full, 0, gathered), inner = product(full, gathered + 1, full.size());
    const std::int64_t behind = product(full, axis + 1, full.size()), length = full[axis], groups = scale_dims[axis];
    const auto count = static_cast<std::int64_t>(chosen.size());
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t first = (o * full[gathered] + chosen[static_cast<std::size_t>(i)]) * inner;
        for (std::int64_t k = 0; k < inner; ++k) {
          const std::int64_t at = first + k, place = at / behind % length;
          const std::int64_t group = (at / behind / length * groups + place / block) * behind + at % behind;
          const std::int32_t center = zero_codes ? number(zero_codes[group]) : none;
          out.data()[(o * count + i) * inner + k] = static_cast<T>(number(codes[at]) - center) * scale[group];
        }
      }
    }
    out.finish();
  });
}

}  // namespace

std::span<const KernelEntry> microsoft_product_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("FusedMatMul", stateless<fused_mat_mul>),
      microsoft("MatMulNBits", stateless<mat_mul_nbits>),
      microsoft("GatherBlockQuantized", stateless<gather_block_quantized>),
  };
  return entries;
}

}  // namespace hone::exec
