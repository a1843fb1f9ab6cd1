// Half precision where data say that it holds: what overflows, underflows or costs too much accuracy stays in float32.
#pragma once

#include <cstdint>
#include <regex>
#include <string>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"
#include "hone/rewrite/pass.h"
#include "hone/support/observer.h"

namespace hone::formats {

struct PrecisionSettings {
  ir::ElementType type = ir::ElementType::float16;  // or bfloat16
  bool convert_signature = false;                   // inputs and outputs of the model too
  std::string keep;  // regular expression: nodes of this name or operator stay in float32
  // Largest difference at an output, relative to its largest value, on the samples; nodes go back to float32 until it holds.
  // 0: no such bound.
  double max_error = 0;
};

struct PrecisionReport {
  struct Node {
    std::string node, op_type, value, reason;  // the value that gave the reason
  };
  struct Value {
    std::string name, node;  // and the node that makes it ("" for an input)
    double largest = 0;      // of its finite elements
    double overflowing = 0;  // share of elements beyond the largest value of the type
    double flushed = 0;      // share of elements that would become zero
    double error = 0;        // relative to the largest, in the lowered model; 0 where it is not in it any more
  };
  std::uint64_t lowered = 0;  // nodes that compute in the type
  std::vector<Node> kept;     // because of the samples or the bound, in the order of the model
  std::vector<Value> values;  // those that overflow, lose elements to zero, or differ by more than 1 %
  double error = 0;           // the largest at any output
  int samples = 0;            // sets of inputs that were run; 0: rules only
};

// Lowers the model in place. `samples` are sets of inputs by name; without any, only the rules of passes::lower_precision
// decide. Raises unsupported where max_error can't be met (which would need every node in float32).
PrecisionReport set_precision(ir::Model& model, const PrecisionSettings& settings,
                              const std::vector<std::vector<ir::NamedDatum>>& samples,
                              const rewrite::PassOptions& options, Observer& observer);

// Sets of random inputs that the model takes, for where there are no data: ranges and errors are then those of noise.
// Raises unsupported where none of those tried runs.
std::vector<std::vector<ir::NamedDatum>> random_samples(const ir::Model& model, std::uint64_t seed, int count);

}  // namespace hone::formats
