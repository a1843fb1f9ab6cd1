// The list of passes over a model that any tool may run; `hone passes` prints it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hone/rewrite/pass.h"

namespace hone::passes {

// Every pass, in the order the default pipeline runs them.
std::span<const rewrite::Pass> list();
// The pipeline of `hone convert --level N [--target NAME]`. What level 3 adds belongs to a target, "onnxruntime"; without one
// it is that of level 2.
std::vector<const rewrite::Pass*> pipeline(int level, std::string_view target = "");

}  // namespace hone::passes
