// Einsum: operands are contracted from left to right, each pair as a stack of matrix products.
//
// Integers are computed in 64 bits and keep their low bits. A dimension of 1 broadcasts against those of its label in
// other inputs.
#include "hone/ir/einsum.h"

#include <map>
#include <set>

#include "exec/reference/gemm.h"
#include "exec/reference/list.h"
#include "exec/reference/strided.h"
#include "hone/ir/dimension.h"

namespace hone::exec {
namespace {

using Labels = ir::EinsumEquation::Labels;

struct Term {
  Labels labels;
  ir::Dims dims, steps;
  const std::byte* data = nullptr;
  bool has(int label) const { return std::find(labels.begin(), labels.end(), label) != labels.end(); }
  std::size_t place(int label) const {
    return static_cast<std::size_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
  }
};

template <typename T>
class Contraction {
 public:
  Contraction(Context& context, ir::ElementType type) : context_(context), type_(type) {}

  Term run(std::vector<Term> terms, const Labels& result) {
    Term current = terms[0];
    for (std::size_t i = 0; i < terms.size(); ++i) {
      std::set<int> needed(result.begin(), result.end());
      for (std::size_t k = i + 1; k < terms.size(); ++k) needed.insert(terms[k].labels.begin(), terms[k].labels.end());
      if (i == 0) {
        current = summed(current, needed);
        continue;
      }
      std::set<int> shared = needed;
      shared.insert(current.labels.begin(), current.labels.end());
      current = product_of(current, summed(terms[i], shared), needed);
    }
    return current;
  }

  // The term's elements with dimensions in the given order, contiguous.
  Term ordered(const Term& term, const Labels& labels) {
    Term out;
    out.labels = labels;
    for (const int label : labels) {
      out.dims.push_back(term.dims[term.place(label)]);
      out.steps.push_back(term.steps[term.place(label)]);
    }
    const ir::Dims packed = strides(out.dims);
    bool same = true;
    for (std::size_t d = 0; d < labels.size(); ++d) same = same && (out.dims[d] == 1 || out.steps[d] == packed[d]);
    if (same) {
      out.data = term.data;
    } else {
      Array from, to;
      from.type = to.type = type_;
      from.data = const_cast<std::byte*>(term.data);
      to.dims = out.dims;
      to.data = reinterpret_cast<std::byte*>(scratch<T>(context_, product(out.dims)));
      copy_strided(context_, from, 0, out.dims, out.steps, to);
      out.data = to.data;
    }
    out.steps = packed;
    return out;
  }

 private:
  static std::int64_t size_of(const Term& term, const Labels& labels) {
    std::int64_t size = 1;
    for (const int label : labels) size = size_product(size, term.dims[term.place(label)]);
    return size;
  }

  // Summed over the labels that nobody needs.
  Term summed(const Term& term, const std::set<int>& needed) {
    Labels kept, dropped;
    for (const int label : term.labels) (needed.contains(label) ? kept : dropped).push_back(label);
    if (dropped.empty()) return term;
    Labels all = kept;
    all.insert(all.end(), dropped.begin(), dropped.end());
    const Term packed = ordered(term, all);
    const std::int64_t rows = size_of(term, kept), length = size_of(term, dropped);
    T* out = scratch<T>(context_, rows);
    const T* from = reinterpret_cast<const T*>(packed.data);
    for (std::int64_t r = 0; r < rows; ++r) {
      using Sum = std::conditional_t<std::is_floating_point_v<T>, double, std::uint64_t>;
      Sum sum = 0;
      for (std::int64_t i = 0; i < length; ++i) sum += static_cast<Sum>(from[r * length + i]);
      out[r] = static_cast<T>(sum);
    }
    Term result;
    result.labels = kept;
    result.dims.assign(packed.dims.begin(), packed.dims.begin() + static_cast<std::ptrdiff_t>(kept.size()));
    result.steps = strides(result.dims);
    result.data = reinterpret_cast<const std::byte*>(out);
    return result;
  }

  Term product_of(const Term& a, const Term& b, const std::set<int>& needed) {
    Labels stack, depth, rows, columns;
    for (const int label : a.labels) {
      if (!b.has(label)) {
        rows.push_back(label);
      } else {
        (needed.contains(label) ? stack : depth).push_back(label);
      }
    }
    for (const int label : b.labels) {
      if (!a.has(label)) columns.push_back(label);
    }
    const auto chain = [](const Labels& x, const Labels& y, const Labels& z) {
      Labels all = x;
      all.insert(all.end(), y.begin(), y.end());
      all.insert(all.end(), z.begin(), z.end());
      return all;
    };
    const Term left = ordered(a, chain(stack, rows, depth)), right = ordered(b, chain(stack, depth, columns));
    const std::int64_t s = size_of(a, stack), m = size_of(a, rows), k = size_of(a, depth), n = size_of(b, columns);
    Term result;
    result.labels = chain(stack, rows, columns);
    for (const int label : result.labels)
      result.dims.push_back(a.has(label) ? a.dims[a.place(label)] : b.dims[b.place(label)]);
    result.steps = strides(result.dims);
    T* out = scratch<T>(context_, product(result.dims));
    const T *x = reinterpret_cast<const T*>(left.data), *y = reinterpret_cast<const T*>(right.data);
    if (product(result.dims) > 0) {
      parallel_for(s, grain_for(static_cast<double>(m * n) * static_cast<double>(k)),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       multiply<T>(m, k, n, {x + i * m * k, k}, {y + i * k * n, n}, {out + i * m * n, n});
                     }
                   });
    }
    result.data = reinterpret_cast<const std::byte*>(out);
    return result;
  }

  Context& context_;
  ir::ElementType type_;
};

void einsum(Context& context) {
  const std::size_t n = context.input_count();
  if (n == 0) bad_input("no inputs");
  const ir::ElementType type = context.input(0).type;
  std::vector<std::size_t> ranks;
  for (std::size_t i = 0; i < n; ++i) {
    require_type(context.input(i), type, "every input");
    ranks.push_back(context.input(i).rank());
  }
  const ir::EinsumEquation::Labelled equation =
      ir::EinsumEquation(required_string(context.node(), "equation")).label(ranks);

  std::map<int, std::int64_t> sizes;
  for (std::size_t i = 0; i < n; ++i) {
    std::map<int, std::int64_t> own;
    for (std::size_t d = 0; d < ranks[i]; ++d) {
      const std::int64_t dim = context.input(i).dims[d];
      const std::int64_t first = own.try_emplace(equation.operands[i][d], dim).first->second;
      if (first != dim) bad_input("dimensions {} and {} of one input share a label", first, dim);
      const auto [found, fresh] = sizes.try_emplace(equation.operands[i][d], dim);
      if (!fresh && found->second != dim) {
        if (found->second != 1 && dim != 1) bad_input("dimensions {} and {} share a label", found->second, dim);
        found->second = found->second == 1 ? dim : found->second;
      }
    }
  }
  ir::Dims dims;
  for (const int label : equation.result) {
    const auto found = sizes.find(label);
    if (found == sizes.end()) bad_input("a label of the result is in no input");
    dims.push_back(found->second);
  }

  const auto run = [&]<typename T>(ir::ElementType computed, const auto& values, T* out) {
    std::vector<Term> terms;
    for (std::size_t i = 0; i < n; ++i) {
      const Array& in = context.input(i);
      const ir::Dims own = strides(in.dims);
      Term term;
      term.data = reinterpret_cast<const std::byte*>(static_cast<const T*>(values(in)));
      for (std::size_t d = 0; d < in.rank(); ++d) {
        const int label = equation.operands[i][d];
        if (in.dims[d] == 1 && sizes[label] != 1) continue;  // broadcast: as if the label were not there
        if (term.has(label)) {
          term.steps[term.place(label)] += own[d];  // the diagonal
        } else {
          term.labels.push_back(label);
          term.dims.push_back(in.dims[d]);
          term.steps.push_back(own[d]);
        }
      }
      terms.push_back(term);
    }
    Contraction<T> contraction(context, computed);
    const Term result = contraction.ordered(contraction.run(std::move(terms), equation.result), equation.result);
    if (const std::int64_t count = product(dims); count > 0)
      std::copy_n(reinterpret_cast<const T*>(result.data), count, out);
  };
  in_number(context, type, [&]<typename T>() {
    if constexpr (std::is_floating_point_v<T>) {
      Result<T> out(context, 0, type, dims);
      run(
          ir::element_type_of<T>, [&](const Array& in) { return view<T>(context, in); }, out.data());
      out.finish();
    } else {
      Array& out = context.output(0, type, dims);
      auto* wide = scratch<std::int64_t>(context, out.count());
      run(
          ir::ElementType::int64,
          [&](const Array& in) {
            auto* copy = scratch<std::int64_t>(context, in.count());
            for (std::int64_t i = 0; i < in.count(); ++i) copy[i] = static_cast<std::int64_t>(in.as<T>()[i]);
            return static_cast<const std::int64_t*>(copy);
          },
          wide);
      map_range(wide, out.as<T>(), out.count(), cheap_grain, [](std::int64_t x) { return static_cast<T>(x); });
    }
  });
}

}  // namespace

std::span<const KernelEntry> einsum_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Einsum", 12, stateless<einsum>},
  };
  return entries;
}

}  // namespace hone::exec
