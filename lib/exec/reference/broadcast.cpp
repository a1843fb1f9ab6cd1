#include "exec/reference/broadcast.h"

namespace hone::exec {

ir::Dims broadcast_dims(DimSpan a, DimSpan b) {
  ir::Dims result(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < result.size(); ++i) {
    const std::int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      bad_input("shapes {} and {} don't broadcast", ir::text(ir::Dims(a.begin(), a.end())),
                ir::text(ir::Dims(b.begin(), b.end())));
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

template <std::size_t N>
Broadcast<N> broadcast(DimSpan out, const std::array<DimSpan, N>& operands) {
  Broadcast<N> result;
  result.count = product(out);
  std::array<std::int64_t, N> size;
  size.fill(1);
  // From the innermost dimension outward, building the collapsed lists backwards.
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t dim = out[out.size() - 1 - i];
    if (dim == 1) continue;
    std::array<std::int64_t, N> step;
    bool merge = !result.dims.empty();
    for (std::size_t k = 0; k < N; ++k) {
      const DimSpan dims = operands[k];
      const std::int64_t own = i < dims.size() ? dims[dims.size() - 1 - i] : 1;
      step[k] = own == 1 ? 0 : size[k];
      if (own != 1) {
        std::uint64_t grown = static_cast<std::uint64_t>(size[k]) * static_cast<std::uint64_t>(own);
        size[k] = static_cast<std::int64_t>(grown);
      }
      // It goes on where the dimension inside ends.
      if (merge &&
          (step[k] == 0 ? result.steps[k].back() != 0 : result.steps[k].back() * result.dims.back() != step[k])) {
        merge = false;
      }
    }
    if (merge && result.count > 0) {
      result.dims.back() *= dim;
    } else {
      result.dims.push_back(dim);
      for (std::size_t k = 0; k < N; ++k) result.steps[k].push_back(step[k]);
    }
  }
  if (result.dims.empty()) {
    result.dims.push_back(1);
    for (std::size_t k = 0; k < N; ++k) result.steps[k].push_back(0);
  }
  std::reverse(result.dims.begin(), result.dims.end());
  for (std::size_t k = 0; k < N; ++k) {
    std::reverse(result.steps[k].begin(), result.steps[k].end());
    result.moves[k] = result.steps[k].back() != 0;
  }
  return result;
}

template <std::size_t N>
void for_each_run(const Broadcast<N>& b, std::int64_t grain, const std::type_identity_t<Run<N>>& f) {
  if (b.count == 0) return;
  const std::int64_t inner = b.dims.back();
  const std::size_t outer = b.dims.size() - 1;
  parallel_for(b.count, grain, [&](std::int64_t begin, std::int64_t end) {
    std::array<std::int64_t, N> base{};
    ir::Dims index(outer);
    std::int64_t column = begin % inner, row = begin / inner;
    for (std::size_t d = outer; d-- > 0;) {
      index[d] = row % b.dims[d];
      row /= b.dims[d];
      for (std::size_t k = 0; k < N; ++k) base[k] += index[d] * b.steps[k][d];
    }
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t length = std::min(inner - column, end - at);
      std::array<std::int64_t, N> offsets = base;
      if (column > 0) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += b.moves[k] ? column : 0;
      }
      f(at, length, offsets);
      at += length;
      column = 0;
      for (std::size_t d = outer; d-- > 0;) {  // the next row
        ++index[d];
        for (std::size_t k = 0; k < N; ++k) base[k] += b.steps[k][d];
        if (index[d] < b.dims[d]) break;
        for (std::size_t k = 0; k < N; ++k) base[k] -= b.steps[k][d] * b.dims[d];
        index[d] = 0;
      }
    }
  });
}

#define HONE_BROADCAST(N)                                                               \
  template Broadcast<N> broadcast(DimSpan out, const std::array<DimSpan, N>& operands); \
  template void for_each_run(const Broadcast<N>& b, std::int64_t grain, const std::type_identity_t<Run<N>>& f);
HONE_BROADCAST(2)
HONE_BROADCAST(3)
HONE_BROADCAST(1)
#undef HONE_BROADCAST

}  // namespace hone::exec
