// Running a model on labelled data, alone or beside a baseline, and judging it by gates.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hone/data/feed.h"
#include "hone/ir/model.h"
#include "hone/metrics/compare.h"
#include "hone/metrics/evaluation.h"
#include "hone/metrics/gate.h"
#include "hone/shapes/cost.h"
#include "hone/support/observer.h"

namespace hone::release {

struct ValidateOptions {
  std::vector<std::string> gates = {};
  std::optional<double> confidence = {};       // one-sided; unset: gates judge point estimates
  std::string output = {};                     // the output that holds the answers; "": the only one, or the first
  std::optional<metrics::Task> task = {};      // unset: told from outputs and labels
  std::optional<metrics::Scores> scores = {};  // unset: told from the operator that makes the output, else the values
  std::int64_t batch = 32;
  int latency_runs = 30;  // 0: don't measure
  std::uint64_t seed = 0;
};

// One model's numbers.
struct Subject {
  std::uint64_t size = 0;  // bytes in one file
  shapes::Cost cost;
  std::uint64_t memory = 0;                       // bytes of values that live at once, for one batch
  std::optional<metrics::Evaluation> evaluation;  // where there are labels
  std::vector<double> latency;                    // seconds, one sample (or the batch the model insists on)
};

struct Validation {
  std::int64_t rows = 0;
  std::vector<std::string> classes;
  std::string output;
  Subject model;
  std::optional<Subject> baseline;
  std::vector<metrics::OutputComparison> comparisons;  // baseline's outputs against the model's
  std::vector<metrics::Verdict> verdicts;
};

// Gates are parsed before anything runs. Data without a label gives output differences and costs only. Raises bad_input
// where data and model don't match, usage for a bad gate.
Validation validate(ir::Model& model, ir::Model* baseline, const data::Dataset* data, const data::FeedOptions& feed,
                    const ValidateOptions& options, Observer& observer);

}  // namespace hone::release
