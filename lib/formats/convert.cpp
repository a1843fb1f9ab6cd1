// The order of things in a conversion: signature, opset, passes, precision, then the check against the model as it was read
// (with the new signature, so that both take the same inputs).
//
// Not handled: input formats other than ONNX, which the readers of this layer turn into a model first.
#include "hone/formats/convert.h"

#include <algorithm>

#include "hone/passes/convert_opset.h"
#include "hone/passes/passes.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"

namespace hone::formats {
namespace {

bool draws_random_numbers(const ir::Model& model) {
  bool found = false;
  const auto look = [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      found |= node.op_type().starts_with("Random") || node.is("Multinomial") || node.is("Bernoulli") ||
               (node.is("Dropout") && node.input(2));
    }
  };
  ir::for_each_graph(*model.graph, look);
  for (const auto& function : model.functions) ir::for_each_graph(*function->body, look);
  return found;
}

void set_batch(ir::Model& model, std::int64_t batch) {
  for (const ir::Value* input : model.graph->inputs()) {
    if (input->initializer()) continue;
    if (!input->shape() || input->shape()->empty()) {
      usage_error("--batch: input {} has no first dimension; name the inputs with --shape", quoted(input->name()));
    }
    ir::Shape shape = *input->shape();
    shape[0] = batch;
    shapes::set_input_shape(model, input->name(), shape);
  }
}

bool set_signature(ir::Model& model, const ConvertOptions& options) {
  for (const auto& [input, shape] : options.input_shapes) shapes::set_input_shape(model, input, shape);
  for (const auto& [symbol, value] : options.symbols) shapes::set_symbol(model, symbol, value);
  if (options.batch) set_batch(model, *options.batch);
  return !options.input_shapes.empty() || !options.symbols.empty() || options.batch;
}

// Older operators want constants where newer ones take what is computed: what can be folded is folded before.
void convert_version(ir::Model& model, const ConvertOptions& options, Observer& observer) {
  if (*options.opset < model.opset() && !options.pipeline && options.level > 0) {
    rewrite::PipelineOptions folding;
    folding.pass = options.passes.pass;
    folding.observer = &observer;
    rewrite::run_pipeline(model, passes::pipeline(1), folding);
  }
  passes::convert_opset(model, *options.opset, observer);
}

std::string describe(const std::vector<rewrite::Difference>& differences) {
  std::string text;
  for (const rewrite::Difference& difference : differences) {
    text += (text.empty() ? "output " : "; output ") + quoted(difference.output) + ", " + difference.detail;
  }
  return text;
}

[[noreturn]] void found_wrong(std::string_view culprit, const std::vector<rewrite::Difference>& differences) {
  fail(ErrorKind::internal, "verification failed{}{}: {}; nothing was written. Please report this, with the model",
       culprit.empty() ? "" : " after ", culprit, describe(differences));
}

}  // namespace

ConvertResult convert(ir::Model& model, const ConvertOptions& options, Observer& observer) {
  ConvertResult result;
  result.nodes_before = ir::total_node_count(*model.graph);
  result.changed |= set_signature(model, options);

  std::vector<const rewrite::Pass*> pipeline =
      options.pipeline ? rewrite::parse_pipeline(*options.pipeline, passes::list()) : passes::pipeline(options.level);
  if (!options.precision.empty() && options.precision != "fp32") {
    const std::string name = options.precision == "fp16" ? "convert-float16" : "";
    if (name.empty()) usage_error("--precision {} is none of fp32, fp16", quoted(options.precision));
    for (const rewrite::Pass* pass : rewrite::parse_pipeline(name, passes::list())) pipeline.push_back(pass);
  }
  const bool converts_opset = options.opset && *options.opset != model.opset();
  if (pipeline.empty() && !converts_opset) {
    result.nodes_after = result.nodes_before;
    return result;
  }

  const bool wanted = options.verify == Verify::always || options.verify_passes || options.bisect ||
                      (options.verify == Verify::automatic && rewrite::is_cheap_to_verify(model));
  result.verified = wanted && !draws_random_numbers(model);
  std::optional<ir::Model> before;
  if (result.verified) before = model.clone();

  if (converts_opset) {
    convert_version(model, options, observer);
    result.changed = true;
    if ((options.verify_passes || options.bisect) && result.verified) {
      const auto check = rewrite::verify_equal(*before, model, options.verification);
      if (check.verdict == rewrite::VerifyResult::Verdict::different) found_wrong("--opset", check.differences);
    }
  }
  rewrite::PipelineOptions pipeline_options = options.passes;
  pipeline_options.observer = &observer;
  if (options.verify_passes && result.verified) {
    pipeline_options.one_pass_at_a_time = true;
    const auto inner = pipeline_options.after_pass;
    pipeline_options.after_pass = [&, inner](std::string_view name, ir::Model& after) {
      if (inner) inner(name, after);
      const auto check = rewrite::verify_equal(*before, after, options.verification);
      if (check.verdict == rewrite::VerifyResult::Verdict::different) found_wrong(name, check.differences);
    };
  }
  std::optional<ir::Model> start;
  if (options.bisect && result.verified) start = model.clone();
  result.pipeline = rewrite::run_pipeline(model, pipeline, pipeline_options);
  result.changed |= result.pipeline.status == rewrite::Status::changed;
  result.nodes_after = ir::total_node_count(*model.graph);
  if (!result.verified || !result.changed) return result;

  rewrite::VerifyOptions verification = options.verification;
  if (options.precision == "fp16") verification.tolerance = std::max(verification.tolerance, 2e-2);
  result.verification = rewrite::verify_equal(*before, model, verification);
  if (result.verification.verdict == rewrite::VerifyResult::Verdict::not_run && options.verify == Verify::always) {
    unsupported("verification was asked for and could not be run: {}", result.verification.reason);
  }
  if (result.verification.verdict != rewrite::VerifyResult::Verdict::different) return result;
  if (!start) found_wrong("", result.verification.differences);

  // The least number of applications after which the results differ.
  std::uint64_t good = 0, bad = result.pipeline.applications;
  std::string culprit = result.pipeline.last_applied;
  while (bad - good > 1) {
    const std::uint64_t middle = good + (bad - good) / 2;
    ir::Model trial = start->clone();
    rewrite::PipelineOptions limited = options.passes;
    limited.rewrite_limit = middle;
    const auto partial = rewrite::run_pipeline(trial, pipeline, limited);
    const auto check = rewrite::verify_equal(*before, trial, verification);
    if (check.verdict == rewrite::VerifyResult::Verdict::different) {
      bad = middle;
      culprit = partial.last_applied;
    } else {
      good = middle;
    }
    observer.progress("bisecting", result.pipeline.applications - (bad - good), result.pipeline.applications, culprit);
  }
  found_wrong(fmt::format("rewrite {} ({})", bad, culprit), result.verification.differences);
}

}  // namespace hone::formats
