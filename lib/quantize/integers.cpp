#include "quantize/integers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "hone/support/error.h"

namespace hone::quantize {
namespace {

constexpr std::uint64_t kWindow = 1 << 18;  // floats held at a time

std::uint64_t inner_size(const ir::Tensor& tensor, std::size_t axis) {
  std::uint64_t inner = 1;
  for (std::size_t i = axis + 1; i < tensor.rank(); ++i) inner *= static_cast<std::uint64_t>(tensor.dims()[i]);
  return inner;
}

class Quantized final : public ir::DeferredBytes {
 public:
  Quantized(ir::Tensor source, std::optional<std::size_t> axis, std::vector<float> scales, int most)
      : source_(std::move(source)),
        inner_(axis ? inner_size(source_, *axis) : 1),
        scales_(std::move(scales)),
        most_(static_cast<float>(most)) {}

  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    std::vector<float> window;
    while (!out.empty()) {
      const std::size_t count = std::min<std::size_t>(kWindow, out.size());
      window.resize(count);
      source_.read(offset * sizeof(float), std::as_writable_bytes(std::span(window)));
      for (std::size_t i = 0; i < count; ++i) {
        const float scale = scales_.size() == 1 ? scales_[0] : scales_[(offset + i) / inner_ % scales_.size()];
        const float rounded = std::nearbyintf(window[i] / scale);
        const float clamped = std::min(most_, std::max(-most_, rounded));
        out[i] = static_cast<std::byte>(static_cast<std::int8_t>(clamped));
      }
      out = out.subspan(count);
      offset += count;
    }
  }
  double cost_per_byte() const override { return 4; }

 private:
  ir::Tensor source_;
  std::uint64_t inner_;
  std::vector<float> scales_;
  float most_;
};

}  // namespace

Parameters uint8_parameters(float min, float max) {
  min = std::min(min, 0.0f);
  max = std::max(max, 0.0f);
  const float scale = (max - min) / 255.0f;
  // Below the least normal number a division by the scale overflows.
  if (!(scale >= 1.17549435e-38f)) return {};
  const float zero = std::nearbyintf(-min / scale);
  return {scale, static_cast<std::uint8_t>(std::min(255.0f, std::max(0.0f, zero)))};
}

std::vector<float> symmetric_scales(const ir::Tensor& weight, std::optional<std::size_t> axis, int most) {
  const std::uint64_t inner = axis ? inner_size(weight, *axis) : 1;
  std::vector<float> largest(axis ? static_cast<std::size_t>(weight.dims()[*axis]) : 1, 0.0f);
  std::vector<float> window(kWindow);
  const auto count = static_cast<std::uint64_t>(weight.element_count());
  for (std::uint64_t at = 0; at < count; at += kWindow) {
    const std::size_t length = std::min<std::uint64_t>(kWindow, count - at);
    weight.read(at * sizeof(float), std::as_writable_bytes(std::span(window.data(), length)));
    for (std::size_t i = 0; i < length; ++i) {
      float& most_of_channel = largest[largest.size() == 1 ? 0 : (at + i) / inner % largest.size()];
      const float size = std::abs(window[i]);
      if (!std::isfinite(size)) bad_input("a weight is {}: it can't be quantized", window[i]);
      most_of_channel = std::max(most_of_channel, size);
    }
  }
  for (float& scale : largest) {
    scale /= static_cast<float>(most);
    if (!(scale >= 1.17549435e-38f)) scale = 1;
  }
  return largest;
}

ir::Tensor quantize_symmetric(const ir::Tensor& weight, std::optional<std::size_t> axis, std::vector<float> scales,
                              int most) {
  return ir::Tensor::deferred(ir::ElementType::int8, weight.dims(),
                              std::make_shared<Quantized>(weight, axis, std::move(scales), most));
}

ir::Tensor quantize_bias(const std::vector<float>& bias, float input_scale, std::vector<float>& weight_scales) {
  constexpr double kMost = 2147483647.0;
  ir::Tensor result = ir::Tensor::allocate(ir::ElementType::int32, {static_cast<std::int64_t>(bias.size())});
  auto out = result.mutable_data<std::int32_t>();
  for (std::size_t c = 0; c < bias.size(); ++c) {
    float& weight_scale = weight_scales[weight_scales.size() == 1 ? 0 : c];
    while (std::abs(static_cast<double>(bias[c])) / static_cast<double>(input_scale * weight_scale) > kMost) {
      weight_scale *= 1.0001f;
      const double needed = std::abs(static_cast<double>(bias[c])) / kMost / static_cast<double>(input_scale);
      weight_scale = std::max(weight_scale, static_cast<float>(needed * 1.0001));
    }
  }
  for (std::size_t c = 0; c < bias.size(); ++c) {
    const float scale = input_scale * weight_scales[weight_scales.size() == 1 ? 0 : c];
    out[c] = static_cast<std::int32_t>(std::nearbyint(static_cast<double>(bias[c]) / static_cast<double>(scale)));
  }
  return result;
}

}  // namespace hone::quantize
