// One random model through many pipelines, with everything that has to hold checked after each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::fuzz {

struct Finding {
  std::string pipeline;  // "" : reading and writing alone
  std::string kind;      // "different", "raised", "invalid", "signature", "not idempotent", "not the same bytes" ...
  std::string detail;
};

struct Counts {
  std::uint64_t models = 0;
  std::uint64_t invalid = 0;    // made by mistake: not valid ONNX
  std::uint64_t not_run = 0;    // did not run on any set of inputs
  std::uint64_t pipelines = 0;  // applications of a pipeline to a model
  std::uint64_t changed = 0;    // of them that changed it
  std::uint64_t runs = 0;       // of changed models, on one set of inputs
  std::uint64_t hidden = 0;     // faults of the model that only folding showed to ONNX's inference
  std::uint64_t unstable = 0;   // differences dropped since the original differs from itself as much, see cases.cpp
  std::map<std::string, std::uint64_t> invalid_reasons, changed_by, not_run_reasons;
};

using Inputs = std::vector<std::vector<ir::NamedDatum>>;

// What a model does by itself; pipelines are held against it.
class Case {
 public:
  Case(ir::Model model, Inputs inputs, Counts& counts);
  ~Case();
  // Whether it is valid and ran on some inputs.
  bool is_usable() const;
  std::vector<Finding> check_round_trip();
  // Empty: nothing wrong. `changed`: whether the pipeline did anything.
  std::vector<Finding> check_pipeline(const std::string& pipeline, bool* changed = nullptr);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All pipelines for one seed: every pass alone, pairs, the levels, random ones.
std::vector<Finding> check_seed(std::uint64_t seed, Counts& counts);

// The model of a seed, as text.
std::string model_text(std::uint64_t seed);

// The smallest model found that shows a finding of the same pipeline and kind, as text.
std::string shrink(std::uint64_t seed, const Finding& finding);

}  // namespace hone::fuzz
