// QLinearConv and ConvInteger with constant weights, over one or two spatial dimensions: groups, depthwise, dilations,
// asymmetric pads, zero points of both sides. A tile of output rows reads its input rows from a copy with the padding in
// place: bytes where the weights less their zero points are 8 bits wide, 16-bit words less the zero point otherwise.
// 3 x 3 ones of many channels go by Winograd's algorithm (integer_winograd.h) where the CPU has AVX2 alone, and on some CPUs all but
// depthwise ones by oneDNN (byte_way.h).
//
// Given back to the reference kernel: more dimensions, weights that change, empty tensors, what is not valid.
#include <cstring>

#include "exec/onednn/avx2.h"
#include "exec/onednn/byte_way.h"
#include "exec/onednn/channels_last.h"
#include "exec/onednn/families.h"
#include "exec/onednn/integer_core.h"
#include "exec/onednn/integer_primitive.h"
#include "exec/onednn/integer_winograd.h"
#include "exec/onednn/vnni_panels.h"
#include "exec/reference/quantization.h"
#include "exec/reference/window.h"
#include "hone/ir/dimension.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

using ir::ElementType;

// A tile's copy of the input stays in the second-level cache beside the weights it meets.
constexpr std::int64_t tile_bytes = 128 << 10;
// Sums of a thread that stay in its second-level cache, of one that has VNNI (1 MiB or more); for oneDNN's primitives.
constexpr std::int64_t sum_bytes = 512 << 10;

class QuantizedConvolution final : public Kernel {
 public:
  QuantizedConvolution(const KernelInfo& info, bool linear)
      : fallback_(info), linear_(linear), weight_at_(linear ? 3 : 1), x_zero_at_(2), weight_zero_at_(linear ? 5 : 3) {
    group_ = info.node.int_or("group", 1);
    weights_ = info.constant_input(weight_at_);
    if (info.node.input(weight_zero_at_)) weight_zero_ = info.constant_input(weight_zero_at_);
    for (const std::size_t i : {1, 4, 6, 8}) {
      constant_scales_ = constant_scales_ && (!info.node.input(i) || info.constant_input(i));
    }
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.raw_input(0);
    shapes_.begin_key();
    shapes_.add(x);
    Entry* entry = shapes_.find();
    if (!entry) entry = &shapes_.insert(guarded([&] { return plan(context, x); }), {x.layout});
    if (!entry->runs || !is_valid(context, x.type)) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    Requantization by;
    by.type = linear_ ? context.input(7).type : ElementType::int32;
    if (linear_) {
      find_scales(context);
      by.factor = columns_.factor.data();
      if (context.has_input(8)) by.addend = columns_.addend.data();
      by.zero = zero_point(context, 7);
    }
    const Entry& e = *entry;
    const std::int32_t zero = zero_point(context, x_zero_at_);
    const ElementType type = x.type;
    if (narrow_ && !e.winograd) by.addend = addend_less_zero(by.addend, byte_zero(type, zero));
    const std::byte* image = entry->source.get(context, x);
    const bool as_is = e.as_is && type == ElementType::uint8;
    if (!e.layout || e.layout_type != by.type) {
      entry->layout = channels_last_layout(e.dims, by.type);
      entry->layout_type = by.type;
    }
    Array& out = output_in(context, 0, by.type, e.dims, e.layout);
    const auto step = static_cast<std::int64_t>(e.dims[1] * ir::bit_width(by.type) / 8);
    if (e.winograd) {
      std::byte* scratch = context.scratch(e.winograd->scratch_bytes());
      e.winograd->run(image, type, zero, *winograd_weights_, by, scratch, out.data, step);
      return;
    }
    if (primitives_) {
      run_primitives(context, *entry, image, type, zero, as_is, by, out.data, step);
      return;
    }
    const std::int64_t parts = worthwhile_threads(e.seconds);
    const std::int64_t all_rows = e.batch * e.out_h;
    // Threads share the rows of the output; its channels, where rows are few and leave one with more than another.
    const bool by_panels = all_rows % parts != 0 && all_rows < 16 * parts && e.panels >= 2 * parts;
    const std::uint64_t copy_bytes = static_cast<std::uint64_t>(e.tile_size) * (narrow_ ? 1 : sizeof(std::int16_t));
    std::byte* copies = context.scratch(as_is ? 0 : static_cast<std::uint64_t>(parts) * copy_bytes);
    parallel_for(parts, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t part = begin; part < end; ++part) {
        std::byte* copy = copies + static_cast<std::uint64_t>(part) * copy_bytes;
        auto* bytes = reinterpret_cast<std::uint8_t*>(copy);
        auto* words = reinterpret_cast<std::int16_t*>(copy);
        const std::int64_t first_panel = by_panels ? part * e.panels / parts : 0;
        const std::int64_t last_panel = by_panels ? (part + 1) * e.panels / parts : e.panels;
        const std::int64_t last_row = by_panels ? all_rows : (part + 1) * all_rows / parts;
        for (std::int64_t row = by_panels ? 0 : part * all_rows / parts; row < last_row;) {
          const std::int64_t n = row / e.out_h, first = row % e.out_h;
          const std::int64_t count = std::min({e.tile_rows, e.out_h - first, last_row - row});
          const std::byte* from = image + n * e.image_size;
          const std::int64_t places = count * e.out_w;
          std::byte* to = out.data + row * e.out_w * step;
          if (as_is) {
            const std::byte* rows = from + first * e.step_h * e.w * e.channels;
            multiply_bytes(e, reinterpret_cast<const std::uint8_t*>(rows), places, by, first_panel, last_panel, to,
                           step);
          } else if (narrow_) {
            fill(e, from, type, zero, first, first + count, bytes);
            multiply_bytes(e, bytes, places, by, first_panel, last_panel, to, step);
          } else {
            fill(e, from, type, zero, first, first + count, words);
            if (depthwise_) {
              multiply_depthwise(e, words, places, by, first_panel, last_panel, to, step);
            } else {
              multiply(e, groups_, words, places, by, first_panel, last_panel, to, step);
            }
          }
          row += count;
        }
      }
    });
  }

 private:
  struct Entry {
    bool runs = false;
    bool as_is = false;  // unsigned codes lie as a tile's copy would
    std::optional<IntegerWinograd> winograd;
    IntegerPrimitive whole, rest;  // of `whole_rows` rows of the output, and of what they leave
    std::int64_t whole_rows = 0;
    ChannelsLast source;
    ir::Dims dims;  // of the result
    std::shared_ptr<const Layout> layout;
    ElementType layout_type = ElementType::undefined;
    std::int64_t channels = 0, h = 0, w = 0, out_h = 0, out_w = 0, image_size = 0;
    std::int64_t before_h = 0, before_w = 0;
    std::int64_t step_h = 1, step_w = 1;      // in the copy, from one output place to the next
    std::int64_t source_h = 1, source_w = 1;  // in the input, from one place of the copy to the next
    std::int64_t width = 0, span_h = 0;       // of the copy: places in a row; rows that one output row reads
    std::int64_t tile_rows = 0, tile_size = 0, panels = 0, batch = 0;
    double seconds = 0;                 // on one thread, roughly
    std::vector<std::int64_t> places;   // by output place of a tile: its first place in the copy
    std::vector<std::int64_t> offsets;  // by segment (depthwise: by tap), from there
  };

  static std::int64_t even(std::int64_t n) { return n + n % 2; }

  Entry plan(Context& context, const Array& x) {
    Entry e;
    const ir::Dims& w = weights_->dims();
    if (!is_code(x.type) || x.rank() != w.size() || !are_small(x.dims) || group_ < 1) return e;
    for (const std::int64_t dim : x.dims) {
      if (dim < 1) return e;
    }
    if (x.dims[1] != w[1] * group_ || w[0] % group_ != 0) return e;
    const Window window(context.node(), x.dims, ir::Dims(w.begin() + 2, w.end()));
    e.dims = {x.dims[0], w[0]};
    for (const std::int64_t size : window.out) {
      if (size < 1) return e;
      e.dims.push_back(size);
    }
    // One spatial dimension is a row.
    const bool flat = window.rank == 1;
    const auto at = [&](const ir::Dims& values, std::size_t i, std::int64_t otherwise) {
      return flat ? (i == 0 ? otherwise : values[0]) : values[i];
    };
    const std::int64_t kernel_h = at(window.kernel, 0, 1), kernel_w = at(window.kernel, 1, 1);
    const std::int64_t apart_h = at(window.dilations, 0, 1), apart_w = at(window.dilations, 1, 1);
    e.batch = x.dims[0];
    e.channels = x.dims[1];
    e.h = at(window.in, 0, 1);
    e.w = at(window.in, 1, 1);
    e.out_h = at(window.out, 0, 1);
    e.out_w = at(window.out, 1, 1);
    e.image_size = e.channels * e.h * e.w;
    e.before_h = at(window.before, 0, 0);
    e.before_w = at(window.before, 1, 0);
    e.step_h = at(window.strides, 0, 1);
    e.step_w = at(window.strides, 1, 1);
    e.source = ChannelsLast(x);
    e.runs = true;
    name_ = integer_kernel_name;
    const bool one_apart = std::max({e.step_h, e.step_w, apart_h, apart_w}) == 1;
    if (way_ == ByteWay::windows && group_ == 1 && kernel_h == 3 && kernel_w == 3 && one_apart) {
      const WinogradShape shape{e.batch, e.channels, w[0], e.h, e.w, e.before_h, e.before_w, e.out_h, e.out_w};
      if (IntegerWinograd::fits(shape, largest())) {
        pack_winograd();
        e.winograd.emplace(shape);
        return e;
      }
    }
    pack();
    if (!vnni_.empty()) name_ = vnni_kernel_name;
    // A kernel of one row or column reads only what it steps on.
    if (kernel_h == 1) std::swap(e.step_h, e.source_h);
    if (kernel_w == 1) std::swap(e.step_w, e.source_w);
    e.span_h = (kernel_h - 1) * apart_h + 1;
    e.width = (e.out_w - 1) * e.step_w + (kernel_w - 1) * apart_w + 1;
    const std::int64_t place = place_size();
    const auto size_of = [&](std::int64_t rows) { return ((rows - 1) * e.step_h + e.span_h) * e.width * place; };
    e.tile_rows = e.out_h;
    while (e.tile_rows > 1 && size_of(e.tile_rows) * (narrow_ ? 1 : 2) > tile_bytes)
      e.tile_rows = (e.tile_rows + 1) / 2;
    const auto results = static_cast<double>(e.batch * w[0] * e.out_h * e.out_w);
    // A channel by itself is read for each of its products: a fifth of the speed.
    e.seconds =
        integer_seconds(results * static_cast<double>(w[1] * kernel_h * kernel_w) * (depthwise_ ? 5 : 1), results);
    e.panels = depthwise_ ? panel_count(w[0]) : group_ * panels_of_group();
    e.as_is = narrow_ && place == e.channels && place % 4 == 0 && e.source_h == 1 && e.source_w == 1 &&
              e.before_h == 0 && e.before_w == 0 && e.width == e.w && (e.out_h - 1) * e.step_h + e.span_h <= e.h;
    if (primitives_ && narrow_) {
      const auto make = [&](std::int64_t rows) {
        return IntegerPrimitive::convolution({group_, e.channels, w[0], (rows - 1) * e.step_h + e.span_h, e.width, rows,
                                              e.out_w, kernel_h, kernel_w, e.step_h, e.step_w, apart_h, apart_w});
      };
      const std::int64_t most = std::max<std::int64_t>(1, threads() * sum_bytes / (e.out_w * w[0] * 4));
      const std::int64_t parts = (e.out_h + most - 1) / most;
      e.whole_rows = (e.out_h + parts - 1) / parts;
      e.whole = make(e.whole_rows);
      if (const std::int64_t left = e.out_h % e.whole_rows; e.whole && left > 0) e.rest = make(left);
      if (!e.whole || (e.out_h % e.whole_rows > 0 && !e.rest)) {
        primitives_ = packed_ = false;
        return plan(context, x);
      }
    }
    e.tile_size = (size_of(e.tile_rows) + 4 + 63) / 64 * 64;  // the last quad may reach 3 bytes over the end
    for (std::int64_t r = 0; r < e.tile_rows; ++r) {
      for (std::int64_t c = 0; c < e.out_w; ++c) e.places.push_back((r * e.step_h * e.width + c * e.step_w) * place);
    }
    for (std::int64_t r = 0; r < kernel_h; ++r) {
      for (std::int64_t c = 0; c < (segment_is_row_ ? 1 : kernel_w); ++c)
        e.offsets.push_back((r * apart_h * e.width + c * apart_w) * place);
    }
    return e;
  }

  std::int64_t panels_of_group() const {
    const std::int64_t each = weights_->dims()[0] / group_;
    return vnni_.empty() ? panel_count(each) : vnni_[0].count();
  }

  // Input channels of a group as they lie in the copy: runs of words are pairs.
  std::int64_t channels_of_place() const {
    const std::int64_t own = weights_->dims()[1];
    return narrow_ || segment_is_row_ ? own : even(own);
  }

  // Elements of a place in the copy.
  std::int64_t place_size() const {
    const ir::Dims& w = weights_->dims();
    if (depthwise_) return panel_count(w[0]) * panel_columns;
    return group_ * channels_of_place();
  }

  // What a model can get wrong is for the reference kernel to say.
  bool is_valid(Context& context, ElementType type) const {
    const auto one = [&](std::size_t i, ElementType wanted) {
      const Array& array = context.input(i);
      return array.type == wanted && array.count() == 1;
    };
    if (context.has_input(x_zero_at_) && !one(x_zero_at_, type)) return false;
    if (!linear_) return true;
    const std::int64_t channels = weights_->dims()[0];
    const Array& scales = context.input(4);
    if (!one(1, ElementType::float32) || !one(6, ElementType::float32)) return false;
    if (scales.type != ElementType::float32 || (scales.count() != 1 && scales.count() != channels)) return false;
    if (context.input(7).count() != 1 || !is_code(context.input(7).type)) return false;
    if (!context.has_input(8)) return true;
    const Array& bias = context.input(8);
    return bias.type == ElementType::int32 && bias.count() == channels;
  }

  void find_scales(Context& context) {
    if (constant_scales_ && !columns_.factor.empty()) return;
    const std::int64_t channels = weights_->dims()[0], each = channels / group_;
    const float x = *context.input(1).as<float>(), y = *context.input(6).as<float>();
    const Array& scales = context.input(4);
    const auto* bias = context.has_input(8) ? context.input(8).as<std::int32_t>() : nullptr;
    const std::size_t in_group = depthwise_ ? 1 : whole_panels(each);
    const std::size_t size = depthwise_ ? whole_panels(channels) : static_cast<std::size_t>(group_) * in_group;
    columns_.factor.assign(size, 0.0F);
    columns_.addend.assign(size, 0);
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::size_t to = static_cast<std::size_t>(c / each) * in_group + static_cast<std::size_t>(c % each);
      columns_.factor[to] = x * scales.as<float>()[scales.count() == 1 ? 0 : c] / y;
      if (bias) columns_.addend[to] = bias[c];
    }
  }

  std::vector<std::int32_t> zeros() const {
    std::vector<std::int32_t> result(static_cast<std::size_t>(weights_->dims()[0]), 0);
    if (!weight_zero_) return result;
    const std::vector<std::int64_t> values = weight_zero_->to_ints();
    for (std::size_t i = 0; i < result.size(); ++i)
      result[i] = static_cast<std::int32_t>(values[values.size() == 1 ? 0 : i]);
    return result;
  }

  // Calls f(codes, zero points) with the weights as they are.
  template <typename F>
  auto with_codes(F&& f) const {
    const ir::Tensor loaded = weights_->loaded();
    const std::byte* codes = loaded.bytes().data();
    const std::vector<std::int32_t> zero = zeros();
    return loaded.type() == ElementType::int8 ? f(reinterpret_cast<const std::int8_t*>(codes), zero)
                                              : f(reinterpret_cast<const std::uint8_t*>(codes), zero);
  }

  // The largest size of a weight less its zero point.
  std::int64_t largest() const {
    return with_codes([&](const auto* codes, const std::vector<std::int32_t>& zero) {
      const std::int64_t count = weights_->element_count(), per_channel = count / weights_->dims()[0];
      std::int32_t result = 0;
      for (std::int64_t i = 0; i < count; ++i)
        result = std::max(result, std::abs(codes[i] - zero[static_cast<std::size_t>(i / per_channel)]));
      return std::int64_t{result};
    });
  }

  void pack_winograd() {
    if (winograd_weights_) return;
    with_codes([&](const auto* codes, const std::vector<std::int32_t>& zero) {
      const std::int64_t in = weights_->dims()[1];
      winograd_weights_.emplace(
          IntegerWinograd::weights(in, weights_->dims()[0], [&](std::int64_t out, std::int64_t c, std::int64_t tap) {
            return codes[(out * in + c) * 9 + tap] - zero[static_cast<std::size_t>(out)];
          }));
    });
  }

  void pack() {
    if (packed_) return;
    packed_ = true;
    with_codes([&](const auto* codes, const std::vector<std::int32_t>& zero) { pack(codes, zero); });
  }
  template <typename T>
  void pack(const T* codes, const std::vector<std::int32_t>& zero) {
    const ir::Dims& w = weights_->dims();
    const std::int64_t taps = product(w, 2, w.size()), per_channel = w[1] * taps;
    if (depthwise_) {
      pack_taps(taps, [&](std::int64_t channel, std::int64_t tap) {
        return codes[channel * taps + tap] - zero[static_cast<std::size_t>(channel)];
      });
      return;
    }
    narrow_ = true;
    sums_.assign(static_cast<std::size_t>(w[0]), 0);
    for (std::int64_t channel = 0; channel < w[0]; ++channel) {
      for (std::int64_t i = 0; i < per_channel; ++i) {
        const std::int32_t value = codes[channel * per_channel + i] - zero[static_cast<std::size_t>(channel)];
        narrow_ = narrow_ && value >= -128 && value <= 127;
        sums_[static_cast<std::size_t>(channel)] += value;
      }
    }
    if (narrow_ && primitives_) return;
    primitives_ = false;
    if (narrow_ && way_ == ByteWay::vnni_panels) return pack_as(vnni_, codes, zero);
    if (narrow_) {
      pack_as(bytes_, codes, zero);
      double work = 0;
      for (const BytePanels& group : bytes_) work += group.work() / static_cast<double>(group_);
      narrow_ = work <= most_byte_work;
      if (!narrow_) bytes_.clear();
    }
    if (!narrow_) pack_as(groups_, codes, zero);
  }
  template <typename Panels, typename T>
  void pack_as(std::vector<Panels>& groups, const T* codes, const std::vector<std::int32_t>& zero) {
    const ir::Dims& w = weights_->dims();
    const std::int64_t in = w[1], each = w[0] / group_, kernel_w = w.back(), taps = product(w, 2, w.size());
    const std::int64_t place = channels_of_place();
    const std::int64_t segments = segment_is_row_ ? taps / kernel_w : taps;
    const std::int64_t length = segment_is_row_ ? kernel_w * place : place;
    // By segment and depth: where a channel's weight is among its own, or -1 for padding.
    std::vector<std::int64_t> from;
    for (std::int64_t segment = 0; segment < segments; ++segment) {
      for (std::int64_t k = 0; k < length; ++k) {
        const std::int64_t tap = segment_is_row_ ? segment * kernel_w + k / place : segment, c = k % place;
        from.push_back(c < in ? c * taps + tap : -1);
      }
    }
    for (std::int64_t g = 0; g < group_; ++g) {
      const auto at = [&](std::int64_t segment, std::int64_t k, std::int64_t column) {
        const std::int64_t channel = g * each + column, own = from[static_cast<std::size_t>(segment * length + k)];
        return own < 0 ? 0 : codes[channel * in * taps + own] - zero[static_cast<std::size_t>(channel)];
      };
      if constexpr (std::is_same_v<Panels, IntegerPanels>) {
        groups.emplace_back(segments, length, each).fill(at);
      } else {
        groups.emplace_back(segments, length, each, at);
      }
    }
  }

  // (x - zero) * w = x * w - zero * w: the last is the same at every place, since padding holds the zero point.
  const std::int32_t* addend_less_zero(const std::int32_t* addend, std::int32_t zero) {
    const std::int64_t each = weights_->dims()[0] / group_;
    const std::size_t in_group = whole_panels(each);
    less_zero_.assign(static_cast<std::size_t>(group_) * in_group, 0);
    for (std::size_t i = 0; i < less_zero_.size(); ++i) {
      const std::size_t column = i % in_group;
      if (column >= static_cast<std::size_t>(each)) continue;
      const std::int32_t sum = sums_[i / in_group * static_cast<std::size_t>(each) + column];
      less_zero_[i] = static_cast<std::int32_t>(static_cast<std::uint32_t>(addend ? addend[i] : 0) -
                                                static_cast<std::uint32_t>(zero) * static_cast<std::uint32_t>(sum));
    }
    return less_zero_.data();
  }

  // Two taps beside each other for 16 channels, in the order in which unpacking puts them: 0 to 3 and 8 to 11, 4 to 7
  // and 12 to 15.
  template <typename F>
  void pack_taps(std::int64_t taps, F&& at) {
    const std::int64_t channels = weights_->dims()[0], blocks = panel_count(channels), pairs = (taps + 1) / 2;
    taps_ = std::make_unique<Buffer>(static_cast<std::size_t>(blocks * pairs * 2 * panel_columns) * 2);
    auto* to = reinterpret_cast<std::int16_t*>(taps_->data());
    for (std::int64_t block = 0; block < blocks; ++block) {
      for (std::int64_t pair = 0; pair < pairs; ++pair) {
        for (std::int64_t i = 0; i < panel_columns; ++i) {
          const std::int64_t half = i / 8, lane = i / 4 % 2;
          const std::int64_t channel = block * panel_columns + lane * 8 + half * 4 + i % 4;
          for (std::int64_t tap = 2 * pair; tap < 2 * pair + 2; ++tap)
            *to++ = channel < channels && tap < taps ? static_cast<std::int16_t>(at(channel, tap)) : std::int16_t{0};
        }
      }
    }
  }

  // The input rows of output rows [first, last): words less the zero point, or bytes.
  template <typename T>
  void fill(const Entry& e, const std::byte* image, ElementType type, std::int32_t zero, std::int64_t first,
            std::int64_t last, T* copy) const {
    constexpr bool words = sizeof(T) == 2;
    const T padding = words ? T{0} : static_cast<T>(byte_zero(type, zero));
    const auto put = [&](const std::byte* from, std::int64_t count, T* to) {
      if constexpr (words) {
        widen(from, type, zero, count, to);
      } else {
        to_bytes(from, type, count, to);
      }
    };
    const std::int64_t place = place_size(), row_size = e.width * place;
    const std::int64_t rows = (last - first - 1) * e.step_h + e.span_h;
    const std::int64_t left = std::min(e.before_w, e.width);
    const std::int64_t own = weights_->dims()[1], each = depthwise_ ? own : channels_of_place();
    const bool dense = place == e.channels && e.source_w == 1;
    const auto fill_row = [&](std::int64_t r, T* line) {
      const std::int64_t y = (first * e.step_h + r) * e.source_h - e.before_h;
      if (y < 0 || y >= e.h) {
        std::fill_n(line, row_size, padding);
        return;
      }
      const std::byte* from = image + y * e.w * e.channels;
      if (dense) {
        const std::int64_t count = std::clamp<std::int64_t>(e.width - left, 0, e.w);
        std::fill_n(line, left * place, padding);
        put(from, count * place, line + left * place);
        std::fill_n(line + (left + count) * place, (e.width - left - count) * place, padding);
        return;
      }
      for (std::int64_t c = 0; c < e.width; ++c) {
        const std::int64_t x = c * e.source_w - e.before_w;
        T* to = line + c * place;
        if (x < 0 || x >= e.w) {
          std::fill_n(to, place, padding);
        } else if (depthwise_ || own == each) {
          put(from + x * e.channels, e.channels, to);
          std::fill_n(to + e.channels, place - e.channels, padding);
        } else {
          for (std::int64_t g = 0; g < group_; ++g) {
            put(from + x * e.channels + g * own, own, to + g * each);
            to[g * each + own] = 0;
          }
        }
      }
    };
    parallel_for(rows, std::max<std::int64_t>(1, (1 << 15) / row_size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) fill_row(r, copy + r * row_size);
    });
  }

  // By oneDNN, a part of the output rows at a time, so that their sums stay in the cache.
  void run_primitives(Context& context, Entry& e, const std::byte* image, ElementType type, std::int32_t zero,
                      bool as_is, const Requantization& by, std::byte* out, std::int64_t step) {
    const std::int64_t row_size = e.width * place_size(), channels = weights_->dims()[0];
    const std::int64_t copied = ((e.whole_rows - 1) * e.step_h + e.span_h) * row_size;
    auto* copy = reinterpret_cast<std::uint8_t*>(context.scratch(as_is ? 0 : static_cast<std::uint64_t>(copied)));
    auto* sums = reinterpret_cast<std::int32_t*>(
        context.scratch(static_cast<std::uint64_t>(e.whole_rows * e.out_w * channels) * sizeof(std::int32_t) + 64));
    std::byte* scratch = context.scratch(std::max(e.whole.scratch_bytes(), e.rest.scratch_bytes()));
    for (std::int64_t n = 0; n < e.batch; ++n, image += e.image_size) {
      for (std::int64_t first = 0; first < e.out_h; first += e.whole_rows) {
        const std::int64_t count = std::min(e.whole_rows, e.out_h - first);
        if (!as_is) fill(e, image, type, zero, first, first + count, copy);
        IntegerPrimitive& primitive = count == e.whole_rows ? e.whole : e.rest;
        const void* weights = primitive.pack(packed_weights_, [&](std::byte* to) {
          with_codes([&](const auto* codes, const std::vector<std::int32_t>& zeros) {
            const std::int64_t all = weights_->element_count(), per_channel = all / channels;
            for (std::int64_t i = 0; i < all; ++i)
              to[i] = static_cast<std::byte>(codes[i] - zeros[static_cast<std::size_t>(i / per_channel)]);
          });
        });
        primitive.run(as_is ? reinterpret_cast<const std::uint8_t*>(image) + first * e.step_h * row_size : copy,
                      weights, scratch, sums);
        finish_rows(sums, count * e.out_w, group_, channels / group_, by, out + (n * e.out_h + first) * e.out_w * step);
        name_ = primitive.name();
      }
    }
  }

  void multiply_bytes(const Entry& e, const std::uint8_t* copy, std::int64_t places, const Requantization& by,
                      std::int64_t first_panel, std::int64_t last_panel, std::byte* out, std::int64_t step) const {
    if (vnni_.empty()) {
      multiply(e, bytes_, copy, places, by, first_panel, last_panel, out, step);
    } else {
      multiply(e, vnni_, copy, places, by, first_panel, last_panel, out, step);
    }
  }

  template <typename Panels, typename T>
  void multiply(const Entry& e, const std::vector<Panels>& groups, const T* copy, std::int64_t places,
                const Requantization& by, std::int64_t first_panel, std::int64_t last_panel, std::byte* out,
                std::int64_t step) const {
    const std::int64_t each = weights_->dims()[0] / group_, in_group = groups[0].count();
    const std::int64_t size = place_size() / group_;
    const std::int64_t width = static_cast<std::int64_t>(ir::bit_width(by.type) / 8);
    for (std::int64_t p = first_panel; p < last_panel; ++p) {
      const std::int64_t g = p / in_group, own = p % in_group, column = own * Panels::width;
      const Panels& panels = groups[static_cast<std::size_t>(g)];
      const auto panel = panels.panel(own);
      const std::int64_t columns = std::min(Panels::width, each - column);
      const std::int64_t first = g * static_cast<std::int64_t>(whole_panels(each)) + column;
      std::byte* to = out + (g * each + column) * width;
      std::span<const std::byte> upcoming;
      if (p + 1 < last_panel && own + 1 < in_group) upcoming = std::as_bytes(panels.panel(own + 1).weights);
      Prefetch next(upcoming, places);
      for (std::int64_t i = 0; i < places; i += rows_at_once) {
        const std::int64_t count = std::min(rows_at_once, places - i);
        const T* rows[rows_at_once];
        for (std::int64_t r = 0; r < count; ++r) rows[r] = copy + e.places[static_cast<std::size_t>(i + r)] + g * size;
        next.advance();
        multiply_and_finish(rows, count, e.offsets, panel, by, first, columns, to + i * step, step);
      }
    }
  }

  void multiply_depthwise(const Entry& e, const std::int16_t* copy, std::int64_t places, const Requantization& by,
                          std::int64_t first_panel, std::int64_t last_panel, std::byte* out, std::int64_t step) const {
    const std::int64_t channels = weights_->dims()[0];
    const std::int64_t width = static_cast<std::int64_t>(ir::bit_width(by.type) / 8);
    const auto taps = static_cast<std::int64_t>(e.offsets.size());
    const auto* weights = reinterpret_cast<const std::int16_t*>(taps_->data());
    // Of some places all channels, so that what they read stays in the first-level cache.
    constexpr std::int64_t at_once = 32;
    alignas(32) std::array<std::int32_t, at_once * panel_columns> sums;
    for (std::int64_t i = 0; i < places; i += at_once) {
      const std::int64_t count = std::min(at_once, places - i);
      for (std::int64_t b = first_panel; b < last_panel; ++b) {
        const std::int64_t column = b * panel_columns, columns = std::min(panel_columns, channels - column);
        const std::int16_t* own = weights + b * ((taps + 1) / 2) * 2 * panel_columns;
        multiply_taps(copy + column, e.places.data() + i, count, e.offsets, own, sums.data());
        finish_tile(sums.data(), count, columns, by, column, out + i * step + column * width, step);
      }
    }
  }

  Fallback fallback_;
  bool linear_;
  std::size_t weight_at_, x_zero_at_, weight_zero_at_;
  std::int64_t group_ = 1;
  const ir::Tensor* weights_ = nullptr;
  const ir::Tensor* weight_zero_ = nullptr;
  bool constant_scales_ = true, packed_ = false, depthwise_ = false, segment_is_row_ = false;
  bool narrow_ = false;  // as bytes, not as words
  // By group; one of them holds the weights.
  std::vector<BytePanels> bytes_;
  std::vector<VnniPanels> vnni_;
  std::vector<IntegerPanels> groups_;
  std::optional<IntegerPanels> winograd_weights_;
  ByteWay way_ = byte_way();
  bool primitives_ = false;         // oneDNN's, in place of the above
  PackedWeights packed_weights_;    // for them
  std::vector<std::int32_t> sums_;  // of the weights of a channel
  std::vector<std::int32_t> less_zero_;
  std::unique_ptr<Buffer> taps_;
  ColumnValues columns_;
  ShapeCache<Entry> shapes_;
  std::string name_ = std::string(integer_kernel_name);

 public:
  // Null: not for this kernel.
  static std::unique_ptr<Kernel> make(const KernelInfo& info, bool linear) {
    if (!has_avx2()) return nullptr;
    auto kernel = std::make_unique<QuantizedConvolution>(info, linear);
    const ir::Tensor *weights = kernel->weights_, *zero = kernel->weight_zero_;
    if (!weights || !is_code(weights->type()) || weights->rank() < 3 || weights->rank() > 4) return nullptr;
    const ir::Dims& w = weights->dims();
    for (const std::int64_t dim : w) {
      if (dim < 1 || dim > std::numeric_limits<std::int32_t>::max()) return nullptr;
    }
    if (info.node.input(kernel->weight_zero_at_) &&
        (!zero || zero->type() != weights->type() || (zero->element_count() != 1 && zero->element_count() != w[0]))) {
      return nullptr;
    }
    const std::int64_t group = kernel->group_;
    kernel->depthwise_ = group > 1 && group == w[0] && w[1] == 1;
    const std::vector<std::int64_t> dilations = info.node.ints_or("dilations", {});
    kernel->primitives_ = !kernel->depthwise_ && kernel->way_ == ByteWay::primitives;
    kernel->segment_is_row_ = group == 1 && (dilations.empty() || dilations.back() == 1);
    return kernel;
  }
};

template <bool Linear>
std::unique_ptr<Kernel> make_convolution(const KernelInfo& info) {
  return QuantizedConvolution::make(info, Linear);
}

}  // namespace

std::span<const KernelEntry> quantized_convolution_kernels() {
  static constexpr KernelEntry entries[] = {
      {"QLinearConv", 10, make_convolution<true>},
      {"ConvInteger", 10, make_convolution<false>},
  };
  return entries;
}

}  // namespace hone::exec::onednn
