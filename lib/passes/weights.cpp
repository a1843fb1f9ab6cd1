#include "passes/weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hone/support/error.h"

namespace hone::passes {
namespace {

using ir::ElementType;

// Below this a weight is computed at once: it costs less than the bookkeeping of a deferred one.
constexpr std::uint64_t kDeferAbove = 1 << 20;
constexpr std::uint64_t kWindow = 1 << 20;  // elements, or bytes of rows, held at a time

double load(ElementType type, const std::byte* at) {
  switch (type) {
    case ElementType::float32: {
      float v;
      std::memcpy(&v, at, 4);
      return v;
    }
    case ElementType::float64: {
      double v;
      std::memcpy(&v, at, 8);
      return v;
    }
    case ElementType::float16: {
      float16 v;
      std::memcpy(&v, at, 2);
      return to_float(v);
    }
    case ElementType::bfloat16: {
      bfloat16 v;
      std::memcpy(&v, at, 2);
      return to_float(v);
    }
    default:
      fail(ErrorKind::internal, "weight arithmetic on {}", ir::name(type));
  }
}

void store(ElementType type, double value, std::byte* at) {
  switch (type) {
    case ElementType::float32: {
      const float v = static_cast<float>(value);
      std::memcpy(at, &v, 4);
      return;
    }
    case ElementType::float64:
      std::memcpy(at, &value, 8);
      return;
    case ElementType::float16: {
      const float16 v = to_float16(value);
      std::memcpy(at, &v, 2);
      return;
    }
    case ElementType::bfloat16: {
      const bfloat16 v = to_bfloat16(static_cast<float>(value));
      std::memcpy(at, &v, 2);
      return;
    }
    default:
      fail(ErrorKind::internal, "weight arithmetic on {}", ir::name(type));
  }
}

class Scaled final : public ir::DeferredBytes {
 public:
  Scaled(ir::Tensor source, std::size_t axis, std::vector<double> factors)
      : source_(std::move(source)), factors_(std::move(factors)), width_(ir::bit_width(source_.type()) / 8) {
    for (std::size_t i = axis + 1; i < source_.rank(); ++i) inner_ *= static_cast<std::uint64_t>(source_.dims()[i]);
  }

  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    // Whole elements that cover the range, a window at a time.
    std::vector<std::byte> window;
    while (!out.empty()) {
      const std::uint64_t first = offset / width_;
      const std::uint64_t skip = offset % width_;
      const std::uint64_t count = std::min<std::uint64_t>(kWindow, (skip + out.size() + width_ - 1) / width_);
      window.resize(count * width_);
      source_.read(first * width_, window);
      for (std::uint64_t i = 0; i < count; ++i) {
        std::byte* at = window.data() + i * width_;
        const double factor = factors_[(first + i) / inner_ % factors_.size()];
        store(source_.type(), load(source_.type(), at) * factor, at);
      }
      const std::size_t taken = std::min<std::size_t>(out.size(), window.size() - skip);
      std::memcpy(out.data(), window.data() + skip, taken);
      out = out.subspan(taken);
      offset += taken;
    }
  }
  double cost_per_byte() const override { return 1; }

 private:
  ir::Tensor source_;
  std::vector<double> factors_;
  std::uint64_t width_, inner_ = 1;
};

class SideBySide final : public ir::DeferredBytes {
 public:
  explicit SideBySide(std::vector<ir::Tensor> matrices) : matrices_(std::move(matrices)) {
    for (const ir::Tensor& matrix : matrices_) width_ += row_bytes(matrix);
  }

  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    // Whole rows that cover the range, a window at a time; a part of it at either end.
    if (out.empty()) return;
    const std::uint64_t most = std::max<std::uint64_t>(1, kWindow / width_);
    std::vector<std::byte> rows, window;
    while (!out.empty()) {
      const std::uint64_t first = offset / width_, skip = offset % width_;
      const std::uint64_t count = std::min(most, (skip + out.size() + width_ - 1) / width_);
      rows.resize(count * width_);
      std::uint64_t at = 0;
      for (const ir::Tensor& matrix : matrices_) {
        const std::uint64_t own = row_bytes(matrix);
        window.resize(count * own);
        matrix.read(first * own, window);
        for (std::uint64_t i = 0; i < count; ++i) std::memcpy(&rows[i * width_ + at], &window[i * own], own);
        at += own;
      }
      const std::size_t taken = std::min<std::size_t>(out.size(), rows.size() - skip);
      std::memcpy(out.data(), rows.data() + skip, taken);
      out = out.subspan(taken);
      offset += taken;
    }
  }
  double cost_per_byte() const override { return 1; }

 private:
  static std::uint64_t row_bytes(const ir::Tensor& matrix) {
    return static_cast<std::uint64_t>(matrix.dims()[1]) * (ir::bit_width(matrix.type()) / 8);
  }

  std::vector<ir::Tensor> matrices_;
  std::uint64_t width_ = 0;  // of a row of all of them
};

// A large one is made when it is written.
ir::Tensor made(ir::ElementType type, ir::Dims dims, const std::shared_ptr<const ir::DeferredBytes>& bytes) {
  ir::Tensor result = ir::Tensor::deferred(type, dims, bytes);
  if (result.byte_size() > kDeferAbove) return result;
  result = ir::Tensor::allocate(type, std::move(dims));
  bytes->produce(0, result.mutable_bytes());
  return result;
}

}  // namespace

bool is_scalable(ElementType type) {
  return type == ElementType::float32 || type == ElementType::float64 || type == ElementType::float16 ||
         type == ElementType::bfloat16;
}

bool is_moderate(ElementType type, double number) {
  const double most = type == ElementType::float16 ? 4094 : type == ElementType::float64 ? 1e290 : 1e30;
  return std::abs(number) <= most;
}

bool is_moderate(const ir::Tensor& tensor, const std::vector<double>& factors) {
  double factor = 0;
  for (const double each : factors) factor = std::max(factor, std::abs(each));
  const std::uint64_t width = ir::bit_width(tensor.type()) / 8, all = tensor.byte_size();
  std::vector<std::byte> window;
  for (std::uint64_t offset = 0; offset < all; offset += window.size()) {
    window.resize(std::min(all - offset, kWindow));
    tensor.read(offset, window);
    double largest = 0;
    for (std::uint64_t i = 0; i < window.size(); i += width) {
      const double size = std::abs(load(tensor.type(), window.data() + i));
      if (std::isfinite(size)) largest = std::max(largest, size);
    }
    if (!is_moderate(tensor.type(), largest * factor)) return false;
  }
  return true;
}

ir::Tensor scale_along(const ir::Tensor& tensor, std::size_t axis, std::vector<double> factors) {
  return made(tensor.type(), tensor.dims(), std::make_shared<Scaled>(tensor, axis, std::move(factors)));
}

ir::Tensor side_by_side(std::vector<ir::Tensor> matrices) {
  const ir::ElementType type = matrices.at(0).type();
  ir::Dims dims{matrices[0].dims()[0], 0};
  for (const ir::Tensor& matrix : matrices) dims[1] += matrix.dims()[1];
  return made(type, std::move(dims), std::make_shared<SideBySide>(std::move(matrices)));
}

ir::Tensor from_doubles(ElementType type, ir::Dims dims, const std::vector<double>& values) {
  ir::Tensor result = ir::Tensor::allocate(type, std::move(dims));
  const std::size_t width = ir::bit_width(type) / 8;
  for (std::size_t i = 0; i < values.size(); ++i) store(type, values[i], result.mutable_bytes().data() + i * width);
  return result;
}

std::optional<std::vector<double>> per_channel(const ir::Tensor& constant, std::size_t rank, std::size_t axis,
                                               std::int64_t channels) {
  if (constant.rank() > rank || !is_scalable(constant.type())) return std::nullopt;
  const std::int64_t count = constant.element_count();
  if (count != 1 && count != channels) return std::nullopt;
  for (std::size_t i = 0; i < constant.rank(); ++i) {
    const std::size_t aligned = rank - constant.rank() + i;
    const std::int64_t dim = constant.dims()[i];
    if (dim != 1 && !(aligned == axis && dim == channels)) return std::nullopt;
  }
  std::vector<double> values = constant.to_doubles();
  if (values.size() == 1) values.resize(static_cast<std::size_t>(channels), values[0]);
  return values;
}

}  // namespace hone::passes
