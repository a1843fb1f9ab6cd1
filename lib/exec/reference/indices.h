// Indices of Gather, Scatter and their like: checked, counted from the front, and walked.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

// All indices as int64 in [0, bound), in scratch memory; bad_input for one out of [-bound, bound).
const std::int64_t* checked_indices(Context& context, const Array& indices, std::int64_t bound);

// The last dimension of `indices` holds one index for each of `dims`: the flat offset of each tuple within `dims`.
const std::int64_t* checked_tuples(Context& context, const Array& indices, DimSpan dims);

// The element-by-element pairing of GatherElements and ScatterElements: position i of the indices goes with the data
// element at base + index * axis_step().
class ElementWalk {
 public:
  ElementWalk(const ir::Dims& data, const ir::Dims& indices, std::size_t axis)
      : dims_(indices), steps_(strides(data)), axis_step_(steps_.empty() ? 0 : steps_[axis]) {
    if (!steps_.empty()) steps_[axis] = 0;
  }
  std::int64_t axis_step() const { return axis_step_; }

  template <typename F>  // f(i, base), in order
  void for_each(const F& f) const {
    const std::int64_t count = product(dims_);
    if (count == 0 || dims_.empty()) return;
    const std::size_t last = dims_.size() - 1;
    ir::Dims index(dims_.size());
    std::int64_t base = 0;
    for (std::int64_t i = 0; i < count;) {
      for (std::int64_t c = 0; c < dims_[last]; ++c, ++i) f(i, base + c * steps_[last]);
      for (std::size_t d = last; d-- > 0;) {
        base += steps_[d];
        if (++index[d] < dims_[d]) break;
        base -= steps_[d] * dims_[d];
        index[d] = 0;
      }
    }
  }

 private:
  ir::Dims dims_, steps_;
  std::int64_t axis_step_;
};

}  // namespace hone::exec
