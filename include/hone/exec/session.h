// A model, planned for running many times.
//
// Planning: kernels are made once (weights packed there), the order and the lifetime of every value are fixed, memory is
// laid out per set of input shapes and reused by the next run of the same shapes (a bounded cache of plans). The session
// never rewrites the model: callers run passes first if they want any.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hone/ir/datum.h"
#include "hone/ir/model.h"

namespace hone::exec {

// What a node of the main graph cost; nodes that were fused into it count with it.
struct NodeProfile {
  const ir::Node* node = nullptr;
  std::uint64_t runs = 0;
  double seconds = 0;       // in all
  std::uint64_t bytes = 0;  // read and written, in all
  double flops = 0;         // in all; 0 where not counted (exec/flops.h says which are)
  std::string kernel;       // "reference", "onednn:jit:avx512_core" ...
};

// One run of one node.
struct NodeRun {
  std::size_t node = 0;   // in Session::profile()
  std::uint64_t run = 0;  // of the session, from 1
  double start = 0;       // seconds since the session was made
  double seconds = 0;
  std::uint64_t bytes = 0;
  double flops = 0;
};

struct SessionOptions {
  bool reference = false;  // reference kernels only
  std::uint64_t seed = 0;  // for random operators that have no seed
  bool training = false;   // keep variables writable; random_seed differs per run
  // Initializers that change between runs: not packed ahead. Names must be initializers of the main graph.
  std::vector<std::string> variables;
  // Values to deliver beside the graph's outputs, by name (main graph).
  std::vector<std::string> extra_outputs;
  bool profile = false;
  bool trace = false;          // keep every run of every node, too; implies `profile`
  std::size_t plan_cache = 8;  // sets of input shapes whose memory plan is kept
};

class Session {
 public:
  // The model must outlive the session and not change. Raises unsupported, naming them all, for operators without a
  // kernel or function body.
  explicit Session(const ir::Model& model, SessionOptions options = {});
  ~Session();
  Session(Session&&) noexcept;

  // Graph inputs that the caller must give (no initializer), and may give; graph outputs, then extra outputs.
  const std::vector<std::string>& required_inputs() const;
  const std::vector<std::string>& output_names() const;

  // Runs on inputs by name. Checks element types and shapes against the signature (bad_input, naming input, found and
  // expected; symbols must agree across inputs). Results own their memory.
  std::vector<ir::Datum> run(const std::vector<ir::NamedDatum>& inputs);
  // As run(), but results may share the session's memory and hold until the next call.
  const std::vector<ir::Datum>& run_shared(const std::vector<ir::NamedDatum>& inputs);

  // Sees values of the main graph as they are made, without keeping them: called for each named value, tensors only,
  // row-major. The tensor is valid during the call. Empty names: no observer.
  using ValueObserver = std::function<void(std::string_view name, const ir::Tensor& tensor)>;
  void observe(std::vector<std::string> names, ValueObserver observer);

  // The current contents of a variable: writable between runs, the same memory throughout.
  ir::Tensor& variable(std::string_view name);

  const std::vector<NodeProfile>& profile() const;
  const std::vector<NodeRun>& trace() const;  // in order of time
  std::uint64_t planned_bytes() const;        // of the last plan: memory for all values that live at once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hone::exec
