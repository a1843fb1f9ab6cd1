// LSTM and GRU in float32 with constant weights, on AVX2 or AVX-512: weights are packed once, what the gates take from the inputs is one
// product over all steps, a step then reads the packed state matrix once, and the activations run on vector registers. Both
// directions run beside each other. (oneDNN's own recurrent primitives call one matrix product a step, which costs more than
// the product of one row.)
//
// Declined, or given back to the reference kernel at run time: other element types and CPUs, weights that change, activations
// but the usual ones, clip, peepholes, input_forget, sequences shorter than the steps, empty inputs.
#include <cstring>

#include "exec/onednn/avx512.h"
#include "exec/onednn/families.h"
#include "exec/onednn/runtime.h"
#include "exec/onednn/tile.h"
#include "hone/support/threads.h"

namespace hone::exec::onednn {

#ifdef HONE_HAS_AVX2
namespace {

std::int64_t padded(std::int64_t columns) { return (columns + panel_columns - 1) / panel_columns * panel_columns; }

// A matrix [columns, depth] as panels of 16 columns: for each place along the depth, 16 values beside each other.
struct Packed {
  std::int64_t depth = 0, columns = 0;
  std::unique_ptr<Buffer> buffer;

  void fill(const float* rows, std::int64_t count, std::int64_t length) {
    depth = length;
    columns = padded(count);
    buffer = std::make_unique<Buffer>(static_cast<std::size_t>(columns * depth) * sizeof(float));
    auto* to = reinterpret_cast<float*>(buffer->data());
    for (std::int64_t p = 0; p < columns; p += panel_columns) {
      for (std::int64_t k = 0; k < depth; ++k) {
        for (std::int64_t c = p; c < p + panel_columns; ++c) *to++ = c < count ? rows[c * depth + k] : 0.0F;
      }
    }
  }
  const float* panel(std::int64_t column) const {
    return reinterpret_cast<const float*>(buffer->data()) + column * depth;
  }
};

#define HONE_TILES "exec/onednn/recurrent_tiles.h"
#include "exec/onednn/tiles_for_both.h"

// out[rows, columns] += a[rows, depth] b; each sum runs along the depth whatever the number of rows.
void multiply(std::int64_t rows, const float* a, std::int64_t a_step, const Packed& b, float* out,
              std::int64_t out_step) {
  (has_avx512() ? for_avx512::multiply : for_avx2::multiply)(rows, a, a_step, b, out, out_step);
}

using avx2::hyperbolic_tangent, avx2::lanes, avx2::load, avx2::sigmoid, avx2::store, avx2::Vector;

// A state is padded to whole vectors; so is each gate.
HONE_AVX2 void lstm_step(const float* gate, std::int64_t hidden, float* h, float* c) {
  for (std::int64_t k = 0; k < hidden; k += lanes) {
    const Vector i = sigmoid(load(gate + k)), o = sigmoid(load(gate + hidden + k)),
                 f = sigmoid(load(gate + 2 * hidden + k));
    const Vector g = hyperbolic_tangent(load(gate + 3 * hidden + k));
    const Vector cell = f * load(c + k) + i * g;
    store(c + k, cell);
    store(h + k, o * hyperbolic_tangent(cell));
  }
}
// The reset gate is in `gate + hidden`: opens the state.
HONE_AVX2 void gru_reset(const float* gate, std::int64_t hidden, const float* h, float* opened) {
  for (std::int64_t k = 0; k < hidden; k += lanes) store(opened + k, sigmoid(load(gate + hidden + k)) * load(h + k));
}
// As above, for what the state gives the candidate: added to it.
HONE_AVX2 void gru_reset_after(float* gate, std::int64_t hidden, const float* from_state) {
  for (std::int64_t k = 0; k < hidden; k += lanes) {
    store(gate + 2 * hidden + k, load(gate + 2 * hidden + k) + sigmoid(load(gate + hidden + k)) * load(from_state + k));
  }
}
HONE_AVX2 void gru_step(const float* gate, std::int64_t hidden, float* h) {
  for (std::int64_t k = 0; k < hidden; k += lanes) {
    const Vector z = sigmoid(load(gate + k)), candidate = hyperbolic_tangent(load(gate + 2 * hidden + k));
    store(h + k, candidate + z * (load(h + k) - candidate));
  }
}

class Recurrent final : public Kernel {
 public:
  Recurrent(const KernelInfo& info, bool lstm)
      : fallback_(info),
        lstm_(lstm),
        gates_(lstm ? 4 : 3),
        w_(*info.constant_input(1)),
        r_(*info.constant_input(2)),
        b_(info.constant_input(3)),
        by_batch_(info.node.int_or("layout", 0) != 0),
        reset_after_(info.node.int_or("linear_before_reset", 0) != 0),
        reverse_(info.node.string_or("direction", "forward") == "reverse") {
    directions_ = r_.dims()[0];
    hidden_ = r_.dims()[2];
    width_ = w_.dims()[2];
    wide_ = padded(hidden_);
  }

  std::string name() const override { return name_; }

  void run(Context& context) override {
    const Array& x = context.input(0);
    const std::int64_t steps = x.rank() == 3 ? x.dims[by_batch_ ? 1 : 0] : 0,
                       batch = x.rank() == 3 ? x.dims[by_batch_ ? 0 : 1] : 0;
    const ir::Dims state_dims =
        by_batch_ ? ir::Dims{batch, directions_, hidden_} : ir::Dims{directions_, batch, hidden_};
    const auto is_state = [&](std::size_t index) {
      if (!context.has_input(index)) return true;
      const Array& state = context.input(index);
      return state.type == ir::ElementType::float32 && state.dims == state_dims;
    };
    if (x.type != ir::ElementType::float32 || steps < 1 || batch < 1 || x.dims[2] != width_ || !is_state(5) ||
        (lstm_ && !is_state(6)) || (context.has_input(4) && !whole(context.input(4), steps, batch))) {
      name_ = "reference";
      fallback_.run(context);
      return;
    }
    name_ = widest_isa();
    if (layers_.empty()) pack();
    const float* inputs = x.as<float>();
    const auto scratch = [&](std::int64_t count) {
      return reinterpret_cast<float*>(context.scratch(static_cast<std::uint64_t>(count) * sizeof(float)));
    };
    if (by_batch_ && batch > 1) {
      float* turned = scratch(x.count());
      for (std::int64_t b = 0; b < batch; ++b) {
        for (std::int64_t s = 0; s < steps; ++s) {
          std::memcpy(turned + (s * batch + b) * width_, inputs + (b * steps + s) * width_,
                      static_cast<std::size_t>(width_) * sizeof(float));
        }
      }
      inputs = turned;
    }
    const float* first_h = context.has_input(5) ? context.input(5).as<float>() : nullptr;
    const float* first_c = lstm_ && context.has_input(6) ? context.input(6).as<float>() : nullptr;
    const ir::Dims y_dims =
        by_batch_ ? ir::Dims{batch, steps, directions_, hidden_} : ir::Dims{steps, directions_, batch, hidden_};
    const auto output = [&](std::size_t index, const ir::Dims& dims) -> float* {
      return context.wants_output(index) ? context.output(index, ir::ElementType::float32, dims).as<float>() : nullptr;
    };
    const std::int64_t row = gates_ * wide_;
    std::vector<float*> gates, states;
    for (std::int64_t d = 0; d < directions_; ++d) {
      gates.push_back(scratch(steps * batch * row));
      states.push_back(scratch(batch * 4 * wide_));
    }
    float *y = output(0, y_dims), *y_h = output(1, state_dims), *y_c = lstm_ ? output(2, state_dims) : nullptr;
    parallel_for(directions_, 1, [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t d = from; d < to; ++d) {
        const auto at = static_cast<std::size_t>(d);
        float *gate = gates[at], *h = states[at], *c = h + batch * wide_, *opened = c + batch * wide_,
              *from_state = opened + batch * wide_;
        std::memset(h, 0, static_cast<std::size_t>(batch * 4 * wide_) * sizeof(float));
        const auto state_at = [&](std::int64_t b) {
          return (by_batch_ ? b * directions_ + d : d * batch + b) * hidden_;
        };
        const auto bytes = static_cast<std::size_t>(hidden_) * sizeof(float);
        // What lies behind a state must stay zero: an infinite input times the padding's zeros is NaN, which would spread.
        const auto clear_tail = [&](float* state) {
          std::memset(state + hidden_, 0, static_cast<std::size_t>(wide_ - hidden_) * sizeof(float));
        };
        for (std::int64_t b = 0; b < batch; ++b) {
          if (first_h) std::memcpy(h + b * wide_, first_h + state_at(b), bytes);
          if (first_c) std::memcpy(c + b * wide_, first_c + state_at(b), bytes);
        }
        const Layer& layer = layers_[at];
        for (std::int64_t i = 0; i < steps * batch; ++i) {
          std::memcpy(gate + i * row, layer.bias.data(), static_cast<std::size_t>(row) * sizeof(float));
        }
        multiply(steps * batch, inputs, width_, layer.w, gate, row);
        for (std::int64_t s = 0; s < steps; ++s) {
          const std::int64_t step = reverse_ || d == 1 ? steps - 1 - s : s;
          float* now = gate + step * batch * row;
          multiply(batch, h, wide_, layer.r, now, row);
          for (std::int64_t b = 0; b < batch; ++b) {
            float* own = now + b * row;
            if (lstm_) {
              lstm_step(own, wide_, h + b * wide_, c + b * wide_);
            } else if (reset_after_) {
              std::memcpy(from_state, layer.candidate_bias.data(), static_cast<std::size_t>(wide_) * sizeof(float));
              multiply(1, h + b * wide_, wide_, layer.candidate, from_state, wide_);
              gru_reset_after(own, wide_, from_state);
              gru_step(own, wide_, h + b * wide_);
            } else {
              gru_reset(own, wide_, h + b * wide_, opened + b * wide_);
              clear_tail(opened + b * wide_);
            }
          }
          if (!lstm_ && !reset_after_) {
            multiply(batch, opened, wide_, layer.candidate, now + 2 * wide_, row);
            for (std::int64_t b = 0; b < batch; ++b) gru_step(now + b * row, wide_, h + b * wide_);
          }
          for (std::int64_t b = 0; b < batch; ++b) {
            clear_tail(h + b * wide_);
            if (!y) continue;
            const std::int64_t place = by_batch_ ? ((b * steps + step) * directions_ + d) * hidden_
                                                 : ((step * directions_ + d) * batch + b) * hidden_;
            std::memcpy(y + place, h + b * wide_, bytes);
          }
        }
        for (std::int64_t b = 0; b < batch; ++b) {
          if (y_h) std::memcpy(y_h + state_at(b), h + b * wide_, bytes);
          if (y_c) std::memcpy(y_c + state_at(b), c + b * wide_, bytes);
        }
      }
    });
  }

 private:
  // One direction. Gates are padded one by one, so that each begins at a panel.
  struct Layer {
    Packed w, r, candidate;                   // candidate: of GRU, which takes a state that was reset
    std::vector<float> bias, candidate_bias;  // candidate_bias: where the reset comes after the product
  };

  static bool whole(const Array& lengths, std::int64_t steps, std::int64_t batch) {
    if (lengths.type != ir::ElementType::int32 || lengths.count() != batch) return false;
    const auto values = lengths.span<std::int32_t>();
    return std::all_of(values.begin(), values.end(), [&](std::int32_t length) { return length == steps; });
  }

  void pack() {
    const std::vector<float> w = w_.to_floats(), r = r_.to_floats(), b = b_ ? b_->to_floats() : std::vector<float>();
    const std::int64_t n = gates_ * hidden_;
    for (std::int64_t d = 0; d < directions_; ++d) {
      Layer& layer = layers_.emplace_back();
      // Rows of the gates `first` to `last`, each gate padded with rows of zeros, columns to `length`.
      const auto rows = [&](const float* from, std::int64_t columns, std::int64_t length, std::int64_t first,
                            std::int64_t last) {
        std::vector<float> result(static_cast<std::size_t>((last - first) * wide_ * length));
        for (std::int64_t g = first; g < last; ++g) {
          for (std::int64_t k = 0; k < hidden_; ++k) {
            std::copy_n(from + (g * hidden_ + k) * columns, columns,
                        result.begin() + ((g - first) * wide_ + k) * length);
          }
        }
        return result;
      };
      const float *own_w = w.data() + d * n * width_, *own_r = r.data() + d * n * hidden_;
      const std::int64_t together = lstm_ ? gates_ : gates_ - 1;
      layer.w.fill(rows(own_w, width_, width_, 0, gates_).data(), gates_ * wide_, width_);
      layer.r.fill(rows(own_r, hidden_, wide_, 0, together).data(), together * wide_, wide_);
      if (!lstm_) layer.candidate.fill(rows(own_r, hidden_, wide_, together, gates_).data(), wide_, wide_);
      layer.bias.assign(static_cast<std::size_t>(gates_ * wide_), 0.0F);
      layer.candidate_bias.assign(static_cast<std::size_t>(wide_), 0.0F);
      for (std::int64_t g = 0; b_ && g < gates_; ++g) {
        for (std::int64_t k = 0; k < hidden_; ++k) {
          const float* own = b.data() + d * 2 * n + g * hidden_ + k;
          const bool inside = reset_after_ && !lstm_ && g == 2;  // its second bias is reset, too
          layer.bias[static_cast<std::size_t>(g * wide_ + k)] = own[0] + (inside ? 0.0F : own[n]);
          if (inside) layer.candidate_bias[static_cast<std::size_t>(k)] = own[n];
        }
      }
    }
  }

  Fallback fallback_;
  bool lstm_;
  std::int64_t gates_;
  const ir::Tensor& w_;
  const ir::Tensor& r_;
  const ir::Tensor* b_;
  bool by_batch_, reset_after_, reverse_;
  std::int64_t directions_ = 1, hidden_ = 0, width_ = 0, wide_ = 0;
  std::vector<Layer> layers_;
  std::string name_ = widest_isa();
};

template <bool Lstm>
std::unique_ptr<Kernel> make_recurrent(const KernelInfo& info) {
  const ir::Node& node = info.node;
  if (!has_avx2()) return nullptr;
  const std::int64_t gates = Lstm ? 4 : 3;
  const ir::Tensor *w = info.constant_input(1), *r = info.constant_input(2), *b = info.constant_input(3);
  if (!w || !r || (node.input(3) && !b) || (Lstm && node.input(7))) return nullptr;
  for (const ir::Tensor* each : {w, r, b}) {
    if (each && each->type() != ir::ElementType::float32) return nullptr;
  }
  if (w->rank() != 3 || r->rank() != 3) return nullptr;
  const std::int64_t directions = node.string_or("direction", "forward") == "bidirectional" ? 2 : 1,
                     hidden = r->dims()[2];
  if (hidden < 1 || w->dims()[2] < 1 || node.int_or("hidden_size", hidden) != hidden) return nullptr;
  if (w->dims() != ir::Dims{directions, gates * hidden, w->dims()[2]} ||
      r->dims() != ir::Dims{directions, gates * hidden, hidden})
    return nullptr;
  if (b && b->dims() != ir::Dims{directions, 2 * gates * hidden}) return nullptr;
  for (const char* attribute : {"activations", "activation_alpha", "activation_beta", "clip"}) {
    if (node.has_attribute(attribute)) return nullptr;
  }
  if (node.int_or("input_forget", 0) != 0) return nullptr;
  const std::string direction = node.string_or("direction", "forward");
  if (direction != "forward" && direction != "reverse" && direction != "bidirectional") return nullptr;
  return std::make_unique<Recurrent>(info, Lstm);
}

}  // namespace

std::span<const KernelEntry> recurrent_kernels() {
  static constexpr KernelEntry entries[] = {
      {"LSTM", 7, make_recurrent<true>},
      {"GRU", 7, make_recurrent<false>},
  };
  return entries;
}
#else
std::span<const KernelEntry> recurrent_kernels() { return {}; }
#endif

}  // namespace hone::exec::onednn
