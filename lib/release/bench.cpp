#include "hone/release/bench.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <unordered_set>

#include "hone/exec/session.h"
#include "hone/support/error.h"
#include "hone/support/threads.h"

namespace hone::release {
namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// A session and the inputs it is fed with, in turn.
class Timed {
 public:
  Timed(const ir::Model& model, const InputSets& inputs)
      : start_(std::chrono::steady_clock::now()), session_(model), created_(seconds_since(start_)) {
    std::unordered_set<std::string_view> known;
    for (const ir::Value* input : model.graph->inputs()) known.insert(input->name());
    for (const auto& set : inputs) {
      auto& mine = inputs_.emplace_back();
      std::copy_if(set.begin(), set.end(), std::back_inserter(mine),
                   [&](const auto& each) { return known.contains(each.name); });
    }
  }

  void run() { session_.run_shared(inputs_[next_++ % inputs_.size()]); }
  double created() const { return created_; }
  std::uint64_t memory() const { return session_.planned_bytes(); }

 private:
  std::chrono::steady_clock::time_point start_;
  exec::Session session_;
  double created_;
  InputSets inputs_;
  std::size_t next_ = 0;
};

void summarize(BenchSide& side, std::vector<double> seconds, const BenchOptions& options) {
  side.seconds = std::move(seconds);
  side.latency = metrics::summarize(side.seconds);
  side.interval = metrics::median_interval(side.seconds, options.seed, options.confidence);
}

Bench time(Timed& runner, const std::function<void()>& other, const BenchOptions& options) {
  Bench result;
  metrics::Timings timings = metrics::time_turns([&] { runner.run(); }, other, options.turns);
  if (other) {
    result.ratio = metrics::latency_ratio(timings.first, timings.second, options.seed, options.confidence);
    summarize(result.against.emplace(), std::move(timings.second), options);
  }
  summarize(result.model, std::move(timings.first), options);
  result.model.created = runner.created();
  result.model.memory = runner.memory();
  return result;
}

void require(const InputSets& inputs) {
  if (inputs.empty()) usage_error("a benchmark needs at least one set of inputs");
}

}  // namespace

Bench bench(const ir::Model& model, const InputSets& inputs, const BenchOptions& options) {
  require(inputs);
  Timed runner(model, inputs);
  return time(runner, nullptr, options);
}

Bench bench(const ir::Model& model, const ir::Model& against, const InputSets& inputs, const BenchOptions& options) {
  require(inputs);
  Timed runner(model, inputs), other(against, inputs);
  Bench result = time(
      runner, [&] { in_context([] { return std::string("the model to compare with"); }, [&] { other.run(); }); },
      options);
  result.against->created = other.created();
  result.against->memory = other.memory();
  return result;
}

Bench bench_against_onnxruntime(const ir::Model& model, const std::string& file, const std::string& library,
                                const InputSets& inputs, const BenchOptions& options, std::string& version) {
  require(inputs);
  Timed runner(model, inputs);
  const auto start = std::chrono::steady_clock::now();
  const exec::OnnxRuntime other(library, file, threads());
  const double created = seconds_since(start);
  version = other.version();
  std::vector<std::shared_ptr<const exec::OnnxRuntime::Inputs>> prepared;
  for (const auto& set : inputs) prepared.push_back(other.prepare(set));
  std::size_t next = 0;
  BenchOptions own = options;
  // Its threads wait busily for 60 ms behind a run, on a core that the next turn would have.
  if (threads() > 1) own.turns.rest = std::max(own.turns.rest, 0.1);
  Bench result = time(
      runner, [&] { other.run(*prepared[next++ % prepared.size()]); }, own);
  result.against->created = created;
  return result;
}

}  // namespace hone::release
