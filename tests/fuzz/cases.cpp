// What has to hold after a pipeline:
//   it raises nothing; the IR is sound; the model is valid ONNX; its signature is as it was; it gives the same results on
//   the same inputs; written and read it is the same; a second run of the pipeline changes nothing; "unchanged" means the
//   same bytes.
//
// Results of float operators may differ by rounding, and behind a step (Ceil, Less, QuantizeLinear) or a cancellation
// that is a large difference. Where results differ, the original is run again with all its numbers changed by about 1e-6:
// if that makes it differ too, the case proves nothing and is counted as unstable. So are results close to the largest float,
// which another order of the same factors passes.
#include "cases.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "generate.h"
#include "hone/exec/random_inputs.h"
#include "hone/exec/session.h"
#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/passes/passes.h"
#include "hone/rewrite/reduce.h"
#include "hone/rewrite/verify.h"
#include "hone/support/error.h"
#include "hone/support/random.h"

namespace hone::fuzz {
namespace {

constexpr double kTolerance = 1e-4;

// `old`: of IR version 3 at first, when constants were among the inputs.
std::string signature(const ir::Model& model, bool old) {
  std::string text;
  for (const ir::Value* input : model.graph->inputs()) {
    if (old && input->initializer()) continue;
    text += input->name() + ' ' + ir::text(input->type()) + "; ";
  }
  text += "=>";
  for (const ir::Value* output : model.graph->outputs()) {
    text += ' ' + output->name() + ' ' + std::string(ir::name(output->element_type()));
  }
  return text;
}

ir::Model reread(std::string bytes) { return onnx::read(File::from_memory(std::move(bytes), "case.onnx")); }

ir::Tensor nudged(const ir::Tensor& tensor, Random& random, double amount) {
  if (tensor.type() != ir::ElementType::float32) return tensor;
  ir::Tensor result = tensor.loaded().clone();
  for (float& each : result.mutable_data<float>()) {
    each = static_cast<float>(each * (1 + amount * (2 * random.uniform() - 1)));
    // Zeros of both signs count as equal: one of the other sign must not show.
    if (each == 0) each = random.below(2) ? 1e-38F : -1e-38F;
  }
  return result;
}

void nudge(ir::Model& model, Random& random, double amount) {
  const auto in_graph = [&](ir::Graph& graph) {
    for (ir::Value* value : graph.initializers()) {
      graph.set_initializer(*value, nudged(*value->initializer(), random, amount));
    }
    for (ir::Node& node : graph.nodes()) {
      if (!node.is("Constant")) continue;
      if (const ir::Tensor* tensor = node.tensor("value")) node.set_attribute("value", nudged(*tensor, random, amount));
    }
  };
  ir::for_each_graph(*model.graph, in_graph);
  for (const auto& function : model.functions) ir::for_each_graph(*function->body, in_graph);
}

bool nearly_overflows(const ir::Tensor* tensor) {
  if (!tensor || tensor->type() != ir::ElementType::float32) return false;
  const auto numbers = tensor->data<float>();
  return std::any_of(numbers.begin(), numbers.end(),
                     [](float each) { return std::isfinite(each) && std::abs(each) > 1e34F; });
}

}  // namespace

struct Case::State {
  ir::Model model;
  Inputs inputs;
  Counts& counts;
  std::string bytes, signature;
  bool valid = false;
  std::vector<std::optional<std::vector<ir::Datum>>> expected;  // nullopt: the model does not take these inputs
  std::vector<std::string> output_names;

  State(ir::Model given, Inputs given_inputs, Counts& statistics)
      : model(std::move(given)), inputs(std::move(given_inputs)), counts(statistics) {}

  exec::SessionOptions session_options() const {
    exec::SessionOptions options;
    options.reference = true;
    return options;
  }

  bool may_be_hidden(const Error& error, const ir::Model& after) const;

  // Does the original differ from itself when its numbers change a little?
  bool is_unstable(std::size_t set, std::size_t output, double tolerance) {
    if (nearly_overflows((*expected[set])[output].tensor())) return true;
    for (std::uint64_t attempt = 0; attempt < 3; ++attempt) {
      try {
        Random random(attempt, 7);
        const double amount = tolerance / 50;
        ir::Model other = model.clone();
        nudge(other, random, amount);
        exec::Session session(other, session_options());
        auto feed = inputs[set];
        for (ir::NamedDatum& each : feed) {
          if (each.datum.tensor()) each.datum = nudged(*each.datum.tensor(), random, amount);
        }
        const auto found = session.run(feed);
        if (rewrite::compare("", (*expected[set])[output], found[output], tolerance / 3)) return true;
      } catch (const Error&) {
        return true;
      }
    }
    return false;
  }
};

// Whether ONNX's inference may only now see, through constants that were folded, what was there before and hurts nobody: dead
// nodes and branches that can't run; branches of different shapes, which it refuses before opset 11; windows of ceil_mode that
// start in the padding, which it counts and no runtime has. Results are still held against the original's.
bool Case::State::may_be_hidden(const Error& error, const ir::Model& after) const {
  if (error.message().find("ShapeInferenceError") == std::string::npos) return false;
  bool branches = false, rounds_up = false;
  ir::for_each_graph(*after.graph, [&](ir::Graph& graph) {
    branches |= graph.parent_node() != nullptr;
    for (const ir::Node& node : graph.nodes()) rounds_up |= node.has_attribute("ceil_mode");
  });
  if (branches || rounds_up) return true;
  const bool fails =
      expected.empty() || std::any_of(expected.begin(), expected.end(), [](const auto& each) { return !each; });
  if (fails) return true;
  ir::Model alive = after.clone();
  rewrite::run_pipeline(alive, rewrite::parse_pipeline("eliminate-dead-code", passes::list()));
  try {
    onnx::check(alive);
  } catch (const Error&) {
    return false;
  }
  return true;
}

Case::Case(ir::Model model, Inputs inputs, Counts& counts)
    : state_(std::make_unique<State>(std::move(model), std::move(inputs), counts)) {
  State& s = *state_;
  try {
    s.bytes = onnx::to_bytes(s.model);
    onnx::check(s.model);
    s.valid = true;
  } catch (const Error& error) {
    ++counts.invalid;
    ++counts.invalid_reasons[error.message()];
    return;
  }
  s.signature = signature(s.model, s.model.ir_version < 4);
  bool ran = false;
  std::string reason;
  try {
    exec::Session session(s.model, s.session_options());
    s.output_names = session.output_names();
    for (const auto& feed : s.inputs) {
      try {
        s.expected.emplace_back(session.run(feed));
        ran = true;
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::internal) throw;
        reason = error.message();
        s.expected.emplace_back();
      }
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw;
    reason = error.message();
    s.expected.assign(s.inputs.size(), std::nullopt);
  }
  if (!ran) {
    ++counts.not_run;
    ++counts.not_run_reasons[reason];
  }
}

Case::~Case() = default;

bool Case::is_usable() const { return state_->valid; }

std::vector<Finding> Case::check_round_trip() {
  State& s = *state_;
  try {
    const ir::Model again = reread(s.bytes);
    if (onnx::to_bytes(again) != s.bytes) return {{"", "round trip", "written again, the model has other bytes"}};
  } catch (const Error& error) {
    return {{"", "round trip", error.message()}};
  }
  return {};
}

std::vector<Finding> Case::check_pipeline(const std::string& pipeline, bool* changed) {
  State& s = *state_;
  ++s.counts.pipelines;
  const auto finding = [&](std::string kind, std::string detail) {
    return std::vector<Finding>{{pipeline, std::move(kind), std::move(detail)}};
  };
  const bool half = pipeline.find("float16") != std::string::npos;
  const double tolerance = kTolerance;
  std::string step = "raised";
  try {
    std::string names = pipeline;
    rewrite::PipelineOptions options;
    options.verify_ir = true;
    if (names.starts_with("apart:")) {
      options.one_pass_at_a_time = true;
      names = names.substr(6);
    }
    std::vector<const rewrite::Pass*> passes;
    if (names.starts_with("level ")) {
      passes = passes::pipeline(names.back() - '0');
    } else {
      passes = rewrite::parse_pipeline(names, passes::list());
    }
    ir::Model after = s.model.clone();
    const auto result = rewrite::run_pipeline(after, passes, options);
    const bool did = result.status == rewrite::Status::changed;
    if (changed) *changed = did;
    step = "write";
    std::string bytes = onnx::to_bytes(after);
    if (!did) {
      if (bytes != s.bytes) return finding("unchanged changed", "the pipeline says unchanged, and the bytes differ");
      return {};
    }
    ++s.counts.changed;
    ++s.counts.changed_by[pipeline];
    step = "invalid";
    try {
      onnx::check(after);
    } catch (const Error& error) {
      if (!s.may_be_hidden(error, after)) throw;
      ++s.counts.hidden;
    }
    if (signature(after, s.model.ir_version < 4) != s.signature)
      return finding("signature", s.signature + " became " + signature(after, s.model.ir_version < 4));
    step = "read";
    ir::Model again = reread(bytes);
    if (onnx::to_bytes(again) != bytes) return finding("not the same bytes", "written, read and written");
    step = "second run";
    const auto second = rewrite::run_pipeline(again, passes, options);
    if (second.status == rewrite::Status::changed)
      return finding("not idempotent", "the second run did " + second.last_applied);
    if (onnx::to_bytes(again) != bytes) return finding("not idempotent", "bytes differ after a second run");
    step = "after raises";
    std::optional<exec::Session> session;
    for (std::size_t i = 0; i < s.inputs.size(); ++i) {
      if (!s.expected[i]) continue;
      if (half) break;  // rounds every value, and cancellation shows it: no bound holds
      if (!session) session.emplace(after, s.session_options());
      const auto found = session->run(s.inputs[i]);
      ++s.counts.runs;
      for (std::size_t o = 0; o < found.size(); ++o) {
        const auto difference = rewrite::compare(s.output_names[o], (*s.expected[i])[o], found[o], tolerance);
        if (!difference) continue;
        if (s.is_unstable(i, o, tolerance)) {
          ++s.counts.unstable;
          continue;
        }
        return finding("different",
                       "inputs " + std::to_string(i) + ", output " + difference->output + ", " + difference->detail);
      }
    }
  } catch (const Error& error) {
    return finding(step, error.message());
  } catch (const std::exception& error) {
    return finding(step, std::string("exception: ") + error.what());
  }
  return {};
}

std::vector<Finding> check_seed(std::uint64_t seed, Counts& counts) {
  ++counts.models;
  std::optional<Case> subject;
  try {
    Generated generated = generate(seed);
    subject.emplace(reread(std::move(generated.bytes)), std::move(generated.inputs), counts);
  } catch (const Error& error) {
    return {{"", "generate", error.message()}};
  }
  if (!subject->is_usable()) return {};
  std::vector<Finding> findings = subject->check_round_trip();
  const auto run = [&](const std::string& pipeline) {
    bool changed = false;
    for (Finding& each : subject->check_pipeline(pipeline, &changed)) findings.push_back(std::move(each));
    return changed;
  };
  std::vector<std::string> all, active;
  for (const rewrite::Pass& pass : passes::list()) all.emplace_back(pass.name);
  for (const std::string& name : all) {
    if (run(name) && name.find("float16") == std::string::npos) active.push_back(name);
  }
  Random random(seed, 3);
  const auto any = [&](const std::vector<std::string>& names) -> const std::string& {
    return names[random.below(names.size())];
  };
  if (!active.empty()) {
    for (int i = 0; i < 4; ++i) {
      const std::string& one = any(active);
      const std::string& other = i % 2 == 0 ? any(active) : any(all);
      run(random.below(2) ? one + "," + other : other + "," + one);
    }
    std::string several;
    for (std::uint64_t i = 3 + random.below(5); i > 0; --i)
      several += (several.empty() ? "" : ",") + any(i % 2 ? active : all);
    run(several);
  }
  run("level 1");
  run("level 2");
  if (random.below(4) == 0) {
    std::string names;
    for (const rewrite::Pass* pass : passes::pipeline(2))
      names += (names.empty() ? "apart:" : ",") + std::string(pass->name);
    run(names);
  }
  return findings;
}

std::string model_text(std::uint64_t seed) { return onnx::to_text(reread(generate(seed).bytes)); }

std::string shrink(std::uint64_t seed, const Finding& finding) {
  Counts counts;
  const Generated generated = generate(seed);
  const ir::Model start = reread(generated.bytes);
  // Values of the inputs by name; what becomes an input on the way gets random ones.
  const auto inputs_of = [&](const ir::Model& model) {
    Inputs result;
    for (const auto& given : generated.inputs) {
      std::vector<ir::NamedDatum> feed;
      try {
        feed = exec::random_inputs(model, 0);
      } catch (const Error&) {
        return Inputs{};
      }
      for (ir::NamedDatum& each : feed) {
        for (const ir::NamedDatum& original : given) {
          if (original.name != each.name || !original.datum.tensor() || !each.datum.tensor()) continue;
          if (original.datum.tensor()->rank() == each.datum.tensor()->rank()) each.datum = original.datum;
        }
      }
      result.push_back(std::move(feed));
    }
    return result;
  };
  const auto fails = [&](const ir::Model& model) {
    try {
      Case subject(reread(onnx::to_bytes(model)), inputs_of(model), counts);
      if (!subject.is_usable()) return false;
      const auto found =
          finding.pipeline.empty() ? subject.check_round_trip() : subject.check_pipeline(finding.pipeline);
      return !found.empty() && found[0].kind == finding.kind;
    } catch (const std::exception&) {
      return false;
    }
  };
  if (!fails(start)) return onnx::to_text(start);
  return onnx::to_text(rewrite::reduce(start, fails).model);
}

}  // namespace hone::fuzz
