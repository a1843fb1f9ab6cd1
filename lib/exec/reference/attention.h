// Scaled dot product attention over heads, for the operators that are it.
#pragma once

#include <cmath>
#include <functional>
#include <optional>
#include <type_traits>

#include "exec/arrays.h"
#include "exec/reference/elements.h"
#include "exec/reference/gemm.h"

namespace hone::exec {

// Where rows of a [batch, heads, length, size] tensor lie, in elements; a row itself is contiguous.
struct HeadSteps {
  std::int64_t batch = 0, head = 0, row = 0;
  static HeadSteps by_head(std::int64_t heads, std::int64_t length,
                           std::int64_t size) {  // [batch, heads, length, size]
    return {heads * length * size, length * size, size};
  }
  static HeadSteps by_row(std::int64_t heads, std::int64_t length,
                          std::int64_t size) {  // [batch, length, heads * size]
    return {length * heads * size, size, heads * size};
  }
};

template <typename T>
struct AttentionProblem {
  std::int64_t batch = 0, heads = 0, kv_heads = 0, rows = 0, keys = 0, size = 0, value_size = 0;
  const T *q = nullptr, *k = nullptr, *v = nullptr;
  T* out = nullptr;
  HeadSteps q_steps, k_steps, v_steps, out_steps;
  T scale = 1;
  T softcap = 0;             // 0: none
  T* seen = nullptr;         // [batch, heads, rows, keys]: the scores at the stage `seen_stage`, where asked for
  int seen_stage = 0;        // 0 products, 1 capped, 2 with the bias, 3 probabilities
  bool smooth = false;       // the softmax has one more place, of score 0, that takes no value
  const T* sinks = nullptr;  // the scores of that place, by head
};

// bias(batch, head, row, values) adds what is added to the scores of a query, minus infinity where a key is hidden. A
// query that sees no key gives zeros.
template <typename T, typename Bias>
void attend(const AttentionProblem<T>& p, const Bias& bias) {
  constexpr T hidden = -std::numeric_limits<T>::infinity();
  constexpr std::int64_t block = 64;  // queries at once: their scores stay in the second-level cache
  const std::int64_t blocks = ceil_div(p.rows, block);
  if (p.rows == 0) return;
  const double work = static_cast<double>(std::min(block, p.rows)) * static_cast<double>(p.keys) *
                      static_cast<double>(p.size + p.value_size + 8);
  parallel_for(p.batch * p.heads * blocks, grain_for(work), [&](std::int64_t begin, std::int64_t end) {
    Buffer memory(
        static_cast<std::size_t>(size_product(size_product(block + 1, std::max<std::int64_t>(1, p.keys)), sizeof(T))));
    T* scores = reinterpret_cast<T*>(memory.data());
    T* added = scores + block * p.keys;
    for (std::int64_t unit = begin; unit < end; ++unit) {
      const std::int64_t first = unit % blocks * block, h = unit / blocks % p.heads, b = unit / blocks / p.heads;
      const std::int64_t count = std::min(block, p.rows - first), kv = h / (p.heads / p.kv_heads);
      const T* q = p.q + b * p.q_steps.batch + h * p.q_steps.head + first * p.q_steps.row;
      const T* k = p.k + b * p.k_steps.batch + kv * p.k_steps.head;
      const T* v = p.v + b * p.v_steps.batch + kv * p.v_steps.head;
      multiply<T>(count, p.size, p.keys, {q, p.q_steps.row}, {k, p.k_steps.row, true}, {scores, p.keys});
      for (std::int64_t r = 0; r < count; ++r) {
        T* s = scores + r * p.keys;
        T* seen = p.seen ? p.seen + ((b * p.heads + h) * p.rows + first + r) * p.keys : nullptr;
        const auto show = [&](int stage) {
          if (seen && p.seen_stage == stage) std::copy_n(s, p.keys, seen);
        };
        for (std::int64_t i = 0; i < p.keys; ++i) s[i] *= p.scale;
        show(0);
        if (p.softcap > 0) {
          for (std::int64_t i = 0; i < p.keys; ++i) s[i] = p.softcap * std::tanh(s[i] / p.softcap);
        }
        show(1);
        std::fill_n(added, p.keys, T{0});
        bias(b, h, first + r, added);
        const T sink = p.sinks ? p.sinks[h] : T{0};
        T most = hidden, largest = p.smooth ? sink : hidden;
        for (std::int64_t i = 0; i < p.keys; ++i) {
          most = std::max(most, added[i]);
          s[i] += added[i];
        }
        show(2);
        for (std::int64_t i = 0; i < p.keys; ++i) largest = s[i] > largest ? s[i] : largest;
        if (most == hidden || (largest == hidden && !std::any_of(s, s + p.keys, [](T x) { return x != x; }))) {
          std::fill_n(s, p.keys, T{0});
        } else {
          double sum = p.smooth ? static_cast<double>(std::exp(sink - largest)) : 0;
          for (std::int64_t i = 0; i < p.keys; ++i) {
            s[i] = std::exp(s[i] - largest);
            sum += static_cast<double>(s[i]);
          }
          const T factor = static_cast<T>(1 / sum);
          for (std::int64_t i = 0; i < p.keys; ++i) s[i] *= factor;
        }
        show(3);
      }
      T* out = p.out + b * p.out_steps.batch + h * p.out_steps.head + first * p.out_steps.row;
      multiply<T>(count, p.keys, p.value_size, {scores, p.keys}, {v, p.v_steps.row}, {out, p.out_steps.row});
    }
  });
}

// How float32 is computed by a backend.
struct AttentionBackend {
  // As attend(). `bias` is empty where nothing is added.
  using Bias = std::function<void(std::int64_t batch, std::int64_t head, std::int64_t row, float* values)>;
  void (*attend)(Context& context, const AttentionProblem<float>& problem, const Bias& bias);
  // out[rows, columns] = a[rows, depth] b[depth, columns].
  void (*multiply)(Context& context, std::int64_t rows, std::int64_t depth, std::int64_t columns, const float* a,
                   const float* b, float* out);
};

// By the backend, where there is one.
template <typename T, typename Bias>
void attend(Context& context, const AttentionBackend* backend, const AttentionProblem<T>& p, bool biased,
            const Bias& bias) {
  if constexpr (std::is_same_v<T, float>) {
    if (backend) return backend->attend(context, p, biased ? AttentionBackend::Bias(std::cref(bias)) : nullptr);
  }
  attend(p, bias);
}

template <typename T>
void multiply(Context& context, const AttentionBackend* backend, std::int64_t rows, std::int64_t depth,
              std::int64_t columns, const T* a, const T* b, T* out) {
  if constexpr (std::is_same_v<T, float>) {
    if (backend) return backend->multiply(context, rows, depth, columns, a, b, out);
  }
  multiply<T>(rows, depth, columns, {a, depth}, {b, columns}, {out, columns});
}

// The operators; without a backend by attend() alone.
void attention(Context& context, const AttentionBackend* backend);
void microsoft_attention(Context& context, const AttentionBackend* backend);
void microsoft_multi_head_attention(Context& context, const AttentionBackend* backend);
void microsoft_group_query_attention(Context& context, const AttentionBackend* backend);

template <void (*Run)(Context&, const AttentionBackend*)>
void without_backend(Context& context) {
  Run(context, nullptr);
}

// [batch, heads, past + length, size] from a past (may be null) and rows that lie as `steps` says.
template <typename T>
void append_rows(const T* past, std::int64_t past_length, const T* rows, const HeadSteps& steps, std::int64_t batch,
                 std::int64_t heads, std::int64_t length, std::int64_t size, T* out) {
  for (std::int64_t i = 0; i < batch * heads; ++i) {
    T* to = out + i * (past_length + length) * size;
    if (past) std::copy_n(past + i * past_length * size, past_length * size, to);
    const T* from = rows + i / heads * steps.batch + i % heads * steps.head;
    for (std::int64_t r = 0; r < length; ++r) std::copy_n(from + r * steps.row, size, to + (past_length + r) * size);
  }
}

}  // namespace hone::exec
