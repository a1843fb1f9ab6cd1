// Passes, the list they come from, and pipelines.
//
// A pass is a rule (asked node by node, off a worklist) or works on the whole model. Neighbouring rules of a pipeline share
// one worklist, so that what one uncovers another sees at once; the pipeline is repeated until nothing changes.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "hone/rewrite/rewriter.h"

namespace hone::rewrite {

struct PassOptions {
  // Folding: results above this many bytes, where they are larger than the inputs they free, are left to be computed. Room
  // for every shape computation and index table; small enough that no file grows by surprise.
  std::uint64_t fold_limit = 64 << 10;
  std::string target;  // "" portable ONNX, "onnxruntime": com.microsoft operators of its CPU provider too
  std::uint64_t seed = 0;
};

struct PassContext {
  Rewriter& rewriter;
  const PassOptions& options;
  // Of fold-constants: nodes computed from constants alone, with results too large to keep (some may be gone), and the
  // elements computed of these on the way to smaller ones.
  std::unordered_set<const ir::Node*> unfolded{};
  double unfolded_work = 0;
};

using Rule = Status (*)(ir::Node& node, PassContext& context);
using ModelPass = Status (*)(PassContext& context);

struct Pass {
  std::string_view name;                   // "fuse-conv-batch-normalization": file fuse_conv_batch_normalization.cpp
  std::string_view help;                   // one line
  std::string_view leaves_alone;           // what it does not handle, one line
  int level = 2;                           // least --level of `hone convert` that runs it; 0: only by name
  std::vector<std::string_view> op_types;  // a rule for nodes of these ("*": every node); empty: a model pass
  Rule rule = nullptr;
  ModelPass run = nullptr;
};

struct PassStatistics {
  std::string_view name;
  std::uint64_t visits = 0, applications = 0;
  double seconds = 0;
};

struct PipelineOptions {
  PassOptions pass;
  bool verify_ir = false;               // ir::verify after every pass
  std::uint64_t rewrite_limit = ~0ull;  // stop after this many applications; what --bisect searches over
  // Called after every pass (or group of rules) that changed something, with its name.
  std::function<void(std::string_view name, ir::Model&)> after_pass;
  bool one_pass_at_a_time = false;  // no shared worklists: for after_pass to tell passes apart
  std::vector<Refusal>* refusals = nullptr;
  Observer* observer = nullptr;
};

struct PipelineResult {
  Status status = Status::unchanged;
  std::uint64_t applications = 0;
  std::vector<PassStatistics> passes;  // in the order of the pipeline
  std::string last_applied;            // the pass and node of the last application: what a bisection found
};

// Names from text such as "fold,fuse-conv-add"; usage error with the nearest name for one that is not in `list`.
std::vector<const Pass*> parse_pipeline(std::string_view text, std::span<const Pass> list);

PipelineResult run_pipeline(ir::Model& model, std::span<const Pass* const> pipeline,
                            const PipelineOptions& options = {});

}  // namespace hone::rewrite
