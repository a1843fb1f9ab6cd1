// Matrix products of int8 and uint8: QLinearMatMul and MatMulInteger, QGemm, MatMulIntegerToFloat and
// DynamicQuantizeMatMul of com.microsoft. A constant right-hand matrix is packed once; the rows of a batch on the left are
// then rows of one large matrix. Right-hand matrices that change are packed at every run.
//
// Given back to the reference kernel: scales or zero points by row, biases that are not by column, a transposed left-hand
// matrix, right-hand stacks that broadcast, vectors, empty tensors, what is not valid.
#include <cstring>

#include "exec/onednn/avx2.h"
#include "exec/onednn/byte_way.h"
#include "exec/onednn/families.h"
#include "exec/onednn/integer_core.h"
#include "exec/onednn/integer_primitive.h"
#include "exec/onednn/runtime.h"
#include "exec/onednn/vnni_panels.h"
#include "exec/reference/quantization.h"
#include "hone/ir/dimension.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

using ir::ElementType;

// Rows of a tile stay in the second-level cache beside the panel they meet.
constexpr std::int64_t tile_bytes = 256 << 10;
// Sums of a thread that stay in its second-level cache, of one that has VNNI (1 MiB or more).
constexpr std::int64_t sum_bytes = 512 << 10;
constexpr std::size_t none = 99;

// Where an operator has its operands.
struct Signature {
  std::size_t b = none, a_scale = none, a_zero = none, b_scale = none, b_zero = none;
  std::size_t y_scale = none, y_zero = none, bias = none;
  bool dynamic = false;  // a is float
  bool gemm = false;     // the bias is int32; attributes transA, transB, alpha
};
constexpr Signature q_linear{3, 1, 2, 4, 5, 6, 7, none, false, false};
constexpr Signature integer{1, none, 2, none, 3, none, none, none, false, false};
constexpr Signature to_float{1, 2, 4, 3, 5, none, none, 6, false, false};
constexpr Signature gemm{3, 1, 2, 4, 5, 7, 8, 6, false, true};
constexpr Signature dynamic{1, none, none, 2, 3, none, none, 4, true, false};

class QuantizedProduct final : public Kernel {
 public:
  QuantizedProduct(const KernelInfo& info, const Signature& at) : fallback_(info), at_(at) {
    if (at.gemm) {
      transpose_b_ = info.node.int_or("transB", 0) != 0;
      alpha_ = info.node.float_or("alpha", 1);
    }
    weights_ = info.constant_input(at.b);
    if (weights_ && weights_->rank() != 2) weights_ = nullptr;
    constant_zeros_ = !info.node.input(at.b_zero) || info.constant_input(at.b_zero);
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& a = context.input(0);
    const Array* b = weights_ && constant_zeros_ ? nullptr : &context.input(at_.b);
    Shape shape;
    const ir::Dims b_dims = b ? b->dims : weights_->dims();
    const ElementType b_type = b ? b->type : weights_->type();
    if (!find_shape(a, b_dims, b_type, shape) || !is_valid(context, a.type, b_type, shape)) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    name_ = integer_kernel_name;
    const std::byte* codes = a.data;
    ElementType type = a.type;
    std::int32_t zero = at_.dynamic ? 0 : zero_point(context, at_.a_zero);
    float a_scale = at_.a_scale == none ? 1 : *context.input(at_.a_scale).as<float>();
    if (at_.dynamic) {
      type = ElementType::uint8;
      auto* made = reinterpret_cast<std::uint8_t*>(context.scratch(static_cast<std::uint64_t>(a.count())));
      const QuantizationStep step = quantize_dynamically(context, a.as<float>(), a.count(), made);
      codes = reinterpret_cast<const std::byte*>(made);
      zero = step.zero;
      a_scale = step.scale;
    }
    Requantization by = requantization(context, shape, a_scale, type);
    if (!b && !packed_) pack_constant(context, shape);
    Primitives* primitives = nullptr;
    if (!b && narrow_ && primitives_) {
      primitives = &shapes_.of(a, [&](const Array&) { return plan(shape); });
      if (!primitives->whole) {
        primitives_ = false;
        pack_constant(context, shape);
      }
    }
    if (!b && narrow_) {
      // (x - zero) * w = x * w - zero * w: the last is the same in every row.
      std::vector<std::int32_t>& addend = columns_.addend;
      if (!by.addend) addend.assign(whole_panels(shape.columns), 0);
      for (std::size_t c = 0; c < addend.size(); ++c) {
        addend[c] = static_cast<std::int32_t>(static_cast<std::uint32_t>(addend[c]) -
                                              static_cast<std::uint32_t>(byte_zero(type, zero)) *
                                                  static_cast<std::uint32_t>(sums_[c]));
      }
      by.addend = addend.data();
    }
    std::vector<IntegerPanels> packed;
    if (b) packed = pack(context, *b, shape);
    Array& out = context.output(0, by.type, shape.dims);
    if (primitives_ && primitives) {
      run_primitives(context, *primitives, shape, codes, type, by, out.data);
      return;
    }
    if (!b && narrow_) {
      const std::int64_t quads = (shape.depth + 3) / 4 * 4;
      const auto by_panels = [&](const auto& panels) {
        multiply<std::uint8_t>(
            context, shape, codes, quads, panels.count(), by, out.data,
            [&](const std::byte* from, std::uint8_t* to) {
              to_bytes(from, type, shape.depth, to);
              std::memset(to + shape.depth, 0, static_cast<std::size_t>(quads - shape.depth));
            },
            type == ElementType::uint8 && quads == shape.depth, [&](std::int64_t) -> const auto& { return panels; });
      };
      if (way_ != ByteWay::vnni_panels) return by_panels(bytes_);
      name_ = vnni_kernel_name;
      return by_panels(vnni_);
    }
    const std::vector<IntegerPanels>& panels = b ? packed : panels_;
    const auto matrix = [&](std::int64_t stack) -> const IntegerPanels& {
      return panels[panels.size() == 1 ? 0 : static_cast<std::size_t>(stack)];
    };
    multiply<std::int16_t>(
        context, shape, codes, shape.depth + shape.depth % 2, panels[0].count(), by, out.data,
        [&](const std::byte* from, std::int16_t* to) {
          widen(from, type, zero, shape.depth, to);
          if (shape.depth % 2 != 0) to[shape.depth] = 0;
        },
        false, matrix);
  }

 private:
  struct Shape {
    std::int64_t stacks = 1, rows = 0, depth = 0, columns = 0;
    bool one_b = true;  // the same right-hand matrix for all stacks
    ir::Dims dims;
  };

  bool find_shape(const Array& a, const ir::Dims& b, ElementType b_type, Shape& s) const {
    if (a.rank() < 2 || b.size() < 2 || !is_code(b_type) || !are_small(a.dims) || !are_small(b)) return false;
    if (at_.dynamic ? a.type != ElementType::float32 : !is_code(a.type)) return false;
    if (at_.gemm && (a.rank() != 2 || b.size() != 2)) return false;
    s.rows = a.dims[a.rank() - 2];
    s.depth = a.dims.back();
    s.columns = transpose_b_ ? b[0] : b.back();
    if ((transpose_b_ ? b[1] : b[b.size() - 2]) != s.depth) return false;
    s.dims.assign(a.dims.begin(), a.dims.end() - 1);
    s.dims.push_back(s.columns);
    for (std::size_t i = 0; i + 2 < a.rank(); ++i) s.stacks *= a.dims[i];
    if (b.size() == 2) {
      s.rows *= s.stacks;
      s.stacks = 1;
    } else {
      if (b.size() != a.rank() || !std::equal(b.begin(), b.end() - 2, a.dims.begin())) return false;
      s.one_b = false;
    }
    return s.rows > 0 && s.depth > 0 && s.columns > 0 && s.stacks > 0;
  }

  // What a model can get wrong is for the reference kernel to say.
  bool is_valid(Context& context, ElementType a, ElementType b, const Shape& s) const {
    const auto fits = [&](std::size_t i, ElementType wanted, bool by_column) {
      if (!context.has_input(i)) return true;
      const Array& array = context.input(i);
      const bool one = array.count() == 1 && array.rank() <= 1;
      return array.type == wanted && (one || (by_column && array.dims == ir::Dims{s.columns}));
    };
    if (!fits(at_.a_scale, ElementType::float32, false) || !fits(at_.a_zero, a, false)) return false;
    if (!fits(at_.b_scale, ElementType::float32, true) || !fits(at_.b_zero, b, true)) return false;
    if (context.has_input(at_.bias)) {
      const Array& bias = context.input(at_.bias);
      const bool column = bias.dims == ir::Dims{s.columns} || (at_.gemm && bias.dims == ir::Dims{1, s.columns});
      if (!column || bias.type != (at_.gemm ? ElementType::int32 : ElementType::float32)) return false;
    }
    if (!context.has_input(at_.y_scale)) return true;
    if (!fits(at_.y_scale, ElementType::float32, false)) return false;
    if (!context.has_input(at_.y_zero)) return at_.gemm;
    const Array& zero = context.input(at_.y_zero);
    return is_code(zero.type) && zero.count() == 1 && zero.rank() <= 1;
  }

  Requantization requantization(Context& context, const Shape& s, float a_scale, ElementType a_type) {
    Requantization by;
    if (at_.b_scale == none) return by;  // the sums
    const std::size_t size = whole_panels(s.columns);
    const Array& scales = context.input(at_.b_scale);
    const float factor = a_scale * alpha_;
    by.type = ElementType::float32;
    columns_.factor.assign(size, 0.0F);
    const bool codes = context.has_input(at_.y_scale);
    if (codes) {
      by.type = context.has_input(at_.y_zero) ? context.input(at_.y_zero).type : a_type;
      by.zero = zero_point(context, at_.y_zero);
    }
    for (std::int64_t c = 0; c < s.columns; ++c) {
      const float own = factor * scales.as<float>()[scales.count() == 1 ? 0 : c];
      columns_.factor[static_cast<std::size_t>(c)] = codes ? own / *context.input(at_.y_scale).as<float>() : own;
    }
    by.factor = columns_.factor.data();
    if (!context.has_input(at_.bias)) return by;
    const Array& bias = context.input(at_.bias);
    if (at_.gemm) {
      columns_.addend.assign(size, 0);
      std::memcpy(columns_.addend.data(), bias.data, static_cast<std::size_t>(s.columns) * sizeof(std::int32_t));
      by.addend = columns_.addend.data();
    } else {
      columns_.shift.assign(size, 0.0F);
      std::memcpy(columns_.shift.data(), bias.data, static_cast<std::size_t>(s.columns) * sizeof(float));
      by.shift = columns_.shift.data();
    }
    return by;
  }

  std::vector<std::int16_t> zeros(Context& context, std::int64_t columns) const {
    std::vector<std::int16_t> result(whole_panels(columns), 0);
    if (!context.has_input(at_.b_zero)) return result;
    const Array& zero = context.input(at_.b_zero);
    const bool one = zero.count() == 1;
    for (std::int64_t c = 0; c < columns; ++c) {
      const std::int64_t from = one ? 0 : c;
      result[static_cast<std::size_t>(c)] = zero.type == ElementType::int8
                                                ? std::int16_t{zero.as<std::int8_t>()[from]}
                                                : std::int16_t{zero.as<std::uint8_t>()[from]};
    }
    return result;
  }

  static void fill(IntegerPanels& panels, const std::byte* matrix, ElementType type, bool transposed,
                   std::int64_t depth, const std::vector<std::int16_t>& zero) {
    if (transposed) {
      panels.fill([&](std::int64_t, std::int64_t k, std::int64_t column) {
        const std::byte code = matrix[column * depth + k];
        return (type == ElementType::int8 ? std::int32_t{static_cast<std::int8_t>(code)}
                                          : std::int32_t{static_cast<std::uint8_t>(code)}) -
               zero[static_cast<std::size_t>(column)];
      });
      return;
    }
    parallel_for(
        panels.count(), std::max<std::int64_t>(1, (1 << 15) / depth),
        [&](std::int64_t begin, std::int64_t end) { panels.fill_rows(matrix, type, zero.data(), begin, end); });
  }

  void pack_constant(Context& context, const Shape& s) {
    const ir::Tensor loaded = weights_->loaded();
    const std::byte* codes = loaded.bytes().data();
    const std::vector<std::int16_t> zero = zeros(context, s.columns);
    const std::int64_t column_step = transpose_b_ ? s.depth : 1, row_step = transpose_b_ ? 1 : s.columns;
    const auto pack_bytes = [&]<typename T>() {
      const T* from = reinterpret_cast<const T*>(codes);
      narrow_ = true;
      sums_.assign(whole_panels(s.columns), 0);
      const auto check = [&](std::size_t column, T code) {
        const std::int32_t value = code - zero[column];
        narrow_ = narrow_ && value >= -128 && value <= 127;
        sums_[column] += value;
      };
      for (std::int64_t i = 0; i < s.depth * s.columns;) {
        if (transpose_b_) {
          const auto column = static_cast<std::size_t>(i / s.depth);
          for (std::int64_t k = 0; k < s.depth; ++k) check(column, from[i++]);
        } else {
          for (std::int64_t c = 0; c < s.columns; ++c) check(static_cast<std::size_t>(c), from[i++]);
        }
      }
      if (!narrow_ || primitives_) return;
      const auto at = [&](std::int64_t, std::int64_t k, std::int64_t column) {
        return from[k * row_step + column * column_step] - zero[static_cast<std::size_t>(column)];
      };
      if (way_ == ByteWay::vnni_panels) {
        vnni_ = VnniPanels(1, s.depth, s.columns, at);
        return;
      }
      bytes_ = BytePanels(1, s.depth, s.columns, at);
      narrow_ = bytes_.work() <= most_byte_work;
    };
    if (loaded.type() == ElementType::int8) {
      pack_bytes.template operator()<std::int8_t>();
    } else {
      pack_bytes.template operator()<std::uint8_t>();
    }
    if (!narrow_) {
      bytes_ = BytePanels();
      panels_.emplace_back(1, s.depth, s.columns);
      fill(panels_.back(), codes, loaded.type(), transpose_b_, s.depth, zero);
    }
    packed_ = true;
  }

  // Of the rows that `whole` computes at once, and of what they leave.
  struct Primitives {
    IntegerPrimitive whole, rest;
    std::int64_t rows = 0;
  };
  static Primitives plan(const Shape& s) {
    Primitives result;
    const std::int64_t most = std::max<std::int64_t>(tile_rows, threads() * sum_bytes / (s.columns * 4));
    const std::int64_t parts = (s.rows + most - 1) / most;
    result.rows = (s.rows + parts - 1) / parts;
    result.whole = IntegerPrimitive::product(result.rows, s.depth, s.columns);
    if (const std::int64_t left = s.rows % result.rows; result.whole && left > 0) {
      result.rest = IntegerPrimitive::product(left, s.depth, s.columns);
      if (!result.rest) result.whole = IntegerPrimitive();
    }
    return result;
  }
  void run_primitives(Context& context, Primitives& by_rows, const Shape& s, const std::byte* codes, ElementType type,
                      const Requantization& by, std::byte* out) {
    const bool as_is = type == ElementType::uint8;
    const std::int64_t width = s.columns * static_cast<std::int64_t>(ir::bit_width(by.type) / 8);
    auto* copy = reinterpret_cast<std::uint8_t*>(
        context.scratch(as_is ? 0 : static_cast<std::uint64_t>(by_rows.rows * s.depth)));
    auto* sums = reinterpret_cast<std::int32_t*>(
        context.scratch(static_cast<std::uint64_t>(by_rows.rows * s.columns) * sizeof(std::int32_t) + 64));
    std::byte* scratch = context.scratch(std::max(by_rows.whole.scratch_bytes(), by_rows.rest.scratch_bytes()));
    for (std::int64_t first = 0; first < s.rows; first += by_rows.rows) {
      const std::int64_t count = std::min(by_rows.rows, s.rows - first);
      const std::byte* from = codes + first * s.depth;
      if (!as_is) {
        parallel_for(count * s.depth, 1 << 15, [&](std::int64_t begin, std::int64_t end) {
          to_bytes(from + begin, type, end - begin, copy + begin);
        });
      }
      IntegerPrimitive& primitive = count == by_rows.rows ? by_rows.whole : by_rows.rest;
      const void* weights = primitive.pack(packed_weights_, [&](std::byte* to) { copy_weights(context, s, to); });
      primitive.run(as_is ? reinterpret_cast<const std::uint8_t*>(from) : copy, weights, scratch, sums);
      finish_rows(sums, count, 1, s.columns, by, out + first * width);
      name_ = primitive.name();
    }
  }
  // Weights less their zero points, row-major.
  void copy_weights(Context& context, const Shape& s, std::byte* to) const {
    const ir::Tensor loaded = weights_->loaded();
    const std::byte* codes = loaded.bytes().data();
    const std::vector<std::int16_t> zero = zeros(context, s.columns);
    const std::int64_t column_step = transpose_b_ ? s.depth : 1, row_step = transpose_b_ ? 1 : s.columns;
    for (std::int64_t k = 0; k < s.depth; ++k) {
      for (std::int64_t c = 0; c < s.columns; ++c) {
        const auto code = static_cast<std::int32_t>(codes[k * row_step + c * column_step]);
        *to++ = static_cast<std::byte>(code - zero[static_cast<std::size_t>(c)]);
      }
    }
  }

  std::vector<IntegerPanels> pack(Context& context, const Array& b, const Shape& s) const {
    std::vector<IntegerPanels> result;
    const std::vector<std::int16_t> zero = zeros(context, s.columns);
    const std::int64_t count = s.one_b ? 1 : s.stacks;
    for (std::int64_t i = 0; i < count; ++i) {
      result.emplace_back(1, s.depth, s.columns, context.scratch(IntegerPanels::byte_size(1, s.depth, s.columns)));
    }
    for (std::int64_t i = 0; i < count; ++i)
      fill(result[static_cast<std::size_t>(i)], b.data + i * s.depth * s.columns, b.type, transpose_b_, s.depth, zero);
    return result;
  }

  // Rows as elements of T: `make_row` makes one (not if the codes are that already: `as_is`). `panels_of` a stack.
  template <typename T, typename Copy, typename PanelsOf>
  static void multiply(Context& context, const Shape& s, const std::byte* codes, std::int64_t depth,
                       std::int64_t all_panels, const Requantization& by, std::byte* out, const Copy& make_row,
                       bool as_is, const PanelsOf& panels_of) {
    constexpr std::int64_t panel_width = std::decay_t<decltype(panels_of(0))>::width;
    constexpr auto size = static_cast<std::int64_t>(sizeof(T));
    const auto results = static_cast<double>(s.stacks * s.rows * s.columns);
    const std::int64_t parts = worthwhile_threads(integer_seconds(results * static_cast<double>(s.depth), results));
    // Threads share the columns where these are many: each then reads its own part of the matrix. They share the rows
    // otherwise, and take what is left over of both.
    const std::int64_t all_rows = s.stacks * s.rows;
    const bool by_columns = all_panels >= 4 * parts || all_rows < parts;
    const std::int64_t most = std::max<std::int64_t>(1, tile_bytes / (depth * size) / tile_rows) * tile_rows;
    const std::int64_t tiles = (s.rows + most - 1) / most;
    const std::int64_t height = std::min(most, ((s.rows + tiles - 1) / tiles + tile_rows - 1) / tile_rows * tile_rows);
    const std::int64_t tile_size = (height * depth + 31) / 32 * 32;
    auto* copies =
        reinterpret_cast<T*>(context.scratch(as_is ? 0 : static_cast<std::uint64_t>(parts * tile_size * size)));
    const auto width = static_cast<std::int64_t>(ir::bit_width(by.type) / 8), step = s.columns * width;
    const std::int64_t start = 0;
    parallel_for(parts, 1, [&](std::int64_t first_part, std::int64_t last_part) {
      for (std::int64_t part = first_part; part < last_part; ++part) {
        T* copy = copies + part * tile_size;
        const std::int64_t first_panel = by_columns ? part * all_panels / parts : 0;
        const std::int64_t last_panel = by_columns ? (part + 1) * all_panels / parts : all_panels;
        const std::int64_t last_row = by_columns ? all_rows : (part + 1) * all_rows / parts;
        for (std::int64_t row = by_columns ? 0 : part * all_rows / parts; row < last_row;) {
          const std::int64_t stack = row / s.rows;
          const std::int64_t count = std::min({height, (stack + 1) * s.rows - row, last_row - row});
          for (std::int64_t r = 0; r < count && !as_is; ++r) make_row(codes + (row + r) * s.depth, copy + r * depth);
          const T* from = as_is ? reinterpret_cast<const T*>(codes + row * s.depth) : copy;
          for (std::int64_t p = first_panel; p < last_panel; ++p) {
            const std::int64_t column = p * panel_width, columns = std::min(panel_width, s.columns - column);
            const auto& panels = panels_of(stack);
            const auto panel = panels.panel(p);
            Prefetch next(
                p + 1 < last_panel ? std::as_bytes(panels.panel(p + 1).weights) : std::span<const std::byte>(), count);
            for (std::int64_t i = 0; i < count; i += rows_at_once) {
              const std::int64_t some = std::min(rows_at_once, count - i);
              const T* rows[rows_at_once];
              for (std::int64_t r = 0; r < some; ++r) rows[r] = from + (i + r) * depth;
              next.advance();
              multiply_and_finish(rows, some, std::span(&start, 1), panel, by, column, columns,
                                  out + (row + i) * step + column * width, step);
            }
          }
          row += count;
        }
      }
    });
  }

  Fallback fallback_;
  Signature at_;
  bool transpose_b_ = false, constant_zeros_ = false;
  float alpha_ = 1;
  const ir::Tensor* weights_ = nullptr;
  bool packed_ = false, narrow_ = false;  // constant weights: as bytes, or as words
  BytePanels bytes_;
  VnniPanels vnni_;  // in place of them
  std::vector<IntegerPanels> panels_;
  ByteWay way_ = byte_way();
  bool primitives_ = way_ == ByteWay::primitives;  // oneDNN's, in place of panels of bytes
  ShapeCache<Primitives> shapes_;
  PackedWeights packed_weights_;    // for them
  std::vector<std::int32_t> sums_;  // of the weights of a column
  ColumnValues columns_;
  std::string name_ = std::string(integer_kernel_name);
};

template <const Signature& at>
std::unique_ptr<Kernel> make_product(const KernelInfo& info) {
  if (!has_avx2() || info.node.int_or("transA", 0) != 0) return nullptr;
  const ir::Tensor* weights = info.constant_input(at.b);
  if (weights && !is_code(weights->type())) return nullptr;
  return std::make_unique<QuantizedProduct>(info, at);
}

}  // namespace

std::span<const KernelEntry> quantized_product_kernels() {
  static constexpr KernelEntry entries[] = {
      {"QLinearMatMul", 10, make_product<q_linear>},
      {"MatMulInteger", 10, make_product<integer>},
      {"QGemm", 1, make_product<gemm>, last_version, microsoft},
      {"MatMulIntegerToFloat", 1, make_product<to_float>, last_version, microsoft},
      {"DynamicQuantizeMatMul", 1, make_product<dynamic>, last_version, microsoft},
  };
  return entries;
}

}  // namespace hone::exec::onednn
