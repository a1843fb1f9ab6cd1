// SkipLayerNormalization SkipSimplifiedLayerNormalization EmbedLayerNormalization of com.microsoft, and
// SimplifiedLayerNormalization, which ONNX Runtime keeps in ONNX's own domain. Sums are in double.
#include <cmath>

#include "exec/reference/microsoft/microsoft.h"

namespace hone::exec {
namespace {

// Rows of `length` elements from `x` (which may be `y`); `simple` takes no mean away. Null scale or bias: none.
template <typename T>
void normalize(const T* x, T* y, std::int64_t rows, std::int64_t length, const T* scale, const T* bias, double epsilon,
               bool simple, float* means, float* inverses) {
  parallel_for(rows, grain_for(4 * static_cast<double>(length)), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* from = x + r * length;
      T* to = y + r * length;
      double mean = 0, squares = 0;
      if (!simple) {
        for (std::int64_t i = 0; i < length; ++i) mean += static_cast<double>(from[i]);
        mean /= static_cast<double>(length);
      }
      for (std::int64_t i = 0; i < length; ++i) {
        const double d = static_cast<double>(from[i]) - mean;
        squares += d * d;
      }
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(length) + epsilon);
      if (means) means[r] = static_cast<float>(mean);
      if (inverses) inverses[r] = static_cast<float>(inverse);
      const T center = static_cast<T>(mean), factor = static_cast<T>(inverse);
      for (std::int64_t i = 0; i < length; ++i) {
        const T value = (from[i] - center) * factor * (scale ? scale[i] : T{1});
        to[i] = bias ? value + bias[i] : value;
      }
    }
  });
}

// output = normalization(input + skip + bias); also gives the sum.
template <bool simple>
void skip_normalization(Context& context) {
  const Array &in = context.input(0), &skip = context.input(1), &gamma = context.input(2);
  require_rank(in, 2, 3, "the input");
  require_type(skip, in.type, "skip");
  const std::int64_t length = in.dims.back(), rows = product(in.dims, 0, in.rank() - 1);
  if (skip.rank() > in.rank() || skip.rank() < 2 || broadcast_dims(in.dims, skip.dims) != in.dims ||
      skip.dims.back() != length || skip.dims[skip.rank() - 2] != in.dims[in.rank() - 2]) {
    bad_input("skip of shape {} for an input of shape {}", ir::text(skip.dims), ir::text(in.dims));
  }
  const Array *beta = simple ? nullptr : optional_input(context, 3), *bias = optional_input(context, simple ? 3 : 4);
  for (const Array* row : {&gamma, beta, bias}) {
    if (!row) continue;
    require_type(*row, in.type, "gamma, beta or bias");
    require_dims(*row, {length}, "gamma, beta or bias");
  }
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-12f));
  in_real(context, in.type, [&]<typename T>() {
    std::optional<Result<T>> shown;
    if (context.wants_output(3)) shown.emplace(context, 3, in.type, in.dims);
    Result<T> out(context, 0, in.type, in.dims);
    T* sum = shown ? shown->data() : scratch<T>(context, in.count());
    combine(broadcast<2>(in.dims, {in.dims, skip.dims}), view<T>(context, in), view<T>(context, skip), sum, cheap_grain,
            [](T x, T y) { return x + y; });
    if (bias) {
      combine(broadcast<2>(in.dims, {in.dims, bias->dims}), sum, view<T>(context, *bias), sum, cheap_grain,
              [](T x, T y) { return x + y; });
    }
    ir::Dims statistics = in.dims;
    statistics.back() = 1;
    const auto statistic = [&](std::size_t index) {
      return context.wants_output(index) ? context.output(index, ir::ElementType::float32, statistics).as<float>()
                                         : nullptr;
    };
    normalize(sum, out.data(), rows, length, view<T>(context, gamma), beta ? view<T>(context, *beta) : nullptr, epsilon,
              simple, statistic(1), statistic(2));
    out.finish();
    if (shown) shown->finish();
  });
}

void simplified_normalization(Context& context) {
  const Array &in = context.input(0), &scale = context.input(1);
  const std::size_t axis = checked_axis(context.node().int_or("axis", -1), in.rank());
  const std::int64_t rows = product(in.dims, 0, axis), length = product(in.dims, axis, in.rank());
  if (scale.count() != length)
    bad_input("a scale of shape {} for an input of shape {}", ir::text(scale.dims), ir::text(in.dims));
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-5f));
  in_real(context, in.type, [&]<typename T>() {
    Result<T> out(context, 0, scale.type, in.dims);
    float* inverses = nullptr;
    if (context.wants_output(1)) {
      ir::Dims dims = in.dims;
      std::fill(dims.begin() + static_cast<std::ptrdiff_t>(axis), dims.end(), 1);
      inverses = context.output(1, ir::ElementType::float32, dims).as<float>();
    }
    normalize<T>(view<T>(context, in), out.data(), rows, length, view<T>(context, scale), nullptr, epsilon, true,
                 nullptr, inverses);
    out.finish();
  });
}

// Sums of a word's, a place's and a segment's embedding, normalized; and how many places of each sequence the mask shows.
void embed_normalization(Context& context) {
  const Array &ids = context.input(0), &words = context.input(2), &places = context.input(3);
  const Array *segment_ids = optional_input(context, 1), *segments = optional_input(context, 4);
  const Array *mask = optional_input(context, 7), *positions = optional_input(context, 8);
  require_rank(ids, 2, 2, "input_ids");
  for (const Array* table : {&words, &places}) require_rank(*table, 2, 2, "an embedding");
  if ((segment_ids == nullptr) != (segments == nullptr)) bad_input("segment_ids and segment_embedding go together");
  const std::int64_t batch = ids.dims[0], length = ids.dims[1], width = words.dims[1];
  if (places.dims[1] != width || (segments && (segments->rank() != 2 || segments->dims[1] != width))) {
    bad_input("embeddings of different widths");
  }
  if (segment_ids) require_dims(*segment_ids, ids.dims, "segment_ids");
  if (mask) require_dims(*mask, ids.dims, "the mask");
  if (positions) {
    require_rank(*positions, 2, 2, "position_ids");
    if ((positions->dims[0] != 1 && positions->dims[0] != batch) || positions->dims[1] != length) {
      bad_input("position_ids of shape {} for input_ids of shape {}", ir::text(positions->dims), ir::text(ids.dims));
    }
  }
  const auto flat = [](const Array& array) {
    Array row = array;
    row.dims = {array.count()};
    return read_ints(row);
  };
  const ir::Dims word_at = flat(ids), segment_at = segment_ids ? flat(*segment_ids) : ir::Dims();
  const ir::Dims place_at = positions ? flat(*positions) : ir::Dims();
  for (std::size_t i = 5; i <= 6; ++i) require_dims(context.input(i), {width}, "gamma or beta");
  const auto row_of = [&](const Array& table, std::int64_t at) {
    if (at < 0 || at >= table.dims[0]) bad_input("row {} of an embedding of shape {}", at, ir::text(table.dims));
    return at * width;
  };
  const double epsilon = static_cast<double>(context.node().float_or("epsilon", 1e-12f));
  const ir::Dims dims = {batch, length, width};
  in_real(context, words.type, [&]<typename T>() {
    std::optional<Result<T>> shown;
    if (context.wants_output(2)) shown.emplace(context, 2, words.type, dims);
    Result<T> out(context, 0, words.type, dims);
    T* sum = shown ? shown->data() : out.data();
    const T *word = view<T>(context, words), *place = view<T>(context, places),
            *segment = segments ? view<T>(context, *segments) : nullptr;
    for (std::int64_t i = 0; i < batch * length; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const T* a = word + row_of(words, word_at[at]);
      const std::int64_t position =
          !positions ? i % length : place_at[positions->dims[0] == 1 ? static_cast<std::size_t>(i % length) : at];
      const T* b = place + row_of(places, position);
      const T* c = segment ? segment + row_of(*segments, segment_at[at]) : nullptr;
      for (std::int64_t k = 0; k < width; ++k) sum[i * width + k] = a[k] + b[k] + (c ? c[k] : T{0});
    }
    normalize(sum, out.data(), batch * length, width, view<T>(context, context.input(5)),
              view<T>(context, context.input(6)), epsilon, false, nullptr, nullptr);
    out.finish();
    if (shown) shown->finish();
  });
  if (!context.wants_output(1)) return;
  auto* counts = context.output(1, ir::ElementType::int32, {batch}).as<std::int32_t>();
  std::fill_n(counts, batch, 0);
  if (!mask) return;
  const ir::Dims seen = flat(*mask);
  for (std::int64_t i = 0; i < batch * length; ++i) counts[i / length] += seen[static_cast<std::size_t>(i)] == 1;
}

}  // namespace

std::span<const KernelEntry> microsoft_normalization_kernels() {
  static constexpr KernelEntry entries[] = {
      microsoft("SkipLayerNormalization", stateless<skip_normalization<false>>),
      microsoft("SkipSimplifiedLayerNormalization", stateless<skip_normalization<true>>),
      microsoft("EmbedLayerNormalization", stateless<embed_normalization>),
      {"SimplifiedLayerNormalization", 1, stateless<simplified_normalization>},
  };
  return entries;
}

}  // namespace hone::exec
