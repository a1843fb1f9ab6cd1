// Attention, RotaryEmbedding and TensorScatter.
//
// Attention takes heads apart or side by side, fewer key than query heads, masks, causal and sliding windows, a cache
// inside or outside, a soft cap, and shows its scores at any stage. Everything narrower than double is computed in float,
// which is at least what softmax_precision asks for, float16's and double's aside: they make no difference.
#include "exec/reference/attention.h"

#include "exec/reference/broadcast.h"
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

// Heads of a tensor: [batch, heads, length, size] or [batch, length, heads * size].
struct Heads {
  std::int64_t batch, heads, length, size;
  HeadSteps steps;

  Heads(const Array& in, std::int64_t given, std::string_view name) : batch(in.dims[0]) {
    if (in.rank() == 4) {
      heads = in.dims[1];
      length = in.dims[2];
      size = in.dims[3];
      steps = HeadSteps::by_head(heads, length, size);
      if (given != 0 && given != heads) bad_input("{} of shape {} for {} heads", name, ir::text(in.dims), given);
    } else {
      if (given < 1 || in.dims[2] % given != 0)
        bad_input("{} of shape {} for {} heads", name, ir::text(in.dims), given);
      heads = given;
      length = in.dims[1];
      size = in.dims[2] / given;
      steps = HeadSteps::by_row(heads, length, size);
    }
  }
};

void rotary_embedding(Context& context) {
  const Array &in = context.input(0), &cosines = context.input(1), &sines = context.input(2);
  const ir::Node& node = context.node();
  require_rank(in, 3, 4, "the input");
  const Heads heads(in, node.int_or("num_heads", 0), "the input");
  std::int64_t turned = node.int_or("rotary_embedding_dim", 0);
  if (turned == 0) turned = heads.size;
  if (turned < 0 || turned > heads.size || turned % 2 != 0) bad_input("{} of {} places to turn", turned, heads.size);
  const std::int64_t half = turned / 2;
  const bool interleaved = flag(node, "interleaved", false);
  const bool by_position = context.has_input(3);
  if (cosines.dims != sines.dims || cosines.rank() != (by_position ? 2 : 3) || cosines.dims.back() != half) {
    bad_input("caches of shapes {} and {} for {} places to turn", ir::text(cosines.dims), ir::text(sines.dims), turned);
  }
  // Which row of the caches a place takes.
  ir::Dims rows(static_cast<std::size_t>(heads.batch * heads.length));
  if (by_position) {
    Array positions = context.input(3);
    if (positions.dims != ir::Dims{heads.batch, heads.length})
      bad_input("positions of shape {}", ir::text(positions.dims));
    positions.dims = {positions.count()};
    rows = read_ints(positions);
    for (const std::int64_t row : rows) {
      if (row < 0 || row >= cosines.dims[0]) bad_input("position {} of {}", row, cosines.dims[0]);
    }
  } else {
    if ((cosines.dims[0] != heads.batch && cosines.dims[0] != 1) || cosines.dims[1] != heads.length) {
      bad_input("caches of shape {} for {} sequences of {}", ir::text(cosines.dims), heads.batch, heads.length);
    }
    for (std::int64_t i = 0; i < heads.batch * heads.length; ++i) {
      rows[static_cast<std::size_t>(i)] = cosines.dims[0] == 1 ? i % heads.length : i;
    }
  }
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *cosine = view<T>(context, cosines), *sine = view<T>(context, sines);
    Result<T> out(context, 0, in.type, in.dims);
    for (std::int64_t b = 0; b < heads.batch; ++b) {
      for (std::int64_t h = 0; h < heads.heads; ++h) {
        for (std::int64_t s = 0; s < heads.length; ++s) {
          const std::int64_t at = b * heads.steps.batch + h * heads.steps.head + s * heads.steps.row;
          const std::int64_t row = rows[static_cast<std::size_t>(b * heads.length + s)] * half;
          const T* x = from + at;
          T* y = out.data() + at;
          for (std::int64_t i = 0; i < half; ++i) {
            const std::int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
            y[first] = cosine[row + i] * x[first] - sine[row + i] * x[second];
            y[second] = sine[row + i] * x[first] + cosine[row + i] * x[second];
          }
          std::copy(x + turned, x + heads.size, y + turned);
        }
      }
    }
    out.finish();
  });
}

void tensor_scatter(Context& context) {
  const Array &cache = context.input(0), &update = context.input(1);
  require_type(update, cache.type, "the update");
  const std::size_t axis = checked_axis(context.node().int_or("axis", -2), cache.rank());
  if (axis == 0) bad_input("axis 0 is the batch");
  bool fits = update.rank() == cache.rank();
  for (std::size_t d = 0; fits && d < cache.rank(); ++d) {
    fits = d == axis ? update.dims[d] <= cache.dims[d] : update.dims[d] == cache.dims[d];
  }
  if (!fits) bad_input("an update of shape {} for a cache of shape {}", ir::text(update.dims), ir::text(cache.dims));
  const std::string mode = context.node().string_or("mode", "linear");
  if (mode != "linear" && mode != "circular") bad_input("mode is {}", quote(mode));
  ir::Dims starts(static_cast<std::size_t>(cache.dims[0]));
  if (context.has_input(2)) starts = read_ints(context.input(2));
  if (static_cast<std::int64_t>(starts.size()) != cache.dims[0])
    bad_input("{} write indices for {} samples", starts.size(), cache.dims[0]);
  const std::int64_t length = cache.dims[axis], written = update.dims[axis];
  for (const std::int64_t start : starts) {
    if (start < 0 ||
        (mode == "linear" ? start > length - written : start > std::numeric_limits<std::int64_t>::max() - written)) {
      bad_input("{} places written from {} on in {}", written, start, length);
    }
  }
  Array& out = context.output_over(0, 0, cache.type, cache.dims);
  if (cache.count() == 0) return;
  const std::int64_t outer = product(cache.dims, 0, axis), inner = product(cache.dims, axis + 1, cache.rank());
  const std::int64_t per_sample = outer / cache.dims[0];
  dispatch_moved(context, cache.type, [&]<typename T>() {
    const T *from = moved<T>(cache), *changes = moved<T>(update);
    T* to = moved<T>(out);
    if (to != from) std::copy_n(from, cache.count(), to);
    for (std::int64_t o = 0; o < outer; ++o) {
      for (std::int64_t i = 0; i < written; ++i) {
        const std::int64_t at = (starts[static_cast<std::size_t>(o / per_sample)] + i) % length;
        std::copy_n(changes + (o * written + i) * inner, inner, to + (o * length + at) * inner);
      }
    }
  });
}

}  // namespace

void attention(Context& context, const AttentionBackend* backend) {
  const ir::Node& node = context.node();
  const Array &q = context.input(0), &k = context.input(1), &v = context.input(2);
  for (std::size_t i = 0; i < 3; ++i) require_rank(context.input(i), 3, 4, "Q, K or V");
  require_type(k, q.type, "K");
  if (k.rank() != q.rank() || v.rank() != q.rank()) bad_input("Q, K and V have different ranks");
  const Heads qh(q, node.int_or("q_num_heads", 0), "Q"), kh(k, node.int_or("kv_num_heads", 0), "K"),
      vh(v, node.int_or("kv_num_heads", 0), "V");
  if (kh.batch != qh.batch || vh.batch != qh.batch || kh.size != qh.size || vh.heads != kh.heads ||
      vh.length != kh.length || kh.heads == 0 || qh.heads % kh.heads != 0) {
    bad_input("Q, K and V of shapes {}, {} and {} don't fit", ir::text(q.dims), ir::text(k.dims), ir::text(v.dims));
  }
  const Array* mask = context.has_input(3) ? &context.input(3) : nullptr;
  const Array *past_key = context.has_input(4) ? &context.input(4) : nullptr,
              *past_value = context.has_input(5) ? &context.input(5) : nullptr;
  if ((past_key == nullptr) != (past_value == nullptr)) bad_input("past_key and past_value go together");
  const std::int64_t past = past_key ? (require_rank(*past_key, 4, 4, "past_key"), past_key->dims[2]) : 0;
  if (past_key && (past_key->dims != ir::Dims{qh.batch, kh.heads, past, kh.size} ||
                   past_value->dims != ir::Dims{qh.batch, kh.heads, past, vh.size})) {
    bad_input("past_key of shape {} and past_value of shape {}", ir::text(past_key->dims), ir::text(past_value->dims));
  }
  const std::int64_t keys = size_sum(past, kh.length);
  ir::Dims valid;  // of each sample: keys that are no padding
  if (context.has_input(6)) {
    valid = read_ints(context.input(6));
    if (static_cast<std::int64_t>(valid.size()) != qh.batch)
      bad_input("{} lengths for {} samples", valid.size(), qh.batch);
    for (const std::int64_t length : valid) {
      if (length < 0 || length > keys) bad_input("{} of {} keys", length, keys);
    }
    if (past_key) bad_input("nonpad_kv_seqlen beside a past");
  }
  // The mask as [batch, heads, rows, keys]; keys past its end are hidden.
  ir::Dims mask_dims;
  if (mask) {
    if (mask->rank() < 1 || mask->rank() > 4) bad_input("a mask of shape {}", ir::text(mask->dims));
    mask_dims.assign(4 - mask->rank(), 1);
    mask_dims.insert(mask_dims.end(), mask->dims.begin(), mask->dims.end());
    const ir::Dims full = {qh.batch, qh.heads, qh.length};
    for (std::size_t d = 0; d < 3; ++d) {
      if (mask_dims[d] != 1 && mask_dims[d] != full[d]) bad_input("a mask of shape {}", ir::text(mask->dims));
    }
    if (mask_dims[3] > keys) bad_input("a mask of shape {} for {} keys", ir::text(mask->dims), keys);
    if (mask->type != ir::ElementType::boolean && !ir::is_float(mask->type)) unsupported_type(context, mask->type);
  }
  const bool causal = flag(node, "is_causal", false);
  const std::int64_t left = node.int_or("left_window_size", -1), right = node.int_or("right_window_size", -1);
  if (left < -1 || right < -1) bad_input("windows of {} and {}", left, right);
  const std::int64_t stage = node.int_or("qk_matmul_output_mode", 0);
  if (stage < 0 || stage > 3) bad_input("qk_matmul_output_mode is {}", stage);

  in_real(context, q.type, [&]<typename T>() {
    constexpr T hidden = -std::numeric_limits<T>::infinity();
    AttentionProblem<T> p;
    p.batch = qh.batch;
    p.heads = qh.heads;
    p.kv_heads = kh.heads;
    p.rows = qh.length;
    p.keys = keys;
    p.size = qh.size;
    p.value_size = vh.size;
    p.q = view<T>(context, q);
    p.q_steps = qh.steps;
    p.scale = node.has_attribute("scale")
                  ? static_cast<T>(node.float_or("scale", 1))
                  : static_cast<T>(1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, qh.size))));
    p.softcap = static_cast<T>(node.float_or("softcap", 0));
    p.seen_stage = static_cast<int>(stage);

    // Keys and values: with the past before them, one after another.
    std::optional<Result<T>> present_key, present_value, seen;
    const auto joined = [&](std::size_t index, const Array& in, const Heads& heads, const Array* before,
                            std::optional<Result<T>>& present, HeadSteps& steps) -> const T* {
      const T* rows = view<T>(context, in);
      if (!before && !context.wants_output(index)) {
        steps = heads.steps;
        return rows;
      }
      const ir::Dims dims = {heads.batch, heads.heads, keys, heads.size};
      if (context.wants_output(index)) present.emplace(context, index, in.type, dims);
      T* all = present ? present->data() : scratch<T>(context, product(dims));
      append_rows(before ? view<T>(context, *before) : nullptr, past, rows, heads.steps, heads.batch, heads.heads,
                  heads.length, heads.size, all);
      steps = HeadSteps::by_head(heads.heads, keys, heads.size);
      return all;
    };
    p.k = joined(1, k, kh, past_key, present_key, p.k_steps);
    p.v = joined(2, v, vh, past_value, present_value, p.v_steps);
    if (context.wants_output(3)) {
      seen.emplace(context, 3, q.type, ir::Dims{qh.batch, qh.heads, qh.length, keys});
      p.seen = seen->data();
    }
    const bool apart = q.rank() == 4;
    Result<T> out(
        context, 0, q.type,
        apart ? ir::Dims{qh.batch, qh.heads, qh.length, vh.size} : ir::Dims{qh.batch, qh.length, qh.heads * vh.size});
    p.out = out.data();
    p.out_steps =
        apart ? HeadSteps::by_head(qh.heads, qh.length, vh.size) : HeadSteps::by_row(qh.heads, qh.length, vh.size);

    const bool* shown = mask && mask->type == ir::ElementType::boolean ? mask->as<bool>() : nullptr;
    const T* bias = mask && !shown ? view<T>(context, *mask) : nullptr;
    const ir::Dims mask_steps = strides(mask_dims);
    const bool biased = mask || causal || left >= 0 || right >= 0 || !valid.empty();
    attend(context, backend, p, biased, [&](std::int64_t b, std::int64_t h, std::int64_t row, T* added) {
      const auto limit_low = [&](std::int64_t at) {
        std::fill_n(added, std::clamp<std::int64_t>(at, 0, keys), hidden);
      };
      const auto limit_high = [&](std::int64_t at) {
        std::fill(added + std::clamp<std::int64_t>(at, 0, keys), added + keys, hidden);
      };
      if (mask) {
        const std::int64_t index[] = {b, h, row};
        std::int64_t at = 0;
        for (std::size_t d = 0; d < 3; ++d) at += mask_dims[d] == 1 ? 0 : index[d] * mask_steps[d];
        for (std::int64_t i = 0; i < mask_dims[3]; ++i)
          added[i] = shown ? (shown[at + i] ? T{0} : hidden) : bias[at + i];
        limit_high(mask_dims[3]);
      }
      const std::int64_t length = valid.empty() ? keys : valid[static_cast<std::size_t>(b)];
      const std::int64_t position = row + (valid.empty() ? past : length - qh.length);
      if (causal) limit_high(position + 1);
      if (left >= 0) limit_low(position - left);
      if (right >= 0) limit_high(right > keys ? keys : position + right + 1);
      if (!valid.empty()) limit_high(length);
    });
    out.finish();
    if (present_key) present_key->finish();
    if (present_value) present_value->finish();
    if (seen) seen->finish();
  });
}

std::span<const KernelEntry> attention_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Attention", 23, stateless<without_backend<attention>>},
      {"RotaryEmbedding", 23, stateless<rotary_embedding>},
      {"TensorScatter", 24, stateless<tensor_scatter>},
  };
  return entries;
}

}  // namespace hone::exec
