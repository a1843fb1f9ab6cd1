#include "formats/culprit.h"

#include <algorithm>

#include "hone/data/npy.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "hone/support/output.h"
#include "hone/support/text.h"

namespace hone::formats {
namespace {

struct Trial {
  ir::Model model;
  rewrite::PipelineResult pipeline;
};

Trial run(const ir::Model& start, const std::vector<const rewrite::Pass*>& pipeline,
          const rewrite::PipelineOptions& from, std::uint64_t limit) {
  Trial trial{start.clone(), {}};
  rewrite::PipelineOptions options = from;
  options.after_pass = nullptr;
  options.observer = nullptr;
  options.refusals = nullptr;
  // Below the limit of a full run too, so that the driver notes where each rewrite takes place.
  options.rewrite_limit = std::min({limit, from.rewrite_limit, ~std::uint64_t{0} - 1});
  trial.pipeline = rewrite::run_pipeline(trial.model, pipeline, options);
  return trial;
}

std::string npz_beside(const std::string& path) {
  const std::size_t dot = path.rfind('.'), slash = path.rfind('/');
  const bool has_extension = dot != std::string::npos && (slash == std::string::npos || dot > slash);
  return (has_extension ? path.substr(0, dot) : path) + ".npz";
}

}  // namespace

std::optional<Culprit> find_culprit(const Suspects& suspects, Observer& observer) {
  const auto differs = [&](const ir::Model& model) {
    auto check = rewrite::verify_equal(suspects.before, model, suspects.verification);
    return check.verdict == rewrite::VerifyResult::Verdict::different ? std::optional(std::move(check)) : std::nullopt;
  };
  Trial whole = run(suspects.start, suspects.pipeline, suspects.options, ~0ull);
  auto shown = differs(whole.model);
  if (!shown || whole.pipeline.applications == 0) return std::nullopt;
  std::uint64_t good = 0, bad = whole.pipeline.applications;
  std::string place = whole.pipeline.last_applied;
  while (bad - good > 1) {
    const std::uint64_t middle = good + (bad - good) / 2;
    Trial trial = run(suspects.start, suspects.pipeline, suspects.options, middle);
    if (auto check = differs(trial.model)) {
      bad = middle;
      place = trial.pipeline.last_applied;
      shown = std::move(check);
    } else {
      good = middle;
    }
    observer.progress("bisecting", whole.pipeline.applications - (bad - good), whole.pipeline.applications, place);
  }
  Culprit culprit;
  culprit.application = bad;
  culprit.applications = whole.pipeline.applications;
  culprit.place = place;
  culprit.pass = place.substr(0, place.find(' '));
  culprit.differences = std::move(shown->differences);
  culprit.inputs = std::move(shown->inputs);
  culprit.model = good == 0 ? suspects.start.clone()
                            : std::move(run(suspects.start, suspects.pipeline, suspects.options, good).model);
  return culprit;
}

std::string write_reproducer(const std::string& path, const Suspects& suspects, const Culprit& culprit) {
  // The guilty pass alone, for as few rewrites as it takes, on the model before it.
  std::vector<const rewrite::Pass*> alone;
  for (const rewrite::Pass* pass : suspects.pipeline) {
    if (pass->name == culprit.pass && alone.empty()) alone.push_back(pass);
  }
  rewrite::VerifyOptions verification = suspects.verification;
  verification.inputs = {culprit.inputs};
  verification.variations = 0;
  ir::Model model = culprit.model.clone();
  std::string passes = culprit.pass;
  std::uint64_t limit = 0;
  constexpr std::uint64_t kMostRewrites = 64;  // beyond that the case is no smaller than the whole
  for (std::uint64_t count = 1; count <= kMostRewrites && limit == 0; count *= 2) {
    const Trial trial = run(model, alone, suspects.options, count);
    const auto check = rewrite::verify_equal(model, trial.model, verification);
    if (check.verdict == rewrite::VerifyResult::Verdict::different) limit = count;
    if (trial.pipeline.applications < count) break;
  }
  if (limit == 0) {
    model = suspects.start.clone();
    limit = culprit.application;
    std::vector<std::string> names;
    for (const rewrite::Pass* pass : suspects.pipeline) names.emplace_back(pass->name);
    passes = join(names, ",");
  }
  model.set_metadata("hone.reproducer.passes", passes);
  model.set_metadata("hone.reproducer.rewrite-limit", std::to_string(limit));
  onnx::write(model, path);
  const std::string npz = npz_beside(path);
  const auto output = Output::to_path(npz);
  data::NpzWriter writer(*output);
  for (const ir::NamedDatum& input : culprit.inputs) {
    if (const ir::Tensor* tensor = input.datum.tensor()) writer.add(input.name, *tensor);
  }
  writer.finish();
  output->commit();
  return fmt::format("hone convert {} -o /dev/null --passes {} --rewrite-limit {} --verify always --verify-inputs {}",
                     path, passes, limit, npz);
}

}  // namespace hone::formats
