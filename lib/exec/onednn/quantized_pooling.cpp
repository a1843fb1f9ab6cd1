// MaxPool of int8 and uint8, QLinearAveragePool, QLinearGlobalAveragePool, and QLinearConcat of channels, on channels-last
// memory: a row of channels at a time.
//
// Given back to the reference kernel: three spatial dimensions, MaxPool's indices, ceil_mode, column-major storage,
// channels_last as an attribute, other axes of Concat.
#include <algorithm>
#include <array>
#include <cstring>

#include "exec/onednn/avx2.h"
#include "exec/onednn/channels_last.h"
#include "exec/onednn/families.h"
#include "exec/onednn/integer_kernel.h"
#include "exec/reference/quantization.h"
#include "exec/reference/window.h"
#include "hone/ir/dimension.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {
namespace {

using ir::ElementType;

template <typename T>
HONE_AVX2 void largest(const T* from, std::int64_t count, T* to) {
  std::int64_t c = 0;
  for (; c + 32 <= count; c += 32) {
    auto* at = reinterpret_cast<__m256i*>(to + c);
    const __m256i a = _mm256_loadu_si256(at), b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + c));
    _mm256_storeu_si256(at, std::is_signed_v<T> ? _mm256_max_epi8(a, b) : _mm256_max_epu8(a, b));
  }
  for (; c < count; ++c) to[c] = std::max(to[c], from[c]);
}
template <typename T>
HONE_AVX2 void sum(const T* from, std::int64_t count, std::int32_t* to) {
  std::int64_t c = 0;
  for (; c + 8 <= count; c += 8) {
    auto* at = reinterpret_cast<__m256i*>(to + c);
    const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + c));
    const __m256i wide = std::is_signed_v<T> ? _mm256_cvtepi8_epi32(codes) : _mm256_cvtepu8_epi32(codes);
    _mm256_storeu_si256(at, _mm256_add_epi32(_mm256_loadu_si256(at), wide));
  }
  for (; c < count; ++c) to[c] += from[c];
}
// Of `taps` codes each.
template <typename T>
HONE_AVX2 void finish_mean(const std::int32_t* sums, std::int64_t count, std::int32_t less, float factor,
                           std::int32_t zero, T* to) {
  const IntegerRange range{std::numeric_limits<T>::min(), std::numeric_limits<T>::max()};
  for (std::int64_t c = 0; c < count; ++c)
    to[c] = static_cast<T>(quantized(static_cast<float>(sums[c] - less) * factor, zero, range));
}

enum class Kind { max, average, global_average };

class QuantizedPooling final : public IntegerKernel {
 public:
  QuantizedPooling(const KernelInfo& info, Kind kind) : IntegerKernel(info), kind_(kind) {
    with_padding_ = info.node.int_or("count_include_pad", 0) != 0;
  }

 protected:
  bool compute(Context& context) override {
    const Array& x = context.raw_input(0);
    std::optional<QuantizationStep> from, to;
    bool fits = is_code(x.type) && (x.rank() == 3 || x.rank() == 4) && are_small(x.dims);
    for (std::size_t i = 0; i < x.rank() && fits; ++i) fits = x.dims[i] > 0;
    if (fits && kind_ != Kind::max) {
      from = step_at(context, 1, x.type);
      to = step_at(context, 3, x.type);
      fits = from && to;
    }
    if (!fits) return false;
    Window window(x.rank() - 2);
    if (kind_ == Kind::global_average) {
      window.in = window.kernel = ir::Dims(x.dims.begin() + 2, x.dims.end());
      window.strides = window.dilations = window.out = ir::Dims(window.rank, 1);
      window.before = window.after = ir::Dims(window.rank, 0);
    } else {
      window = Window(context.node(), x.dims, {});
    }
    ir::Dims dims = {x.dims[0], x.dims[1]};
    dims.insert(dims.end(), window.out.begin(), window.out.end());
    const ElementType type = x.type;
    const std::int64_t images = x.dims[0], channels = x.dims[1];
    const std::byte* image = guarded([&] { return ChannelsLast(x).get(context, x); });
    const std::int64_t workers = std::min<std::int64_t>(images * window.out_size(), threads());
    auto* sums = reinterpret_cast<std::int32_t*>(context.scratch(static_cast<std::uint64_t>(workers * channels) * 4));
    Array& out = output_in(context, 0, type, dims, channels_last_layout(dims, type));
    in_code_type(type, [&]<typename T>() {
      const auto* codes = reinterpret_cast<const T*>(image);
      const std::int64_t places = images * window.out_size();
      parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t worker = begin; worker < end; ++worker) {
          for (std::int64_t i = worker * places / workers; i < (worker + 1) * places / workers; ++i) {
            const T* own = codes + i / window.out_size() * window.in_size() * channels;
            pool(window, own, channels, i % window.out_size(), from, to, sums + worker * channels,
                 out.as<T>() + i * channels);
          }
        }
      });
    });
    return true;
  }

 private:
  template <typename T>
  void pool(const Window& window, const T* image, std::int64_t channels, std::int64_t place,
            const std::optional<QuantizationStep>& from, const std::optional<QuantizationStep>& to, std::int32_t* sums,
            T* out) const {
    const std::size_t last = window.rank - 1;
    const bool flat = window.rank == 1;
    const std::int64_t row = flat ? 0 : place / window.out[1], column = flat ? place : place % window.out[1];
    const std::int64_t height = flat ? 1 : window.in[0], width = window.in[last];
    std::int64_t seen = 0;
    if (kind_ == Kind::max) {
      std::fill_n(out, channels, std::numeric_limits<T>::lowest());
    } else {
      std::fill_n(sums, channels, 0);
    }
    for (std::int64_t r = 0; r < (flat ? 1 : window.kernel[0]); ++r) {
      const std::int64_t y = flat ? 0 : row * window.strides[0] - window.before[0] + r * window.dilations[0];
      if (y < 0 || y >= height) continue;
      for (std::int64_t c = 0; c < window.kernel[last]; ++c) {
        const std::int64_t x = column * window.strides[last] - window.before[last] + c * window.dilations[last];
        if (x < 0 || x >= width) continue;
        const T* codes = image + (y * width + x) * channels;
        if (kind_ == Kind::max) {
          largest(codes, channels, out);
        } else {
          sum(codes, channels, sums);
        }
        ++seen;
      }
    }
    if (kind_ == Kind::max) return;
    const std::int64_t counted = with_padding_ ? window.taps() : std::max<std::int64_t>(seen, 1);
    const float factor = from->scale / (to->scale * static_cast<float>(counted));
    finish_mean(sums, channels, static_cast<std::int32_t>(seen) * from->zero, factor, to->zero, out);
  }

  Kind kind_;
  bool with_padding_ = false;
};

// Pairs of a tensor, its scale and its zero point, from input 2 on.
class QuantizedConcat final : public IntegerKernel {
 public:
  explicit QuantizedConcat(const KernelInfo& info) : IntegerKernel(info), axis_(info.node.int_or("axis", 0)) {}

 protected:
  bool compute(Context& context) override {
    const std::size_t count = context.input_count() / 3;
    if (context.input_count() < 5 || context.input_count() % 3 != 2) return false;
    const Array& first = context.raw_input(2);
    const ElementType type = first.type;
    if (axis_ != 1 || !is_code(type) || first.rank() < 3 || first.rank() > 5) return false;
    bool any = false;
    ir::Dims dims = first.dims;
    dims[1] = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Array& in = context.raw_input(2 + 3 * i);
      ir::Dims own = in.dims;
      if (in.type != type || own.size() != dims.size()) return false;
      dims[1] += own[1];
      own[1] = first.dims[1];
      if (own != first.dims || in.count() == 0) return false;
      any = any || is_channels_last(in);
    }
    if (!any) return false;  // rows of places are as good then
    const auto to = step_at(context, 0, type);
    if (!to) return false;
    const IntegerRange range = quantized_range(type);
    std::vector<Part> parts;
    for (std::size_t i = 0; i < count; ++i) {
      const auto from = step_at(context, 3 + 3 * i, type);
      if (!from) return false;
      const Array& in = context.raw_input(2 + 3 * i);
      Part part{guarded([&] { return ChannelsLast(in).get(context, in); }),
                in.dims[1],
                from->scale == to->scale && from->zero == to->zero,
                {}};
      for (std::int32_t code = range.low; code <= range.high; ++code) {
        const float value = static_cast<float>(code - from->zero) * from->scale;
        part.table[static_cast<std::uint8_t>(code)] =
            static_cast<std::uint8_t>(quantized(value / to->scale, to->zero, range));
      }
      parts.push_back(part);
    }
    Array& out = output_in(context, 0, type, dims, channels_last_layout(dims, type));
    const std::int64_t channels = dims[1], places = out.count() / channels;
    parallel_for(places, std::max<std::int64_t>(1, (1 << 15) / channels), [&](std::int64_t begin, std::int64_t end) {
      std::int64_t at = 0;
      for (const Part& part : parts) {
        for (std::int64_t p = begin; p < end; ++p) {
          const auto* from = reinterpret_cast<const std::uint8_t*>(part.data) + p * part.channels;
          auto* into = out.as<std::uint8_t>() + p * channels + at;
          if (part.same) {
            std::memcpy(into, from, static_cast<std::size_t>(part.channels));
          } else {
            for (std::int64_t c = 0; c < part.channels; ++c) into[c] = part.table[from[c]];
          }
        }
        at += part.channels;
      }
    });
    return true;
  }

 private:
  struct Part {
    const std::byte* data;
    std::int64_t channels;
    bool same;
    std::array<std::uint8_t, 256> table;
  };

  std::int64_t axis_;
};

template <Kind kind>
std::unique_ptr<Kernel> make_pooling(const KernelInfo& info) {
  if (!has_avx2()) return nullptr;
  const ir::Node& node = info.node;
  if (kind == Kind::max && !is_code(info.input_type(0))) return nullptr;
  if ((node.output_count() > 1 && node.output(1)) || node.int_or("storage_order", 0) != 0) return nullptr;
  if (node.int_or("ceil_mode", 0) != 0 || node.int_or("channels_last", 0) != 0) return nullptr;
  return std::make_unique<QuantizedPooling>(info, kind);
}

std::unique_ptr<Kernel> make_concat(const KernelInfo& info) {
  return has_avx2() ? std::make_unique<QuantizedConcat>(info) : nullptr;
}

}  // namespace

std::span<const KernelEntry> quantized_pooling_kernels() {
  static constexpr KernelEntry entries[] = {
      {"MaxPool", 12, make_pooling<Kind::max>},
      {"QLinearAveragePool", 1, make_pooling<Kind::average>, last_version, microsoft},
      {"QLinearGlobalAveragePool", 1, make_pooling<Kind::global_average>, last_version, microsoft},
      {"QLinearConcat", 1, make_concat, last_version, microsoft},
  };
  return entries;
}

}  // namespace hone::exec::onednn
