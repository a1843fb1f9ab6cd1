// How a model ends.
#pragma once

#include <cstdint>
#include <optional>

#include "hone/ir/graph.h"

namespace hone::train {

struct Head {
  enum class Kind { plain, softmax, log_softmax, sigmoid };
  Kind kind = Kind::plain;
  ir::Value* logits = nullptr;       // what goes into the activation at the end; the output itself where there is none
  std::optional<std::int64_t> axis;  // of a softmax, from the front
};

// The activation that makes `output`, perhaps behind an Identity.
Head find_head(ir::Value& output);

}  // namespace hone::train
