// The list of passes over a model that any tool may run; `hone passes` prints it.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "hone/rewrite/pass.h"

namespace hone::passes {

// Every pass, in the order the default pipeline runs them.
std::span<const rewrite::Pass> list();
// The pipeline of `hone convert --level N`.
std::vector<const rewrite::Pass*> pipeline(int level);

}  // namespace hone::passes
