// Attention MultiHeadAttention GroupQueryAttention RotaryEmbedding of com.microsoft.
//
// Masks are added to the scores, as ONNX Runtime's CPU provider does: a key that is hidden by a mask gets mask_filter_value,
// one that comes later than its query the least number there is.
//
// Not handled: queries, keys and values packed in one five-dimensional tensor; buffers shared by past and present; beams;
// quantized caches; what RotaryEmbedding and GroupQueryAttention take for normalization and batches packed without padding.
#include "exec/reference/attention.h"

#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {
namespace {

template <typename T>
constexpr T unseen = std::numeric_limits<T>::lowest();

// What is added to the scores [batch, heads, rows, keys].
template <typename T>
struct Added {
  std::vector<T> mask;  // [batch, rows or 1, keys], or empty
  bool by_row = false;
  const T* bias = nullptr;  // attention_bias, [batch or 1, heads or 1, rows, keys]
  ir::Dims bias_dims;
  bool causal = false;
  std::int64_t past = 0, rows = 0, keys = 0;

  bool any() const { return !mask.empty() || bias || causal; }
  void operator()(std::int64_t b, std::int64_t h, std::int64_t row, T* to) const {
    if (!mask.empty()) {
      const T* from = mask.data() + (by_row ? b * rows + row : b) * keys;
      std::copy_n(from, keys, to);
    }
    if (causal) std::fill(to + std::min(keys, past + row + 1), to + keys, unseen<T>);
    if (bias) {
      const std::int64_t at = (bias_dims[0] == 1 ? 0 : b) * bias_dims[1] + (bias_dims[1] == 1 ? 0 : h);
      const T* from = bias + (at * rows + row) * keys;
      for (std::int64_t i = 0; i < keys; ++i) to[i] += from[i];
    }
  }
};

// [batch, keys] or [batch, rows, keys] of 1 (seen) and 0; or the end of each sequence, and perhaps its start behind those.
template <typename T>
void set_mask(Context& context, std::size_t index, std::int64_t batch, Added<T>& added) {
  if (!context.has_input(index)) return;
  const Array& in = context.input(index);
  Array list = in;
  list.dims = {in.count()};
  const ir::Dims values = read_ints(list);
  const T hidden = static_cast<T>(context.node().float_or("mask_filter_value", -10000.0f));
  if (in.rank() == 3 || in.rank() == 2) {
    added.by_row = in.rank() == 3;
    require_dims(in, added.by_row ? ir::Dims{batch, added.rows, added.keys} : ir::Dims{batch, added.keys}, "the mask");
    for (const std::int64_t value : values) added.mask.push_back(value > 0 ? T{0} : hidden);
    return;
  }
  if (in.rank() != 1 || (in.dims[0] != batch && in.dims[0] != 2 * batch)) {
    unsupported("node {} ({}): a mask of shape {}", quote(context.node().name()), context.node().op_type(),
                ir::text(in.dims));
  }
  added.mask.assign(static_cast<std::size_t>(size_product(batch, added.keys)), T{0});
  for (std::int64_t b = 0; b < batch; ++b) {
    const std::int64_t end = values[static_cast<std::size_t>(b)];
    const std::int64_t start = in.dims[0] == batch ? 0 : values[static_cast<std::size_t>(batch + b)];
    for (std::int64_t i = 0; i < added.keys; ++i) {
      if (i >= end || i < start) added.mask[static_cast<std::size_t>(b * added.keys + i)] = hidden;
    }
  }
}

template <typename T>
void set_bias(Context& context, std::size_t index, std::int64_t batch, std::int64_t heads, Added<T>& added) {
  if (!context.has_input(index)) return;
  const Array& in = context.input(index);
  require_rank(in, 4, 4, "attention_bias");
  if ((in.dims[0] != 1 && in.dims[0] != batch) || (in.dims[1] != 1 && in.dims[1] != heads) ||
      in.dims[2] != added.rows || in.dims[3] != added.keys) {
    bad_input("attention_bias of shape {}", ir::text(in.dims));
  }
  added.bias = view<T>(context, in);
  added.bias_dims = in.dims;
}

// The attribute, or 1/sqrt(size) where it is absent or 0.
template <typename T>
T scale_of(const ir::Node& node, std::int64_t size) {
  const float given = node.float_or("scale", 0);
  return given != 0 ? static_cast<T>(given)
                    : static_cast<T>(1 / std::sqrt(static_cast<double>(std::max<std::int64_t>(1, size))));
}

std::int64_t heads_of(const ir::Node& node, const char* name, std::int64_t width) {
  const std::int64_t heads = required_int(node, name);
  if (heads < 1 || width % heads != 0) bad_input("{} heads of {} places", heads, width);
  return heads;
}

template <typename T>
AttentionProblem<T> problem(std::int64_t batch, std::int64_t heads, std::int64_t kv_heads, std::int64_t rows,
                            std::int64_t keys, std::int64_t size, std::int64_t value_size) {
  AttentionProblem<T> p;
  p.batch = batch;
  p.heads = heads;
  p.kv_heads = kv_heads;
  p.rows = rows;
  p.keys = keys;
  p.size = size;
  p.value_size = value_size;
  return p;
}

// Turns pairs of places of a head by angles given as cosines and sines; the places behind them stay.
template <typename T>
void turn(const T* x, T* y, std::int64_t size, std::int64_t half, const T* cosine, const T* sine, bool interleaved) {
  for (std::int64_t i = 0; i < half; ++i) {
    const std::int64_t first = interleaved ? 2 * i : i, second = interleaved ? 2 * i + 1 : i + half;
    const T a = x[first], b = x[second];
    y[first] = cosine[i] * a - sine[i] * b;
    y[second] = sine[i] * a + cosine[i] * b;
  }
  if (x != y) std::copy(x + 2 * half, x + size, y + 2 * half);
}

void rotary_embedding(Context& context) {
  const ir::Node& node = context.node();
  const Array &in = context.input(0), &positions = context.input(1), &cosines = context.input(2),
              &sines = context.input(3);
  require_rank(in, 3, 4, "the input");
  require_rank(cosines, 2, 2, "cos_cache");
  require_dims(sines, cosines.dims, "sin_cache");
  if (flag(node, "is_packed_batching", false))
    unsupported("node {} (RotaryEmbedding): is_packed_batching", quote(node.name()));
  const std::int64_t half = cosines.dims[1], batch = in.dims[0];
  std::int64_t heads, length, size;
  HeadSteps steps;
  if (in.rank() == 4) {
    heads = in.dims[1];
    length = in.dims[2];
    size = in.dims[3];
    steps = HeadSteps::by_head(heads, length, size);
  } else {
    length = in.dims[1];
    heads = node.int_or("num_heads", 0);
    if (heads == 0) heads = half == 0 ? 1 : in.dims[2] / (2 * half);  // heads that are turned whole
    if (heads < 1 || in.dims[2] % heads != 0) bad_input("{} heads of {} places", heads, in.dims[2]);
    size = in.dims[2] / heads;
    steps = HeadSteps::by_row(heads, length, size);
  }
  if (2 * half > size) bad_input("caches of shape {} for heads of {}", ir::text(cosines.dims), size);
  Array list = positions;
  list.dims = {positions.count()};
  const ir::Dims given = read_ints(list);
  const bool offset = given.size() == 1 && positions.rank() == 1;  // of the first place
  if (!offset) require_dims(positions, {batch, length}, "position_ids");
  in_real(context, in.type, [&]<typename T>() {
    const T *from = view<T>(context, in), *cosine = view<T>(context, cosines), *sine = view<T>(context, sines);
    Result<T> out(context, 0, in.type, in.dims);
    const float scale = node.float_or("scale", 1);
    for (std::int64_t b = 0; b < batch; ++b) {
      for (std::int64_t s = 0; s < length; ++s) {
        const std::int64_t row = offset ? given[0] + s : given[static_cast<std::size_t>(b * length + s)];
        if (row < 0 || row >= cosines.dims[0]) bad_input("position {} of {}", row, cosines.dims[0]);
        for (std::int64_t h = 0; h < heads; ++h) {
          const std::int64_t at = b * steps.batch + h * steps.head + s * steps.row;
          turn(from + at, out.data() + at, size, half, cosine + row * half, sine + row * half,
               flag(node, "interleaved", false));
        }
      }
    }
    if (scale != 1)
      map_range(out.data(), out.data(), out.count(), cheap_grain, [=](T x) { return x * static_cast<T>(scale); });
    out.finish();
  });
}

}  // namespace

void microsoft_attention(Context& context, const AttentionBackend* backend) {
  const ir::Node& node = context.node();
  const Array &in = context.input(0), &weights = context.input(1);
  const Array *bias = optional_input(context, 2), *past = optional_input(context, 4);
  require_rank(in, 3, 3, "the input");
  require_rank(weights, 2, 2, "the weights");
  if (flag(node, "do_rotary", false)) unsupported("node {} (Attention): do_rotary", quote(node.name()));
  if (flag(node, "past_present_share_buffer", false))
    unsupported("node {} (Attention): past_present_share_buffer", quote(node.name()));
  const std::int64_t batch = in.dims[0], rows = in.dims[1], depth = in.dims[2], total = weights.dims[1];
  if (weights.dims[0] != depth)
    bad_input("weights of shape {} for an input of shape {}", ir::text(weights.dims), ir::text(in.dims));
  ir::Dims widths = node.ints_or("qkv_hidden_sizes", {total / 3, total / 3, total / 3});
  if (widths.size() != 3 || widths[0] != widths[1] || widths[0] < 1 || widths[2] < 1 ||
      size_sum(widths[0] + widths[1], widths[2]) != total) {
    bad_input("weights of shape {} for queries, keys and values of {}", ir::text(weights.dims), ir::text(widths));
  }
  const std::int64_t heads = heads_of(node, "num_heads", widths[0]), size = widths[0] / heads,
                     value_size = widths[2] / heads;
  if (widths[2] % heads != 0) bad_input("{} heads of {} places", heads, widths[2]);
  if (bias) require_dims(*bias, {total}, "the bias");
  std::int64_t before = 0;
  const bool shows = context.wants_output(1);
  if (past || shows) {
    if (size != value_size) bad_input("keys of {} and values of {} places in one cache", size, value_size);
  }
  if (past) {
    require_rank(*past, 5, 5, "past");
    before = past->dims[3];
    require_dims(*past, {2, batch, heads, before, size}, "past");
  }
  const std::int64_t keys = size_sum(before, rows);
  in_real(context, in.type, [&]<typename T>() {
    const std::int64_t all = size_product(batch, rows);
    T* qkv = scratch<T>(context, size_product(all, total));
    multiply<T>(context, backend, all, depth, total, view<T>(context, in), view<T>(context, weights), qkv);
    if (bias) {
      const T* b = view<T>(context, *bias);
      for (std::int64_t i = 0; i < all; ++i) {
        for (std::int64_t c = 0; c < total; ++c) qkv[i * total + c] += b[c];
      }
    }
    AttentionProblem<T> p = problem<T>(batch, heads, heads, rows, keys, size, value_size);
    p.q = qkv;
    p.k = qkv + widths[0];
    p.v = qkv + 2 * widths[0];
    p.q_steps = p.k_steps = {rows * total, size, total};
    p.v_steps = {rows * total, value_size, total};
    std::optional<Result<T>> present;
    if (past || shows) {
      if (shows) present.emplace(context, 1, in.type, ir::Dims{2, batch, heads, keys, size});
      const std::int64_t part = size_product(size_product(batch, heads), keys * size),
                         old_part = batch * heads * before * size;
      T* joined = present ? present->data() : scratch<T>(context, size_product(2, part));
      const T* old = past ? view<T>(context, *past) : nullptr;
      append_rows(old, before, p.k, p.k_steps, batch, heads, rows, size, joined);
      append_rows(old ? old + old_part : nullptr, before, p.v, p.v_steps, batch, heads, rows, size, joined + part);
      p.k = joined;
      p.v = joined + part;
      p.k_steps = p.v_steps = HeadSteps::by_head(heads, keys, size);
    }
    Added<T> added;
    added.past = before;
    added.rows = rows;
    added.keys = keys;
    added.causal = flag(node, "unidirectional", false);
    set_mask(context, 3, batch, added);
    set_bias(context, 5, batch, heads, added);
    Result<T> out(context, 0, in.type, ir::Dims{batch, rows, widths[2]});
    p.out = out.data();
    p.out_steps = HeadSteps::by_row(heads, rows, value_size);
    p.scale = scale_of<T>(node, size);
    attend(context, backend, p, added.any(), added);
    out.finish();
    if (present) present->finish();
  });
}

void microsoft_multi_head_attention(Context& context, const AttentionBackend* backend) {
  const ir::Node& node = context.node();
  const Array& q = context.input(0);
  if (q.rank() != 3 || !context.has_input(1) || !context.has_input(2)) {
    unsupported("node {} (MultiHeadAttention): queries, keys and values in one tensor", quote(node.name()));
  }
  require_absent(context, 8, "past_sequence_length");
  require_absent(context, 9, "cache_indirection");
  const Array &k = context.input(1), &v = context.input(2);
  const Array *bias = optional_input(context, 3), *past_key = optional_input(context, 6),
              *past_value = optional_input(context, 7);
  require_type(k, q.type, "the key");
  require_type(v, q.type, "the value");
  if ((past_key == nullptr) != (past_value == nullptr)) bad_input("past_key and past_value go together");
  const std::int64_t batch = q.dims[0], rows = q.dims[1], heads = heads_of(node, "num_heads", q.dims[2]),
                     size = q.dims[2] / heads;
  require_rank(k, 3, 4, "the key");
  require_rank(v, 3, 4, "the value");
  const bool by_head = k.rank() == 4;
  if (v.rank() != k.rank()) bad_input("key and value have different ranks");
  const std::int64_t fresh = by_head ? k.dims[2] : k.dims[1];
  const std::int64_t value_size = by_head ? v.dims[3] : v.dims[2] / heads;
  require_dims(k, by_head ? ir::Dims{batch, heads, fresh, size} : ir::Dims{batch, fresh, heads * size}, "the key");
  require_dims(v, by_head ? ir::Dims{batch, heads, fresh, value_size} : ir::Dims{batch, fresh, heads * value_size},
               "the value");
  std::int64_t before = 0;
  if (past_key) {
    require_rank(*past_key, 4, 4, "past_key");
    before = past_key->dims[2];
    require_dims(*past_key, {batch, heads, before, size}, "past_key");
    require_dims(*past_value, {batch, heads, before, value_size}, "past_value");
  }
  if (bias) require_dims(*bias, {heads * (2 * size + value_size)}, "the bias");
  const std::int64_t keys = size_sum(before, fresh);
  in_real(context, q.type, [&]<typename T>() {
    const T* b = bias ? view<T>(context, *bias) : nullptr;
    const auto shifted = [&](const Array& in, const T* by) {
      const T* from = view<T>(context, in);
      if (!by || in.rank() != 3) return from;
      T* to = scratch<T>(context, in.count());
      const std::int64_t width = in.dims[2];
      for (std::int64_t i = 0; i < in.count(); ++i) to[i] = from[i] + by[i % width];
      return static_cast<const T*>(to);
    };
    AttentionProblem<T> p = problem<T>(batch, heads, heads, rows, keys, size, value_size);
    p.q = shifted(q, b);
    p.q_steps = HeadSteps::by_row(heads, rows, size);
    std::optional<Result<T>> present_key, present_value, seen;
    const auto joined = [&](std::size_t index, const Array& in, const T* by, const Array* old, std::int64_t width,
                            std::optional<Result<T>>& present, HeadSteps& steps) {
      const T* from = shifted(in, by);
      steps = by_head ? HeadSteps::by_head(heads, fresh, width) : HeadSteps::by_row(heads, fresh, width);
      const bool shows = context.wants_output(index);
      if (!old && !shows) return from;
      const ir::Dims dims = {batch, heads, keys, width};
      if (shows) present.emplace(context, index, in.type, dims);
      T* all = present ? present->data() : scratch<T>(context, product(dims));
      append_rows(old ? view<T>(context, *old) : nullptr, before, from, steps, batch, heads, fresh, width, all);
      steps = HeadSteps::by_head(heads, keys, width);
      return static_cast<const T*>(all);
    };
    p.k = joined(1, k, b ? b + heads * size : nullptr, past_key, size, present_key, p.k_steps);
    p.v = joined(2, v, b ? b + 2 * heads * size : nullptr, past_value, value_size, present_value, p.v_steps);
    if (context.wants_output(3)) {
      seen.emplace(context, 3, q.type, ir::Dims{batch, heads, rows, keys});
      p.seen = seen->data();
    }
    Added<T> added;
    added.past = before;
    added.rows = rows;
    added.keys = keys;
    added.causal = flag(node, "unidirectional", false);
    set_mask(context, 4, batch, added);
    set_bias(context, 5, batch, heads, added);
    Result<T> out(context, 0, q.type, ir::Dims{batch, rows, heads * value_size});
    p.out = out.data();
    p.out_steps = HeadSteps::by_row(heads, rows, value_size);
    p.scale = scale_of<T>(node, size);
    attend(context, backend, p, added.any(), added);
    out.finish();
    if (present_key) present_key->finish();
    if (present_value) present_value->finish();
    if (seen) seen->finish();
  });
}

void microsoft_group_query_attention(Context& context, const AttentionBackend* backend) {
  const ir::Node& node = context.node();
  const Array &q = context.input(0), &lengths = context.input(5);
  const Array *k = optional_input(context, 1), *v = optional_input(context, 2);
  const Array *past_key = optional_input(context, 3), *past_value = optional_input(context, 4);
  constexpr const char* later[] = {"k_scale", "v_scale", "q_norm_weight", "k_norm_weight", "query_seqlens"};
  for (std::size_t i = 0; i < std::size(later); ++i) require_absent(context, 12 + i, later[i]);
  if (flag(node, "qk_output", false) || context.wants_output(3))
    unsupported("node {} (GroupQueryAttention): output_qk", quote(node.name()));
  if (flag(node, "sliding_window_cache", false))
    unsupported("node {} (GroupQueryAttention): sliding_window_cache", quote(node.name()));
  require_rank(q, 3, 3, "the query");
  const std::int64_t batch = q.dims[0], rows = q.dims[1], heads = required_int(node, "num_heads"),
                     kv_heads = required_int(node, "kv_num_heads");
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0)
    bad_input("{} heads of queries and {} of keys", heads, kv_heads);
  if ((k == nullptr) != (v == nullptr)) bad_input("key and value go together");
  const std::int64_t parts = k ? heads : heads + 2 * kv_heads;
  if (q.dims[2] % parts != 0) bad_input("a query of shape {} for {} heads", ir::text(q.dims), parts);
  const std::int64_t size = q.dims[2] / parts, width = kv_heads * size;
  if (k) {
    require_dims(*k, {batch, rows, width}, "the key");
    require_dims(*v, {batch, rows, width}, "the value");
  }
  if ((past_key == nullptr) != (past_value == nullptr)) bad_input("past_key and past_value go together");
  std::int64_t room = 0;
  if (past_key) {
    require_rank(*past_key, 4, 4, "past_key");
    room = past_key->dims[2];
    require_dims(*past_key, {batch, kv_heads, room, size}, "past_key");
    require_dims(*past_value, past_key->dims, "past_value");
  }
  const std::int64_t total = read_int(context.input(6));
  Array list = lengths;
  list.dims = {lengths.count()};
  ir::Dims ends = read_ints(list);
  if (static_cast<std::int64_t>(ends.size()) != batch || total < rows)
    bad_input("{} lengths, {} keys for {} sequences of {}", ends.size(), total, batch, rows);
  const bool prompt = rows == total;
  const std::int64_t keys = std::max(room, total);
  for (std::int64_t& end : ends) {
    ++end;
    if (end < 1 || end > keys || (!prompt && end < rows)) bad_input("a sequence of {} with {} keys", end, keys);
  }
  const auto before = [&](std::int64_t b) { return prompt ? 0 : ends[static_cast<std::size_t>(b)] - rows; };
  for (std::int64_t b = 0; b < batch; ++b) {
    if (before(b) > room) bad_input("a sequence goes on behind {} keys of a cache of {}", before(b), room);
  }
  const bool turns = flag(node, "do_rotary", false), interleaved = flag(node, "rotary_interleaved", false);
  const bool causal = flag(node, "causal", true);
  const std::int64_t window = node.int_or("local_window_size", -1);
  in_real(context, q.type, [&]<typename T>() {
    // Queries, keys and values side by side.
    const T *queries = view<T>(context, q), *key_rows = k ? view<T>(context, *k) : queries + heads * size;
    const T* value_rows = k ? view<T>(context, *v) : queries + heads * size + width;
    HeadSteps q_steps = k ? HeadSteps::by_row(heads, rows, size) : HeadSteps{rows * parts * size, size, parts * size};
    HeadSteps kv_steps = k ? HeadSteps::by_row(kv_heads, rows, size) : q_steps;
    HeadSteps key_steps = kv_steps;
    if (turns) {
      const Array &cosines = context.input(7), &sines = context.input(8);
      require_rank(cosines, 2, 2, "cos_cache");
      require_dims(sines, cosines.dims, "sin_cache");
      const std::int64_t half = cosines.dims[1];
      if (2 * half > size) bad_input("caches of shape {} for heads of {}", ir::text(cosines.dims), size);
      ir::Dims positions;
      if (const Array* given = optional_input(context, 9)) {
        require_dims(*given, {batch, rows}, "position_ids");
        Array flat = *given;
        flat.dims = {given->count()};
        positions = read_ints(flat);
      }
      const T *cosine = view<T>(context, cosines), *sine = view<T>(context, sines);
      const auto turned = [&](const T* from, const HeadSteps& steps, std::int64_t count) {
        T* to = scratch<T>(context, size_product(size_product(batch, rows), count * size));
        const HeadSteps to_steps = HeadSteps::by_row(count, rows, size);
        for (std::int64_t b = 0; b < batch; ++b) {
          for (std::int64_t s = 0; s < rows; ++s) {
            std::int64_t row = positions.empty() ? before(b) + s : positions[static_cast<std::size_t>(b * rows + s)];
            if (row < 0 || row >= cosines.dims[0]) bad_input("position {} of {}", row, cosines.dims[0]);
            for (std::int64_t h = 0; h < count; ++h) {
              turn(from + b * steps.batch + h * steps.head + s * steps.row,
                   to + b * to_steps.batch + h * to_steps.head + s * to_steps.row, size, half, cosine + row * half,
                   sine + row * half, interleaved);
            }
          }
        }
        return static_cast<const T*>(to);
      };
      queries = turned(queries, q_steps, heads);
      key_rows = turned(key_rows, key_steps, kv_heads);
      q_steps = HeadSteps::by_row(heads, rows, size);
      key_steps = HeadSteps::by_row(kv_heads, rows, size);
    }
    // Caches, with the new rows behind the old ones of each sequence.
    const ir::Dims cache = {batch, kv_heads, keys, size};
    std::optional<Result<T>> present_key, present_value;
    const auto joined = [&](std::size_t index, const T* from, const HeadSteps& steps, const Array* old,
                            std::optional<Result<T>>& present) {
      if (context.wants_output(index)) present.emplace(context, index, q.type, cache);
      T* all = present ? present->data() : scratch<T>(context, product(cache));
      const T* kept = old ? view<T>(context, *old) : nullptr;
      std::fill_n(all, product(cache), T{0});
      for (std::int64_t i = 0; i < batch * kv_heads; ++i) {
        const std::int64_t b = i / kv_heads, h = i % kv_heads, first = before(b);
        T* to = all + i * keys * size;
        if (kept && !prompt) std::copy_n(kept + i * room * size, first * size, to);
        for (std::int64_t r = 0; r < rows; ++r)
          std::copy_n(from + b * steps.batch + h * steps.head + r * steps.row, size, to + (first + r) * size);
      }
      return static_cast<const T*>(all);
    };
    AttentionProblem<T> p = problem<T>(batch, heads, kv_heads, rows, keys, size, size);
    p.q = queries;
    p.q_steps = q_steps;
    p.k = joined(1, key_rows, key_steps, past_key, present_key);
    p.v = joined(2, value_rows, kv_steps, past_value, present_value);
    p.k_steps = p.v_steps = HeadSteps::by_head(kv_heads, keys, size);
    p.scale = scale_of<T>(node, size);
    p.softcap = static_cast<T>(node.float_or("softcap", 0));
    p.smooth = flag(node, "smooth_softmax", false);
    if (const Array* sink = optional_input(context, 11)) {
      require_dims(*sink, {heads}, "head_sink");
      p.smooth = true;
      p.sinks = view<T>(context, *sink);
    }
    const Array* bias = optional_input(context, 10);
    const T* added = nullptr;
    if (bias) {
      require_rank(*bias, 4, 4, "attention_bias");
      if ((bias->dims[0] != 1 && bias->dims[0] != batch) || (bias->dims[1] != 1 && bias->dims[1] != heads) ||
          bias->dims[2] != rows || bias->dims[3] < total) {
        bad_input("attention_bias of shape {}", ir::text(bias->dims));
      }
      added = view<T>(context, *bias);
    }
    Result<T> out(context, 0, q.type, ir::Dims{batch, rows, heads * size});
    p.out = out.data();
    p.out_steps = HeadSteps::by_row(heads, rows, size);
    attend(context, backend, p, true, [&](std::int64_t b, std::int64_t h, std::int64_t row, T* to) {
      constexpr T hidden = -std::numeric_limits<T>::infinity();
      const std::int64_t end = ends[static_cast<std::size_t>(b)],
                         last = causal ? std::min(end, before(b) + row + 1) : end;
      if (bias) {
        const std::int64_t at = (bias->dims[0] == 1 ? 0 : b) * bias->dims[1] + (bias->dims[1] == 1 ? 0 : h);
        std::copy_n(added + (at * rows + row) * bias->dims[3], std::min(last, bias->dims[3]), to);
      }
      std::fill(to + last, to + keys, hidden);
      if (window >= 0) std::fill_n(to, std::clamp<std::int64_t>(before(b) + row - window + 1, 0, last), hidden);
    });
    out.finish();
    if (present_key) present_key->finish();
    if (present_value) present_value->finish();
  });
}

std::span<const KernelEntry> microsoft_attention_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("Attention", stateless<without_backend<microsoft_attention>>),
      microsoft("MultiHeadAttention", stateless<without_backend<microsoft_multi_head_attention>>),
      microsoft("GroupQueryAttention", stateless<without_backend<microsoft_group_query_attention>>),
      microsoft("RotaryEmbedding", stateless<rotary_embedding>),
  };
  return entries;
}

}  // namespace hone::exec
