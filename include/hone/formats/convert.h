// What `hone convert` does to a model between reading and writing it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"
#include "hone/rewrite/pass.h"
#include "hone/rewrite/verify.h"
#include "hone/support/observer.h"

namespace hone::formats {

enum class Verify { automatic, always, never };

struct ConvertOptions {
  int level = 2;                        // 0: write what was read; see docs/convert.md for the others
  std::optional<std::string> pipeline;  // pass names instead of a level
  std::optional<std::int64_t> opset;
  std::string precision;                // "" or "fp16"
  std::vector<std::pair<std::string, ir::Shape>> input_shapes;       // --shape
  std::vector<std::pair<std::string, std::int64_t>> symbols;         // --dim
  std::optional<std::int64_t> batch;                                 // --batch: first dimension of every input
  Verify verify = Verify::automatic;
  rewrite::VerifyOptions verification;
  rewrite::PipelineOptions passes;
  bool verify_passes = false;           // name the pass that changed results
  bool bisect = false;                  // find the one application that did
};

struct ConvertResult {
  bool changed = false;
  std::uint64_t nodes_before = 0, nodes_after = 0;
  rewrite::PipelineResult pipeline;
  rewrite::VerifyResult verification;
  bool verified = false;                // a check was wanted (and run, where the verdict says so)
};

// Changes `model` in place. Raises internal when verification finds a difference: nothing must be written then. The message
// names the output and the values, and the pass with verify_passes or bisect.
ConvertResult convert(ir::Model& model, const ConvertOptions& options, Observer& observer);

}  // namespace hone::formats
