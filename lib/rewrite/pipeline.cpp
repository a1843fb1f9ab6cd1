// Pipelines: text to passes, and running them until nothing changes.
#include <algorithm>
#include <chrono>

#include "hone/rewrite/pass.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/support/threads.h"
#include "rewrite/bodies.h"
#include "rewrite/driver.h"
#include "rewrite/worklist.h"

namespace hone::rewrite {
namespace {

using Clock = std::chrono::steady_clock;

// Every round makes the graph smaller or moves it towards its normal form; models settle in two or three. The cap only
// stops passes that undo each other, which tests would show.
constexpr int kMaxRounds = 16;

// Gradient of ai.onnx.preview.training names values in its attributes. Rules don't see these uses, and would take away or
// change what is named.
const ir::Node* find_gradient(const ir::Model& model) {
  constexpr std::string_view domain = "ai.onnx.preview.training";
  const ir::Node* found = nullptr;
  const auto look = [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      if (node.is(domain, "Gradient")) found = &node;
    }
  };
  if (model.opset(domain) != 0) ir::for_each_graph(*model.graph, look);
  for (const auto& function : model.functions) ir::for_each_graph(*function->body, look);
  return found;
}

}  // namespace

std::vector<const Pass*> parse_pipeline(std::string_view text, std::span<const Pass> list) {
  std::vector<const Pass*> pipeline;
  for (const std::string_view item : split(text, ',')) {
    const std::string_view name = trim(item);
    if (name.empty()) continue;
    const auto found = std::find_if(list.begin(), list.end(), [&](const Pass& pass) { return pass.name == name; });
    if (found == list.end()) {
      std::vector<std::string> names;
      for (const Pass& pass : list) names.emplace_back(pass.name);
      const std::string near = nearest(name, names);
      usage_error("there is no pass {}{}; see `hone passes`", quote(name),
                  near.empty() ? "" : fmt::format(", did you mean '{}'?", near));
    }
    pipeline.push_back(&*found);
  }
  return pipeline;
}

PipelineResult run_pipeline(ir::Model& model, std::span<const Pass* const> pipeline, const PipelineOptions& options) {
  PipelineResult result;
  result.passes.reserve(pipeline.size());
  for (const Pass* pass : pipeline) result.passes.push_back({pass->name});

  if (const ir::Node* gradient = find_gradient(model)) {
    Observer& observer = options.observer ? *options.observer : silent();
    observer.message(Level::warning, fmt::format("nothing is rewritten: node {} (Gradient) refers to values by name",
                                                 quote(gradient->name())));
    return result;
  }

  shapes::Inference shapes(model, options.observer);
  shapes.run();
  Worklist worklist;
  Rewriter rewriter(model, shapes, &worklist);
  rewriter.set_refusal_log(options.refusals);
  PassContext context{rewriter, options.pass};

  const auto finished = [&](std::string_view name) {
    if (options.verify_ir) {
      in_context([&] { return "after pass " + std::string(name); },
                 [&] {
                   ir::verify(*model.graph);
                   for (const auto& function : model.functions) ir::verify(*function->body);
                 });
    }
    if (options.after_pass) options.after_pass(name, model);
  };

  for (int round = 0; round < kMaxRounds; ++round) {
    Status status = Status::unchanged;
    std::unordered_set<const ir::Graph*> changed_bodies;
    for (std::size_t begin = 0; begin < pipeline.size();) {
      check_interrupt();
      if (result.applications >= options.rewrite_limit) return result;
      std::size_t end = begin + 1;
      if (pipeline[begin]->rule) {
        while (!options.one_pass_at_a_time && end < pipeline.size() && pipeline[end]->rule) ++end;
        std::vector<PassStatistics*> statistics;
        for (std::size_t i = begin; i < end; ++i) statistics.push_back(&result.passes[i]);
        const DriverResult driven = run_rules(rewriter, worklist, pipeline.subspan(begin, end - begin), options.pass,
                                              statistics, options.rewrite_limit - result.applications, changed_bodies);
        result.applications += driven.applications;
        if (driven.status == Status::changed) {
          status = Status::changed;
          result.last_applied = driven.last_applied;
          finished(end - begin == 1 ? pipeline[begin]->name : "rules");
        }
        while (worklist.pop()) {
        }
      } else {
        PassStatistics& statistic = result.passes[begin];
        ++statistic.visits;
        const auto start = Clock::now();
        const Status changed = in_context([&] { return "pass " + std::string(pipeline[begin]->name); },
                                          [&] { return pipeline[begin]->run(context); });
        statistic.seconds += std::chrono::duration<double>(Clock::now() - start).count();
        while (worklist.pop()) {
        }
        if (changed == Status::changed) {
          status = Status::changed;
          ++statistic.applications;
          ++result.applications;
          result.last_applied = pipeline[begin]->name;
          finished(pipeline[begin]->name);
        }
      }
      begin = end;
    }
    infer_holders(model, shapes, changed_bodies);
    while (worklist.pop()) {
    }
    result.status |= status;
    if (status == Status::unchanged) break;
  }
  return result;
}

}  // namespace hone::rewrite
