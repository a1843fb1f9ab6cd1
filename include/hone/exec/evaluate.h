// Running one node, at once, on reference kernels: what folding and tests use.
#pragma once

#include <optional>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

struct EvaluateOptions {
  std::uint64_t max_output_bytes = 0;  // raise resource_limit before a larger output is made; 0: only the process limit
  std::uint64_t seed = 0;
  bool reference = true;
};

// The outputs of the node for these inputs (one per input slot; nullopt where the slot is empty); outputs nobody asked
// for (empty slots) are default Datums. Deterministic. Raises unsupported where there is neither kernel nor function
// body, bad_input where the node is invalid for these inputs.
std::vector<ir::Datum> evaluate(const ir::Node& node, const ir::Model& model,
                                const std::vector<std::optional<ir::Datum>>& inputs,
                                const EvaluateOptions& options = {});

}  // namespace hone::exec
