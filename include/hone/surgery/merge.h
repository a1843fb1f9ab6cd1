// Two models as one: outputs of the first feed inputs of the second.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "hone/ir/model.h"

namespace hone::surgery {

struct MergeOptions {
  // A tensor of the first model (an output, an input to be shared, or any value of its main graph), and the input of the
  // second that it feeds. Empty: outputs, then inputs, of the first go to the inputs of the second of the same names.
  std::vector<std::pair<std::string, std::string>> connections;
  bool keep_connected = false;  // outputs of the first that feed the second stay outputs
};

struct MergeResult {
  std::vector<std::pair<std::string, std::string>> connected;  // tensor of the first, input of the second
  // Inputs, outputs and symbolic dimensions of the second that have another name now.
  std::vector<std::pair<std::string, std::string>> renamed;
};

// Puts `second` behind `first`, in place. Inputs: those of the first, then those of the second that are not fed. Outputs:
// those of the first that feed nothing, then those of the second. The signature keeps its names; where both models have
// an input or output of one name, that of the second gets a number, as every other value and node of the second does.
//
// Versions of operator sets may differ where no operator in use changed between them: the newer one is imported. Functions
// that are equal become one, others of one name get different names. Symbolic dimensions of the second become those of
// the first where they meet. Metadata and doc strings of the second are kept where the first has none of that key.
//
// Raises usage for unknown names (naming the nearest), for tensors whose types or shapes can't be equal, and where nothing
// connects; unsupported for operator sets that can't be reconciled.
MergeResult merge(ir::Model& first, const ir::Model& second, const MergeOptions& options = {});

}  // namespace hone::surgery
