// The worklist driver. Nodes of every graph are looked at once in order, then those that an edit touched.
//
// A rule set that undoes itself would never end: the number of applications is capped at a multiple of the node count,
// and passing the cap is a bug of ours that names the rule.
#include "rewrite/driver.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <utility>

#include "hone/support/error.h"
#include "hone/support/threads.h"
#include "rewrite/worklist.h"

namespace hone::rewrite {
namespace {

using Clock = std::chrono::steady_clock;

std::string describe(std::string_view rule, const ir::Node& node) {
  return std::string(rule) + " at node " + quote(node.name()) + " (" + node.op_type() + ")";
}

// Recurrent nodes often give their last state only.
bool may_lack_first_output(const ir::Node& node) { return node.is("LSTM") || node.is("GRU") || node.is("RNN"); }

}  // namespace

DriverResult run_rules(Rewriter& rewriter, Worklist& worklist, std::span<const Pass* const> rules,
                       const PassOptions& options, std::span<PassStatistics*> statistics, std::uint64_t limit,
                       std::unordered_set<const ir::Graph*>& changed) {
  std::unordered_map<std::string_view, std::vector<std::size_t>> by_op;
  std::vector<std::size_t> for_all;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    for (const std::string_view op : rules[i]->op_types) {
      if (op == "*") {
        for_all.push_back(i);
      } else {
        by_op[op].push_back(i);
      }
    }
  }
  for (auto& [op, indices] : by_op) {
    indices.insert(indices.end(), for_all.begin(), for_all.end());
    std::sort(indices.begin(), indices.end());  // pipeline order
  }

  std::uint64_t nodes = 0;
  const auto push_all = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      for (ir::Node& node : graph.nodes()) {
        node.mark = 0;
        worklist.push(node);
        ++nodes;
      }
    });
  };
  push_all(*rewriter.model().graph);
  for (const auto& function : rewriter.model().functions) push_all(*function->body);
  // A rewrite removes a node, or moves one a bounded way; 64 per node is far beyond what any model has needed.
  const std::uint64_t cap = 64 * nodes + 10000;

  PassContext context{rewriter, options};
  DriverResult result;
  std::uint64_t steps = 0;
  // One look at the clock for each visit: most visits take no longer than that.
  auto now = Clock::now();
  while (ir::Node* node = worklist.pop()) {
    if ((++steps & 1023) == 0) check_interrupt();
    // Rules of one operator look at the first output. Dead code, and what CSE makes of it, is for the others.
    const bool headless = (node->output_count() == 0 || !node->output(0)) && !may_lack_first_output(*node);
    const auto found = headless ? by_op.end() : by_op.find(node->op_type());
    const std::vector<std::size_t>& candidates = found == by_op.end() ? for_all : found->second;
    const ir::Graph* const graph = &node->graph();
    for (const std::size_t i : candidates) {
      if (result.applications >= limit) return result;
      const Pass& rule = *rules[i];
      PassStatistics& statistic = *statistics[i];
      ++statistic.visits;
      const std::string place = limit != ~0ull ? describe(rule.name, *node) : std::string();
      const Status status =
          in_context([&] { return "pass " + std::string(rule.name); }, [&] { return rule.rule(*node, context); });
      const auto start = std::exchange(now, Clock::now());
      statistic.seconds += std::chrono::duration<double>(now - start).count();
      if (status == Status::unchanged) continue;
      ++statistic.applications;
      ++result.applications;
      result.status = Status::changed;
      result.last_applied = place;
      if (graph != rewriter.model().graph.get()) changed.insert(graph);
      if (result.applications > cap) {
        fail(ErrorKind::internal, "pass {}: rewrites do not settle after {} applications; please report this model",
             rule.name, result.applications);
      }
      if (worklist.current() == node) worklist.push(*node);  // alive: look again, with every rule
      break;
    }
  }
  return result;
}

}  // namespace hone::rewrite
