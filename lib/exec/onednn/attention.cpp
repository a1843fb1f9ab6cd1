// Scaled dot product attention in float32 on AVX2 (products on AVX-512, too): the scores of some queries at a time, over panels
// (exec/onednn/panels.h) of keys and values. For what fuse_attention() found, for Attention, and for the operators of ONNX Runtime that are it.
//
// Given back to the reference: soft caps, sinks, scores that somebody asks for, and of a fused node other element types and
// ranks, empty tensors, shapes that broadcast but for those of masks.
#include "exec/reference/attention.h"

#include <algorithm>
#include <limits>

#include "exec/fuse_attention.h"
#include "exec/onednn/avx2.h"
#include "exec/onednn/families.h"
#include "exec/onednn/panels.h"
#include "exec/onednn/rows.h"
#include "exec/onednn/runtime.h"
#include "hone/support/threads.h"
#include "hone/support/waking.h"

namespace hone::exec::onednn {
namespace {

#ifdef HONE_HAS_AVX2
using namespace avx2;

// Fewer queries read keys and values as they lie.
constexpr std::int64_t fewest_rows = 4;
// Scores that are held at once: they stay in the second-level cache. A whole number of tiles of queries.
constexpr std::int64_t most_scores = 1 << 16, most_rows = 10 * tile_rows;

// What happens to the scaled scores of a query before their softmax. False where it sees no key: its result is 0 then.
// `spare` holds as many floats as `scores`.
using RowChange =
    std::function<bool(std::int64_t batch, std::int64_t head, std::int64_t row, float* scores, float* spare)>;

// scores[row][key] = q[row] k[key], where both are contiguous.
HONE_AVX2 void multiply_rows(const float* q, std::int64_t q_step, std::int64_t rows, const float* k,
                             std::int64_t k_step, std::int64_t keys, std::int64_t size, float* scores) {
  for (std::int64_t key = 0; key < keys; ++key, k += k_step) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const float* query = q + row * q_step;
      Vector total = all(0.0F), other = total;
      std::int64_t i = 0;
      for (; i + 2 * lanes <= size; i += 2 * lanes) {
        total = fused(load(query + i), load(k + i), total);
        other = fused(load(query + i + lanes), load(k + i + lanes), other);
      }
      if (i + lanes <= size) {
        total = fused(load(query + i), load(k + i), total);
        i += lanes;
      }
      float result = sum(total + other);
      for (; i < size; ++i) result += query[i] * k[i];
      scores[row * keys + key] = result;
    }
  }
}

HONE_AVX2 void scale_row(float* scores, std::int64_t count, float scale) {
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(scores + i, load(scores + i) * all(scale));
  for (; i < count; ++i) scores[i] *= scale;
}

// Whether a key is still seen: neither hidden by what is added, nor of a score of minus infinity.
HONE_AVX2 bool add_row(const float* added, std::int64_t count, float* scores) {
  constexpr float hidden = -std::numeric_limits<float>::infinity();
  Vector most = all(hidden), largest_score = most;
  Integers unordered = {};
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const Vector by = load(added + i), score = load(scores + i) + by;
    store(scores + i, score);
    most = larger(by, most);
    largest_score = larger(score, largest_score);
    unordered |= score != score;
  }
  bool is_shown = largest(most) > hidden, is_scored = largest(largest_score) > hidden;
  is_scored = is_scored || _mm256_movemask_ps((__m256)(Vector)unordered) != 0;
  for (; i < count; ++i) {
    scores[i] += added[i];
    is_shown = is_shown || added[i] > hidden;
    is_scored = is_scored || !(scores[i] <= hidden);
  }
  return is_shown && is_scored;
}

// `key_step`: between the places of a key. Its rows lie as p.k_steps says.
void attend_rows(Context& context, const AttentionProblem<float>& p, std::int64_t key_step, const RowChange& change) {
  if (p.rows == 0 || p.batch * p.heads == 0 || p.value_size == 0) return;
  const std::int64_t most = most_scores / std::max<std::int64_t>(p.keys, 1) / tile_rows * tile_rows;
  const std::int64_t height = std::clamp(most, tile_rows, most_rows);
  const std::int64_t blocks = (p.rows + height - 1) / height, units = p.batch * p.heads * blocks;
  const bool packs_keys = p.rows >= fewest_rows || key_step != 1;
  const bool packs_values = p.rows >= fewest_rows || p.value_size % panel_columns != 0;
  // Softmax takes about as long as multiplying 60 numbers.
  const double operations = 2 * static_cast<double>(p.batch * p.heads * p.rows) * static_cast<double>(p.keys) *
                            static_cast<double>(p.size + p.value_size + 60);
  const std::int64_t parts = std::min<std::int64_t>(worthwhile_threads(panel_seconds(operations)), units);
  const std::uint64_t line = 64, key_bytes = packs_keys ? panel_bytes(p.size, p.keys) : 0,
                      value_bytes = packs_values ? panel_bytes(p.keys, p.value_size) : 0,
                      score_bytes =
                          static_cast<std::uint64_t>(std::min(height, p.rows) * p.keys) * sizeof(float) + line,
                      spare_bytes = static_cast<std::uint64_t>(p.keys) * sizeof(float) + line;
  const std::uint64_t part_bytes = (key_bytes + value_bytes + score_bytes + spare_bytes + line - 1) / line * line;
  std::byte* const memory = context.scratch(static_cast<std::uint64_t>(parts) * part_bytes);
  parallel_for(parts, 1, [&](std::int64_t first_part, std::int64_t last_part) {
    for (std::int64_t part = first_part; part < last_part; ++part) {
      std::byte* at = memory + static_cast<std::uint64_t>(part) * part_bytes;
      auto* const key_panels = reinterpret_cast<float*>(at);
      auto* const value_panels = reinterpret_cast<float*>(at + key_bytes);
      auto* const scores = reinterpret_cast<float*>(at + key_bytes + value_bytes);
      auto* const spare = reinterpret_cast<float*>(at + key_bytes + value_bytes + score_bytes);
      std::int64_t packed = -1;  // the stack of keys and values that lies in the panels
      for (std::int64_t unit = part * units / parts; unit < (part + 1) * units / parts; ++unit) {
        const std::int64_t first = unit % blocks * height, h = unit / blocks % p.heads, b = unit / blocks / p.heads;
        const std::int64_t count = std::min(height, p.rows - first), kv = h / (p.heads / p.kv_heads);
        const float* const q = p.q + b * p.q_steps.batch + h * p.q_steps.head + first * p.q_steps.row;
        const float* const k = p.k + b * p.k_steps.batch + kv * p.k_steps.head;
        const float* const v = p.v + b * p.v_steps.batch + kv * p.v_steps.head;
        if (packed != b * p.kv_heads + kv) {
          packed = b * p.kv_heads + kv;
          for (std::int64_t panel = 0; packs_keys && panel < panel_count(p.keys); ++panel)
            fill_panel(k, p.size, p.keys, key_step, p.k_steps.row, panel, key_panels);
          for (std::int64_t panel = 0; packs_values && panel < panel_count(p.value_size); ++panel)
            fill_panel(v, p.keys, p.value_size, p.v_steps.row, 1, panel, value_panels);
        }
        const std::int64_t tiles = tile_count(count), start = 0;
        if (packs_keys) {
          multiply({q, p.q_steps.row, &start, 1, p.size}, count,
                   {key_panels, panel_columns, p.size * panel_columns, p.keys, nullptr},
                   {scores, p.keys, lanes, 1, nullptr, nullptr, nullptr}, {0, tiles, 0, panel_count(p.keys)});
        } else {
          multiply_rows(q, p.q_steps.row, count, k, p.k_steps.row, p.keys, p.size, scores);
        }
        for (std::int64_t row = 0; row < count; ++row) {
          float* const own = scores + row * p.keys;
          if (p.scale != 1) scale_row(own, p.keys, p.scale);
          if (!change || change(b, h, first + row, own, spare)) {
            softmax_row(own, p.keys, false, own);
          } else {
            std::fill_n(own, p.keys, 0.0F);
          }
        }
        const RightSide right =
            packs_values ? RightSide{value_panels, panel_columns, p.keys * panel_columns, p.value_size, nullptr}
                         : RightSide{v, p.v_steps.row, panel_columns, p.value_size, nullptr};
        float* const out = p.out + b * p.out_steps.batch + h * p.out_steps.head + first * p.out_steps.row;
        multiply({scores, p.keys, &start, 1, p.keys}, count, right,
                 {out, p.out_steps.row, lanes, 1, nullptr, nullptr, nullptr}, {0, tiles, 0, panel_count(p.value_size)});
      }
    }
  });
}

void attend_floats(Context& context, const AttentionProblem<float>& p, const AttentionBackend::Bias& bias) {
  if (p.seen || p.softcap != 0 || p.smooth || p.keys == 0 || p.size == 0) {
    attend(p, [&](std::int64_t b, std::int64_t h, std::int64_t row, float* values) {
      if (bias) bias(b, h, row, values);
    });
    return;
  }
  RowChange change;
  if (bias) {
    change = [&](std::int64_t b, std::int64_t h, std::int64_t row, float* scores, float* spare) {
      std::fill_n(spare, p.keys, 0.0F);
      bias(b, h, row, spare);
      return add_row(spare, p.keys, scores);
    };
  }
  attend_rows(context, p, 1, change);
}

void multiply_floats(Context& context, std::int64_t rows, std::int64_t depth, std::int64_t columns, const float* a,
                     const float* b, float* out) {
  if (rows == 0 || columns == 0 || depth == 0) {
    std::fill_n(out, rows * columns, 0.0F);
    return;
  }
  auto* panels = reinterpret_cast<float*>(context.scratch(panel_bytes(depth, columns)));
  fill_panels(b, depth, columns, columns, 1, panels);
  const std::int64_t start = 0;
  multiply({a, depth, &start, 1, depth}, rows, {panels, panel_columns, depth * panel_columns, columns, nullptr},
           {out, columns, lanes, 1, nullptr, nullptr, nullptr});
}

constexpr AttentionBackend backend = {attend_floats, multiply_floats};

// A mask beside scores of [batch, heads, rows, keys]: what it is by place, and steps of 0 where it broadcasts.
struct Mask {
  const Array* array = nullptr;
  FusedAttention::Step step;
  std::int64_t batch_step = 0, head_step = 0, row_step = 0, key_step = 0;

  template <typename T>
  const T* row(std::int64_t b, std::int64_t h, std::int64_t r) const {
    return array->as<T>() + b * batch_step + h * head_step + r * row_step;
  }
  void apply(std::int64_t b, std::int64_t h, std::int64_t r, std::int64_t keys, float* scores) const {
    using Kind = FusedAttention::Step::Kind;
    if (step.kind == Kind::add) {
      const float* added = row<float>(b, h, r);
      if (key_step == 1) {
        for (std::int64_t i = 0; i < keys; ++i) scores[i] += added[i];
      } else {
        for (std::int64_t i = 0; i < keys; ++i) scores[i] += *added;
      }
      return;
    }
    const bool keeps = step.kind == Kind::where_true;
    const bool* chosen = row<bool>(b, h, r);
    for (std::int64_t i = 0; i < keys; ++i) scores[i] = chosen[i * key_step] == keeps ? scores[i] : step.number;
  }
};

class Fused final : public PartialKernel {
 public:
  explicit Fused(const KernelInfo& info) : PartialKernel(info, "avx2"), how_(*read_attention(info.node)) {}

 private:
  using Order = FusedAttention::Order;

  // [batch, heads, rows, size] of an array in the order.
  static std::optional<ir::Dims> dims_of(const Array& array, Order order, bool transposed) {
    ir::Dims dims = array.dims;
    if (dims.size() == 3 && order != Order::by_row) dims.insert(dims.begin() + 1, 1);
    if (dims.size() != 4 || array.type != ir::ElementType::float32 || array.count() == 0) return std::nullopt;
    if (order == Order::by_row) std::swap(dims[1], dims[2]);
    if (order == Order::plain && transposed) std::swap(dims[2], dims[3]);
    return dims;
  }
  static HeadSteps steps_of(const ir::Dims& dims, Order order) {
    return order == Order::by_row ? HeadSteps::by_row(dims[1], dims[2], dims[3])
                                  : HeadSteps::by_head(dims[1], dims[2], dims[3]);
  }

  bool compute(Context& context) override {
    for (std::size_t i = 0; i < context.input_count(); ++i) {
      if (!context.is_tensor(i)) return false;
    }
    const Array &q = context.input(0), &k = context.input(1), &v = context.input(2);
    const bool split = q.rank() == 4;  // heads have a dimension of their own
    if (k.rank() != q.rank() || v.rank() != q.rank() || (!split && how_.result == Order::by_row)) return false;
    const auto q_dims = dims_of(q, how_.queries, false), k_dims = dims_of(k, how_.keys, true),
               v_dims = dims_of(v, how_.values, false);
    if (!q_dims || !k_dims || !v_dims) return false;
    for (std::size_t d = 0; d < 2; ++d) {
      if ((*q_dims)[d] != (*k_dims)[d] || (*q_dims)[d] != (*v_dims)[d]) return false;
    }
    AttentionProblem<float> p;
    p.batch = (*q_dims)[0];
    p.heads = p.kv_heads = (*q_dims)[1];
    p.rows = (*q_dims)[2];
    p.size = (*q_dims)[3];
    p.keys = (*k_dims)[2];
    p.value_size = (*v_dims)[3];
    if ((*k_dims)[3] != p.size || (*v_dims)[2] != p.keys) return false;
    std::vector<Mask> masks;
    for (std::size_t i = 0; i < how_.steps.size(); ++i) {
      const auto mask = mask_of(context.input(3 + i), how_.steps[i], p, split);
      if (!mask) return false;
      masks.push_back(*mask);
    }
    p.q = q.as<float>();
    p.k = k.as<float>();
    p.v = v.as<float>();
    p.q_steps = steps_of(*q_dims, how_.queries);
    p.k_steps = steps_of(*k_dims, how_.keys);
    p.v_steps = steps_of(*v_dims, how_.values);
    std::int64_t key_step = 1;
    if (how_.keys == Order::plain) {
      p.k_steps.row = 1;
      key_step = p.keys;
    }
    p.scale = how_.scale;
    ir::Dims out = {p.batch, p.heads, p.rows, p.value_size};
    p.out_steps = steps_of(out, how_.result);
    if (how_.result == Order::by_row) std::swap(out[1], out[2]);
    if (!split) out.erase(out.begin() + 1);
    p.out = context.output(0, ir::ElementType::float32, out).as<float>();
    RowChange change;
    if (!masks.empty()) {
      change = [&](std::int64_t b, std::int64_t h, std::int64_t row, float* scores, float*) {
        for (const Mask& mask : masks) mask.apply(b, h, row, p.keys, scores);
        return true;
      };
    }
    attend_rows(context, p, key_step, change);
    return true;
  }

  static std::optional<Mask> mask_of(const Array& array, const FusedAttention::Step& step,
                                     const AttentionProblem<float>& p, bool split) {
    const bool adds = step.kind == FusedAttention::Step::Kind::add;
    if (array.type != (adds ? ir::ElementType::float32 : ir::ElementType::boolean)) return std::nullopt;
    if (array.rank() > (split ? 4U : 3U)) return std::nullopt;
    ir::Dims dims = array.dims;
    if (!split && dims.size() == 3) dims.insert(dims.begin() + 1, 1);
    dims.insert(dims.begin(), 4 - dims.size(), 1);
    const std::int64_t full[] = {p.batch, p.heads, p.rows, p.keys};
    std::int64_t steps[4], stride = 1;
    for (std::size_t d = 4; d-- > 0;) {
      if (dims[d] != 1 && dims[d] != full[d]) return std::nullopt;
      steps[d] = dims[d] == 1 ? 0 : stride;
      stride *= dims[d];
    }
    return Mask{&array, step, steps[0], steps[1], steps[2], steps[3]};
  }

  FusedAttention how_;
};

std::unique_ptr<Kernel> make_fused(const KernelInfo& info) { return std::make_unique<Fused>(info); }

template <void (*Run)(Context&, const AttentionBackend*)>
std::unique_ptr<Kernel> make_operator(const KernelInfo&) {
  struct Operator final : Kernel {
    std::string name() const override { return "avx2"; }
    void run(Context& context) override { Run(context, &backend); }
  };
  return has_avx2() ? std::make_unique<Operator>() : nullptr;
}
#else
std::unique_ptr<Kernel> make_fused(const KernelInfo&) { return nullptr; }
template <void (*Run)(Context&, const AttentionBackend*)>
std::unique_ptr<Kernel> make_operator(const KernelInfo&) {
  return nullptr;
}
#endif

}  // namespace

std::span<const KernelEntry> attention_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Attention", 1, make_fused, last_version, fused_domain},
      {"Attention", 23, make_operator<attention>},
      {"Attention", 1, make_operator<microsoft_attention>, last_version, microsoft},
      {"MultiHeadAttention", 1, make_operator<microsoft_multi_head_attention>, last_version, microsoft},
      {"GroupQueryAttention", 1, make_operator<microsoft_group_query_attention>, last_version, microsoft},
  };
  return entries;
}

}  // namespace hone::exec::onednn
