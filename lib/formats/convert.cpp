// The order of things in a conversion: signature, opset, passes, precision, then the check against the model as it was read
// (with the new signature, so that both take the same inputs).
//
// Not handled: input formats other than ONNX, which the readers of this layer turn into a model first.
#include "hone/formats/convert.h"

#include <algorithm>

#include "formats/culprit.h"
#include "hone/passes/convert_opset.h"
#include "hone/passes/passes.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"

namespace hone::formats {
namespace {

// A node that draws random numbers, described; empty if there is none.
std::string random_node(const ir::Model& model) {
  std::string found;
  const auto look = [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      if (!found.empty()) return;
      const bool draws = node.op_type().starts_with("Random") || node.is("Multinomial") || node.is("Bernoulli") ||
                         (node.is("Dropout") && node.input(2));
      if (draws) found = fmt::format("node {} ({})", quote(node.name()), node.op_type());
    }
  };
  ir::for_each_graph(*model.graph, look);
  for (const auto& function : model.functions) ir::for_each_graph(*function->body, look);
  return found;
}

bool set_signature(ir::Model& model, const ConvertOptions& options, ConvertResult& result) {
  for (const auto& [input, shape] : options.input_shapes) shapes::set_input_shape(model, input, shape);
  for (const auto& [symbol, value] : options.symbols) shapes::set_symbol(model, symbol, value);
  if (options.batch) {
    surgery::BatchOptions batch;
    batch.verify = options.verify != Verify::never;
    batch.seed = options.verification.seed;
    batch.tolerance = options.verification.tolerance;
    result.batch = surgery::set_batch(model, *options.batch, batch);
  }
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
    text += (text.empty() ? "output " : "; output ") + quote(difference.output) + ", " + difference.detail;
  }
  return text;
}

[[noreturn]] void found_wrong(std::string_view culprit, const std::vector<rewrite::Difference>& differences,
                              std::string_view reproducer = "") {
  fail(ErrorKind::internal, "verification failed{}{}: {}; nothing was written. {}{}", culprit.empty() ? "" : " after ",
       culprit, describe(differences),
       reproducer.empty() ? "Please report this, with the model" : "To see it again: ", reproducer);
}

// Half precision is held to what its type can do, not to the tolerance of exact rewrites: some tens of roundings of 2^-11
// and 2^-8, one behind the other.
constexpr double kHalfTolerance = 2e-2, kBfloatTolerance = 1e-1;

}  // namespace

ConvertResult convert(ir::Model& model, const ConvertOptions& options, Observer& observer) {
  ConvertResult result;
  result.nodes_before = ir::total_node_count(*model.graph);
  result.changed |= set_signature(model, options, result);

  const std::vector<const rewrite::Pass*> pipeline = !options.custom.empty() ? options.custom
                                                     : options.pipeline
                                                         ? rewrite::parse_pipeline(*options.pipeline, passes::list())
                                                         : passes::pipeline(options.level, options.passes.pass.target);
  const bool converts_opset = options.opset && *options.opset != model.opset();
  if (pipeline.empty() && !converts_opset && !options.precision) {
    result.nodes_after = ir::total_node_count(*model.graph);
    return result;
  }

  std::vector<std::vector<ir::NamedDatum>> samples;
  if (options.samples) samples = options.samples(model);
  rewrite::VerifyOptions verification = options.verification;
  verification.inputs.insert(verification.inputs.end(), samples.begin(), samples.end());
  for (const rewrite::Pass* pass : pipeline) {
    const double least = pass->name == "convert-float16"    ? kHalfTolerance
                         : pass->name == "convert-bfloat16" ? kBfloatTolerance
                                                            : 0;
    verification.tolerance = std::max(verification.tolerance, least);
  }
  const bool wanted = options.verify == Verify::always || options.verify_passes || options.bisect ||
                      (options.verify == Verify::automatic && rewrite::is_cheap_to_verify(model));
  const std::string random = wanted ? random_node(model) : "";
  result.verified = wanted && random.empty();
  if (!random.empty()) {
    result.not_verified = random + " draws random numbers, so that no two runs agree";
    if (options.verify != Verify::automatic || options.bisect || options.verify_passes) {
      observer.message(Level::warning, "not verified: " + result.not_verified);
    }
  }
  std::optional<ir::Model> before;
  if (result.verified) before = model.clone();

  if (converts_opset) {
    convert_version(model, options, observer);
    result.changed = true;
    if ((options.verify_passes || options.bisect) && result.verified) {
      const auto check = rewrite::verify_equal(*before, model, verification);
      if (check.verdict == rewrite::VerifyResult::Verdict::different) found_wrong("--opset", check.differences);
    }
  }
  std::optional<ir::Model> start;
  if (result.verified) start = model.clone();
  rewrite::PipelineOptions pipeline_options = options.passes;
  pipeline_options.observer = &observer;
  const auto trace = [&] {
    if (converts_opset) {  // not a rewrite of the pipeline: nothing to halve
      const auto check = rewrite::verify_equal(*before, *start, verification);
      if (check.verdict == rewrite::VerifyResult::Verdict::different) found_wrong("--opset", check.differences);
    }
    const Suspects suspects{*before, *start, pipeline, pipeline_options, verification};
    const auto culprit = find_culprit(suspects, observer);
    if (!culprit) return;
    const std::string again =
        options.reproducer.empty() ? "" : write_reproducer(options.reproducer, suspects, *culprit);
    found_wrong(fmt::format("rewrite {} of {} ({})", culprit->application, culprit->applications, culprit->place),
                culprit->differences, again);
  };
  if (options.verify_passes && result.verified) {
    pipeline_options.one_pass_at_a_time = true;
    const auto inner = pipeline_options.after_pass;
    pipeline_options.after_pass = [&, inner](std::string_view name, ir::Model& after) {
      if (inner) inner(name, after);
      const auto check = rewrite::verify_equal(*before, after, verification);
      if (check.verdict != rewrite::VerifyResult::Verdict::different) return;
      trace();
      found_wrong(name, check.differences);
    };
  }
  result.pipeline = rewrite::run_pipeline(model, pipeline, pipeline_options);
  result.changed |= result.pipeline.status == rewrite::Status::changed;
  result.nodes_after = ir::total_node_count(*model.graph);
  if (result.verified && result.changed) {
    result.verification = rewrite::verify_equal(*before, model, verification);
    if (result.verification.verdict == rewrite::VerifyResult::Verdict::different) {
      trace();
      found_wrong("", result.verification.differences);
    }
  }

  if (options.precision) {
    result.precision = set_precision(model, *options.precision, samples, options.passes.pass, observer);
    result.changed |= result.precision->lowered > 0;
    result.nodes_after = ir::total_node_count(*model.graph);
    // With another signature there is nothing to compare with; the samples were, if there are any.
    if (result.verified && result.precision->lowered > 0 && !options.precision->convert_signature) {
      const double least = options.precision->type == ir::ElementType::float16 ? kHalfTolerance : kBfloatTolerance;
      verification.tolerance = std::max(verification.tolerance, least);
      result.verification = rewrite::verify_equal(*before, model, verification);
      if (result.verification.verdict == rewrite::VerifyResult::Verdict::different) {
        unsupported(
            "in this precision the results are not those of the model: {}. Ranges are checked with --data, nodes are "
            "kept in float32 with --keep-fp32 and --max-error, and --verify never takes the model as it is",
            describe(result.verification.differences));
      }
    }
  }
  if (result.verified && result.changed && result.verification.verdict == rewrite::VerifyResult::Verdict::not_run &&
      options.verify == Verify::always) {
    unsupported("verification was asked for and could not be run: {}", result.verification.reason);
  }
  return result;
}

}  // namespace hone::formats
