// How a tensor is walked over to reduce some of its dimensions.
#pragma once

#include "exec/reference/elements.h"

namespace hone::exec {

// Neighbouring dimensions that are both kept or both reduced count as one. The innermost such group stands apart: its
// elements are contiguous, and it is reduced or kept as `inner_reduced` says.
struct ReducePlan {
  ir::Dims kept, kept_steps, reduced, reduced_steps;  // the groups outside of the innermost
  std::int64_t inner = 1;
  bool inner_reduced = true;

  ReducePlan(const ir::Dims& dims, const std::vector<bool>& axes);
  std::int64_t locate_kept(std::int64_t index) const;  // where the index-th combination of `kept` starts
};

ir::Dims reduced_dims(const ir::Dims& dims, const std::vector<bool>& axes, bool keep);

}  // namespace hone::exec
