// Runs rules off one worklist until none of them changes anything.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_set>

#include "hone/rewrite/pass.h"

namespace hone::rewrite {

struct DriverResult {
  Status status = Status::unchanged;
  std::uint64_t applications = 0;
  std::string last_applied;
};

// `statistics` has one entry per rule. At most `limit` applications. `changed` gains the bodies (of control-flow nodes and
// local functions) in which a rule changed something.
DriverResult run_rules(Rewriter& rewriter, Worklist& worklist, std::span<const Pass* const> rules,
                       const PassOptions& options, std::span<PassStatistics*> statistics, std::uint64_t limit,
                       std::unordered_set<const ir::Graph*>& changed);

}  // namespace hone::rewrite
