// Does a rewritten model still compute the same? Both are run on the same inputs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::rewrite {

struct VerifyOptions {
  std::uint64_t seed = 0;
  // Sets of random inputs; models with symbolic dimensions get other sizes in each. 0: only `inputs`.
  int variations = 2;
  // Outputs are equal when |a-b| <= tolerance * max|a| per tensor. 1e-4: what reordered float32 sums of realistic length
  // stay under; integers, booleans and strings must be the same.
  double tolerance = 1e-4;
  bool reference = false;                           // reference kernels only: no start-up cost, for tiny models
  std::vector<std::vector<ir::NamedDatum>> inputs;  // run these first, if any
};

struct Difference {
  std::string output;
  std::string detail;  // one sentence with the values
  double relative = 0;
};

struct VerifyResult {
  enum class Verdict { equal, different, not_run } verdict = Verdict::not_run;
  std::vector<Difference> differences;
  std::string reason;  // why it was not run: what the original raised on every set of inputs
  int runs = 0;
  std::vector<ir::NamedDatum> inputs;  // those that showed the differences
};

VerifyResult verify_equal(const ir::Model& before, const ir::Model& after, const VerifyOptions& options = {});

// Whether a check of this model costs under about half a second and 256 MB, by planned operations and bytes.
bool is_cheap_to_verify(const ir::Model& model);

// Compares two values of one output. Empty: equal.
std::optional<Difference> compare(const std::string& name, const ir::Datum& before, const ir::Datum& after,
                                  double tolerance);

}  // namespace hone::rewrite
