// Which rewrite made a model wrong, and a small case that shows it. Private to lib/formats.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hone/ir/model.h"
#include "hone/rewrite/pass.h"
#include "hone/rewrite/verify.h"
#include "hone/support/observer.h"

namespace hone::formats {

// A pipeline that was run on `start` and gave something else than `before` computes (the two may be one model).
struct Suspects {
  const ir::Model& before;
  const ir::Model& start;
  const std::vector<const rewrite::Pass*>& pipeline;
  const rewrite::PipelineOptions& options;
  const rewrite::VerifyOptions& verification;
};

struct Culprit {
  std::uint64_t application = 0;   // the first after which results differ, from 1
  std::uint64_t applications = 0;  // of the whole pipeline
  std::string pass, place;         // "fuse-conv-add", "fuse-conv-add at node 'c' (Conv)"
  std::vector<rewrite::Difference> differences;
  std::vector<ir::NamedDatum> inputs;  // that show them
  ir::Model model;                     // before this application
};

// Halves the number of applications until one is left: log2 of it runs of the pipeline and of both models. nullopt where
// the pipeline, run again, gives right results.
std::optional<Culprit> find_culprit(const Suspects& suspects, Observer& observer);

// Writes the model before the guilty rewrite to `path` and the inputs to the .npz file beside it. Where the pass alone
// is not enough to make the mistake again, it is the model the pipeline started with. The pipeline and the number of
// rewrites after which to stop are in the metadata (hone.reproducer.passes and .rewrite-limit). Returns the command that
// shows the mistake.
std::string write_reproducer(const std::string& path, const Suspects& suspects, const Culprit& culprit);

}  // namespace hone::formats
