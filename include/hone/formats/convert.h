// What `hone convert` does to a model between reading and writing it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hone/formats/precision.h"
#include "hone/ir/datum.h"
#include "hone/ir/model.h"
#include "hone/rewrite/pass.h"
#include "hone/rewrite/verify.h"
#include "hone/support/observer.h"
#include "hone/surgery/batch.h"

namespace hone::formats {

enum class Verify { automatic, always, never };

struct ConvertOptions {
  int level = 2;                             // 0: write what was read; see docs/convert.md for the others
  std::optional<std::string> pipeline;       // pass names instead of a level
  std::vector<const rewrite::Pass*> custom;  // passes instead of either, those of a library's user among them
  std::optional<std::int64_t> opset;
  std::optional<PrecisionSettings> precision;
  std::vector<std::pair<std::string, ir::Shape>> input_shapes;  // --shape
  std::vector<std::pair<std::string, std::int64_t>> symbols;    // --dim
  std::optional<ir::Dimension> batch;                           // --batch: a number or a symbol, see surgery/batch.h
  // Sets of inputs for the model with its new signature: verification runs them, and precision is checked on them.
  std::function<std::vector<std::vector<ir::NamedDatum>>(const ir::Model&)> samples;
  Verify verify = Verify::automatic;
  rewrite::VerifyOptions verification;
  rewrite::PipelineOptions passes;
  bool verify_passes = false;  // name the pass that changed results
  bool bisect = false;         // verify however dear it is; a difference is traced to its rewrite in any case
  std::string reproducer;      // where to leave the model before a guilty rewrite, and inputs beside it; "": nowhere
};

struct ConvertResult {
  bool changed = false;
  std::uint64_t nodes_before = 0, nodes_after = 0;
  rewrite::PipelineResult pipeline;
  rewrite::VerifyResult verification;
  bool verified = false;     // a check was wanted (and run, where the verdict says so)
  std::string not_verified;  // why a check that was wanted can't be made of this model
  std::optional<surgery::BatchResult> batch;
  std::optional<PrecisionReport> precision;
};

// Changes `model` in place. Raises internal when verification finds a difference: nothing must be written then. The message
// names the output and the values, and the rewrite that is guilty: its pass, its node and its number.
ConvertResult convert(ir::Model& model, const ConvertOptions& options, Observer& observer);

}  // namespace hone::formats
