// Selection works on the bits of |w|: for floats that are not NaN, a larger magnitude is a larger integer. NaN counts as
// the largest, and is kept.
#include "prune/zeroing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <memory>

#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::prune {
namespace {

constexpr std::uint64_t kWindow = std::uint64_t{1} << 20;  // bytes

std::uint32_t magnitude(float value) { return std::bit_cast<std::uint32_t>(value) & 0x7fffffffu; }

// Calls f(first element, values) over a float tensor, a window at a time.
template <typename F>
void for_each_window(const ir::Tensor& tensor, F&& f) {
  std::vector<float> window(kWindow / sizeof(float));
  const auto count = static_cast<std::uint64_t>(tensor.element_count());
  for (std::uint64_t at = 0; at < count; at += window.size()) {
    const std::uint64_t length = std::min<std::uint64_t>(window.size(), count - at);
    const std::span<float> values(window.data(), length);
    tensor.read(at * sizeof(float), std::as_writable_bytes(values));
    check_interrupt();
    f(at, std::span<const float>(values));
  }
}

// Where zeroing ends: magnitudes below `limit`, and the first `ties` of those equal to it, counted over all tensors that
// share the threshold, in order.
struct Threshold {
  std::uint32_t limit = 0;
  std::uint64_t ties = 0;
};

// The threshold that zeroes `wanted` elements of these tensors: two histograms of 16 bits each.
Threshold select(const std::vector<const ir::Tensor*>& tensors, std::uint64_t wanted) {
  if (wanted == 0) return {};
  std::vector<std::uint64_t> histogram(1 << 16);
  for (const ir::Tensor* tensor : tensors) {
    for_each_window(*tensor, [&](std::uint64_t, std::span<const float> values) {
      for (const float value : values) ++histogram[magnitude(value) >> 16];
    });
  }
  std::uint64_t below = 0;
  std::uint32_t high = 0;
  while (below + histogram[high] < wanted) below += histogram[high++];
  std::fill(histogram.begin(), histogram.end(), 0);
  for (const ir::Tensor* tensor : tensors) {
    for_each_window(*tensor, [&](std::uint64_t, std::span<const float> values) {
      for (const float value : values) {
        const std::uint32_t bits = magnitude(value);
        if (bits >> 16 == high) ++histogram[bits & 0xffff];
      }
    });
  }
  std::uint32_t low = 0;
  while (below + histogram[low] < wanted) below += histogram[low++];
  return {high << 16 | low, wanted - below};
}

// A weight with its small elements zeroed. `last_tie`: elements equal to the limit go up to this index, exclusive.
class Zeroed final : public ir::DeferredBytes {
 public:
  Zeroed(ir::Tensor source, std::uint32_t limit, std::uint64_t last_tie)
      : source_(std::move(source)), limit_(limit), last_tie_(last_tie) {}

  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    std::vector<float> window;
    while (!out.empty()) {
      const std::uint64_t first = offset / sizeof(float), skip = offset % sizeof(float);
      const std::uint64_t count =
          std::min<std::uint64_t>(kWindow / sizeof(float), (skip + out.size() + sizeof(float) - 1) / sizeof(float));
      window.resize(count);
      source_.read(first * sizeof(float), std::as_writable_bytes(std::span(window)));
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint32_t bits = magnitude(window[i]);
        if (bits < limit_ || (bits == limit_ && first + i < last_tie_)) window[i] = 0;
      }
      const std::size_t taken = std::min<std::size_t>(out.size(), count * sizeof(float) - skip);
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(window.data()) + skip, taken);
      out = out.subspan(taken);
      offset += taken;
    }
  }
  double cost_per_byte() const override { return 0.5; }

 private:
  ir::Tensor source_;
  std::uint32_t limit_;
  std::uint64_t last_tie_;
};

// A weight of which every m neighbours along an axis keep the n largest.
class NOfM final : public ir::DeferredBytes {
 public:
  NOfM(ir::Tensor source, std::size_t axis, int n, int m) : source_(std::move(source)), n_(n), m_(m) {
    const ir::Dims& dims = source_.dims();
    along_ = static_cast<std::uint64_t>(dims[axis]);
    for (std::size_t i = axis + 1; i < dims.size(); ++i) inner_ *= static_cast<std::uint64_t>(dims[i]);
  }

  // Blocks of m * inner elements (the last one of an outer index may be shorter) are independent: the range is widened to
  // whole blocks, as many at a time as a window holds.
  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    const auto m = static_cast<std::uint64_t>(m_);
    const std::uint64_t slab = along_ * inner_;  // elements of one outer index
    const std::uint64_t blocks_at_once = std::max<std::uint64_t>(1, kWindow / sizeof(float) / (m * inner_));
    std::vector<float> window;
    while (!out.empty()) {
      const std::uint64_t element = offset / sizeof(float);
      const std::uint64_t base = element / slab * slab;
      const std::uint64_t first_row = (element - base) / (inner_ * m) * m;
      const std::uint64_t last_byte = (offset + out.size() - 1) / sizeof(float);
      const std::uint64_t wanted_rows = (std::min(last_byte, base + slab - 1) - base) / inner_ + 1 - first_row;
      const std::uint64_t rows = std::min({(wanted_rows + m - 1) / m * m, blocks_at_once * m, along_ - first_row});
      const std::uint64_t first = base + first_row * inner_;
      window.resize(rows * inner_);
      source_.read(first * sizeof(float), std::as_writable_bytes(std::span(window)));
      for (std::uint64_t row = 0; row < rows; row += m) {
        keep_largest(std::span(window).subspan(row * inner_), std::min(m, rows - row));
      }
      const std::uint64_t skip = offset - first * sizeof(float);
      const std::size_t taken = std::min<std::size_t>(out.size(), window.size() * sizeof(float) - skip);
      std::memcpy(out.data(), reinterpret_cast<const std::byte*>(window.data()) + skip, taken);
      out = out.subspan(taken);
      offset += taken;
    }
  }
  double cost_per_byte() const override { return 2; }

 private:
  void keep_largest(std::span<float> block, std::uint64_t rows) const {
    // A short block at the end keeps its share, rounded up.
    const auto keep =
        (rows * static_cast<std::uint64_t>(n_) + static_cast<std::uint64_t>(m_) - 1) / static_cast<std::uint64_t>(m_);
    std::vector<std::uint64_t> order(rows);
    for (std::uint64_t column = 0; column < inner_; ++column) {
      for (std::uint64_t row = 0; row < rows; ++row) order[row] = row;
      std::stable_sort(order.begin(), order.end(), [&](std::uint64_t a, std::uint64_t b) {
        return magnitude(block[a * inner_ + column]) > magnitude(block[b * inner_ + column]);
      });
      for (std::uint64_t i = keep; i < rows; ++i) block[order[i] * inner_ + column] = 0;
    }
  }

  ir::Tensor source_;
  int n_, m_;
  std::uint64_t along_ = 1, inner_ = 1;
};

std::uint64_t count_zeros(const ir::Tensor& tensor) {
  std::uint64_t zeros = 0;
  for_each_window(tensor, [&](std::uint64_t, std::span<const float> values) {
    for (const float value : values) zeros += value == 0;
  });
  return zeros;
}

// Gives the layer its new weight: in place where the layer is the weight's only user, which every Layer of find_layers is
// as far as pruning is concerned (tied weights stay tied: all users see the pruned one).
void set_weight(const Layer& layer, ir::Tensor tensor) {
  if (ir::Node* producer = layer.weight->producer()) {  // a Constant node
    producer->attributes().clear();
    producer->set_attribute("value", std::move(tensor));
  } else {
    layer.weight->graph().set_initializer(*layer.weight, std::move(tensor));
  }
}

LayerResult describe(const Layer& layer, const ir::Tensor& before, std::uint64_t zeros_before) {
  LayerResult result;
  result.node = layer.node->name();
  result.op_type = layer.node->op_type();
  result.weight = layer.weight->name();
  result.weights_before = result.weights_after = static_cast<std::uint64_t>(before.element_count());
  result.zeros_before = zeros_before;
  return result;
}

}  // namespace

void zero_smallest(ir::Model&, const std::vector<Layer>& layers, const PruneOptions& options,
                   std::vector<LayerResult>& results, Observer& observer) {
  const bool global = options.scope.value_or(Scope::global) == Scope::global;
  const auto share = [&](std::uint64_t count) {
    return static_cast<std::uint64_t>(options.sparsity * static_cast<double>(count) + 1e-9);
  };
  Threshold common;
  if (global) {
    std::vector<const ir::Tensor*> tensors;
    std::uint64_t total = 0;
    for (const Layer& layer : layers) {
      tensors.push_back(ir::constant(layer.weight));
      total += static_cast<std::uint64_t>(tensors.back()->element_count());
    }
    common = select(tensors, share(total));
  }
  std::uint64_t ties_left = common.ties;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const ir::Tensor tensor = *ir::constant(layer.weight);
    const auto count = static_cast<std::uint64_t>(tensor.element_count());
    const std::uint64_t floor =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(options.keep_at_least * static_cast<double>(count)));
    Threshold threshold = global ? Threshold{common.limit, ties_left} : select({&tensor}, share(count));
    // What a global threshold would take from this layer, and whether that is too much.
    std::uint64_t smaller = 0, equal = 0, zeros = 0;
    for_each_window(tensor, [&](std::uint64_t, std::span<const float> values) {
      for (const float value : values) {
        const std::uint32_t bits = magnitude(value);
        smaller += bits < threshold.limit;
        equal += bits == threshold.limit;
        zeros += bits == 0;
      }
    });
    std::uint64_t ties = std::min(equal, threshold.ties);
    if (global) ties_left -= ties;
    if (smaller + ties + floor > count) {
      threshold = select({&tensor}, count - floor);
      smaller = ties = 0;
      for_each_window(tensor, [&](std::uint64_t, std::span<const float> values) {
        for (const float value : values) smaller += magnitude(value) < threshold.limit;
      });
      ties = threshold.ties;
    }
    // The index after the last tie that goes.
    std::uint64_t last_tie = 0, seen = 0;
    if (ties > 0) {
      for_each_window(tensor, [&](std::uint64_t at, std::span<const float> values) {
        for (std::size_t k = 0; k < values.size() && seen < ties; ++k) {
          if (magnitude(values[k]) == threshold.limit && ++seen == ties) last_tie = at + k + 1;
        }
      });
    }
    LayerResult result = describe(layer, tensor, zeros);
    result.zeros_after = std::max(zeros, smaller + ties);
    if (smaller + ties > 0) {
      set_weight(layer, ir::Tensor::deferred(tensor.type(), tensor.dims(),
                                             std::make_shared<Zeroed>(tensor, threshold.limit, last_tie)));
    }
    results.push_back(std::move(result));
    observer.progress("pruning", i + 1, layers.size(), layer.weight->name());
  }
}

void zero_n_of_m(ir::Model&, const std::vector<Layer>& layers, const PruneOptions& options,
                 std::vector<LayerResult>& results, Observer& observer) {
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const ir::Tensor tensor = *ir::constant(layer.weight);
    LayerResult result = describe(layer, tensor, count_zeros(tensor));
    if (tensor.dims()[layer.summed_axis] < options.m) {
      result.skipped = fmt::format("sums over {} values, fewer than {}", tensor.dims()[layer.summed_axis], options.m);
      result.zeros_after = result.zeros_before;
    } else {
      const ir::Tensor pruned = ir::Tensor::deferred(
          tensor.type(), tensor.dims(), std::make_shared<NOfM>(tensor, layer.summed_axis, options.n, options.m));
      result.zeros_after = count_zeros(pruned);
      set_weight(layer, pruned);
    }
    results.push_back(std::move(result));
    observer.progress("pruning", i + 1, layers.size(), layer.weight->name());
  }
}

}  // namespace hone::prune
