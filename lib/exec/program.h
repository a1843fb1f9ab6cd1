// A graph planned for running: kernels, the order of steps, and when each value is needed last.
//
// Values of the graph and of all graphs inside it have one slot each: a subgraph runs in place, on the slots of the
// graphs around it. A slot holds an Array (in the arena, or in somebody else's memory) or, for sequences, optionals and
// maps, a Datum.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "exec/memory.h"
#include "exec/private_graph.h"
#include "hone/exec/kernel.h"
#include "hone/exec/session.h"

namespace hone::exec {

inline constexpr std::uint32_t no_slot = ~std::uint32_t{0};

struct Slot {
  enum class Kind : std::uint8_t { empty, array, datum };
  Kind kind = Kind::empty;
  bool permanent = false;            // a constant
  const ir::Tensor* lazy = nullptr;  // a constant whose bytes are loaded when a kernel first asks for them
  Array array;
  Block* block = nullptr;  // the arena memory of the array, if it is there
  struct Plain {
    Array array;
    Block* block;
  };
  std::unique_ptr<Plain> plain;      // the array, row-major, where it has a layout and somebody asked
  std::unique_ptr<ir::Datum> datum;  // what is no tensor; or the array as a Datum, where somebody asked
};

struct Body;

struct Step {
  const ir::Node* node = nullptr;
  std::unique_ptr<Kernel> kernel;
  std::vector<std::uint32_t> inputs, outputs;
  std::vector<std::uint8_t> dying;      // by input: nobody needs it after this step, and it is no other input of it
  std::vector<std::uint8_t> wanted;     // by output
  std::vector<std::uint32_t> release;   // slots to empty afterwards
  std::vector<std::uint32_t> observed;  // slots to show afterwards
  std::vector<std::pair<std::string, std::unique_ptr<Body>>> bodies;
  std::uint64_t seed = 0;
};

// A graph's steps.
struct Body {
  const ir::Graph* graph = nullptr;
  std::vector<Step> steps;
  std::vector<std::uint32_t> inputs, outputs;
  std::vector<std::uint32_t> locals;  // slots of values defined in here, constants aside
  std::vector<std::uint8_t> moves;    // by output: defined in here and output once, so that it can be moved out
};

struct ProgramOptions {
  bool reference = false;
  std::uint64_t seed = 0;
  std::uint64_t max_output_bytes = 0;
  bool profile = false, trace = false;
  std::vector<std::string> extra_outputs;  // of the main graph; after the graph's own
  std::vector<std::string> observed;
};

class StepContext;

// "node 'conv1' (Conv)", for messages.
std::string describe(const ir::Node& node);

class Program {
 public:
  Program(std::unique_ptr<PrivateGraph> graph, ProgramOptions options);
  ~Program();
  Program(const Program&) = delete;

  const Body& main() const { return main_; }
  ir::Graph& graph() { return private_->graph(); }
  PrivateGraph& private_graph() { return *private_; }
  std::uint32_t slot_of(const ir::Value& value) const { return slot_of_.at(&value); }

  // A run: begin(), set() the inputs, execute(), result() for each output. Memory of one run is valid until the next
  // begins. `plan` as for Arena.
  void begin(MemoryPlan* plan = nullptr, bool trace = false, std::uint64_t keep = 0);
  void set(std::uint32_t slot, const ir::Datum& datum);
  void execute();
  // `shared`: a tensor may lie in memory of the arena, which the next run uses again.
  ir::Datum result(std::uint32_t slot, bool shared);

  std::function<void(std::uint32_t slot, const ir::Tensor& tensor)> observer;
  Arena& arena() { return arena_; }
  std::vector<NodeProfile>& profile() { return profile_; }
  std::vector<NodeRun>& trace() { return trace_; }
  std::uint32_t step_count() const { return static_cast<std::uint32_t>(main_.steps.size()); }

 private:
  friend class StepContext;

  void plan_body(Body& body, const ir::Graph& graph);
  void plan_step(Step& step, const ir::Node& node);
  void number_values(const ir::Graph& graph);
  void report_unsupported();

  void run_body(Body& body, bool main);
  void run_step(Step& step, bool main);
  using Clock = std::chrono::steady_clock;
  void profile_step(Step& step, std::size_t index, Clock::time_point start);

  Slot& slot(std::uint32_t index) { return slots_[index]; }
  void clear(Slot& slot);
  void clear_all();
  const Array& plain(Slot& slot);  // row-major, loaded
  void load(Slot& slot);
  const ir::Datum& datum(Slot& slot);
  void share(Slot& to, Slot& from);  // the same contents
  void move(Slot& to, Slot& from);
  void set(Slot& slot, ir::Datum datum);

  std::unique_ptr<PrivateGraph> private_;
  ProgramOptions options_;
  std::unordered_map<const ir::Value*, std::uint32_t> slot_of_;
  std::vector<Slot> slots_;
  std::deque<ir::Tensor> dense_;  // sparse initializers
  std::vector<std::string> unsupported_;
  Body main_;
  Arena arena_;
  std::vector<Block*> scratch_;
  std::deque<Slot> unwanted_;  // where outputs go that no slot waits for
  std::size_t unwanted_count_ = 0;
  std::vector<NodeProfile> profile_;
  std::vector<NodeRun> trace_;
  Clock::time_point made_ = Clock::now();
  std::uint64_t runs_ = 0;
  bool dirty_ = false;  // a run did not end well
};

// The context of one step. Control flow (reference/control_flow.cpp) uses what it has beyond Context.
class StepContext final : public Context {
 public:
  StepContext(Program& program, Step& step, bool planned)
      : Context(*step.node),
        program_(program),
        step_(step),
        planned_(planned),
        scratch_base_(program.scratch_.size()),
        unwanted_base_(program.unwanted_count_) {}
  ~StepContext() override;

  std::size_t input_count() const override { return step_.inputs.size(); }
  bool has_input(std::size_t index) const override {
    return index < step_.inputs.size() && step_.inputs[index] != no_slot &&
           program_.slots_[step_.inputs[index]].kind != Slot::Kind::empty;
  }
  bool is_tensor(std::size_t index) override {
    return index < step_.inputs.size() && step_.inputs[index] != no_slot &&
           program_.slots_[step_.inputs[index]].kind == Slot::Kind::array;
  }
  const Array& input(std::size_t index) override;
  const Array& raw_input(std::size_t index) override;
  const ir::Datum& datum(std::size_t index) override;

  std::size_t output_count() const override { return step_.outputs.size(); }
  bool wants_output(std::size_t index) const override { return index < step_.wanted.size() && step_.wanted[index]; }
  Array& output(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims) override;
  Array& output_over(std::size_t index, std::size_t source, ir::ElementType type,
                     std::span<const std::int64_t> dims) override;
  void forward(std::size_t index, std::size_t source, std::span<const std::int64_t> dims) override;
  void set_output(std::size_t index, ir::Datum datum) override;
  Array& output_with_layout(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims,
                            std::shared_ptr<const Layout> layout) override;
  Array& output_over_with_layout(std::size_t index, std::size_t source, ir::ElementType type,
                                 std::span<const std::int64_t> dims, std::shared_ptr<const Layout> layout) override;
  std::byte* scratch(std::uint64_t bytes) override;
  std::vector<ir::Datum> run_subgraph(std::string_view attribute, std::vector<ir::Datum> inputs) override;
  std::uint64_t random_seed() override;

  // Running a subgraph in place. Inputs are bound, run(), outputs taken, finish().
  Body& body(std::string_view attribute);
  Slot take_input(std::size_t index);  // an input of this node: moved where nobody needs it afterwards
  void bind(Body& body, std::size_t input, Slot&& value);
  void bind(Body& body, std::size_t input, ir::Datum value);
  Array& bind_new(Body& body, std::size_t input, ir::ElementType type, const ir::Dims& dims);
  void run(Body& body);
  Slot take(Body& body, std::size_t output);  // moved where possible
  const Array& look(Body& body, std::size_t output);
  void finish(Body& body);                     // empties its slots
  void put(std::size_t output, Slot&& value);  // as an output of this node
  void drop(Slot& value) { program_.clear(value); }
  // Part of input `source` from byte `offset` on, as a value of its own.
  Slot view(std::size_t source, std::uint64_t offset, std::span<const std::int64_t> dims);

 private:
  Slot& input_slot(std::size_t index);
  Slot& output_slot(std::size_t index);
  // The output in the memory of an input; null where that is not possible.
  Array* take_over(std::size_t index, std::size_t source, ir::ElementType type, std::span<const std::int64_t> dims,
                   const std::shared_ptr<const Layout>& layout);

  Program& program_;
  Step& step_;
  bool planned_;
  std::size_t scratch_base_, unwanted_base_;
  std::uint64_t draws_ = 0;
};

}  // namespace hone::exec
