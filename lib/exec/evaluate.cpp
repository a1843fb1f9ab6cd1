#include "hone/exec/evaluate.h"

#include <cstring>
#include <deque>

#include "exec/arrays.h"
#include "exec/program.h"
#include "hone/support/random.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

// A context over Datums: every output owns its memory, nothing is reused but dying inputs are shared.
class Eager final : public Context {
 public:
  Eager(const ir::Node& node, const std::vector<std::optional<ir::Datum>>& inputs, const EvaluateOptions& options)
      : Context(node),
        inputs_(inputs),
        options_(options),
        arrays_(inputs.size()),
        outputs_(node.output_count()),
        results_(node.output_count()) {}

  std::size_t input_count() const override { return inputs_.size(); }
  bool has_input(std::size_t index) const override { return index < inputs_.size() && inputs_[index].has_value(); }
  bool is_tensor(std::size_t index) override { return has_input(index) && inputs_[index]->tensor(); }

  const Array& input(std::size_t index) override {
    if (!is_tensor(index)) bad_input("input {} is {}", index, has_input(index) ? "no tensor" : "missing");
    std::optional<Array>& array = arrays_[index];
    if (!array) array = to_array(*inputs_[index]->tensor());
    return *array;
  }
  const ir::Datum& datum(std::size_t index) override {
    if (!has_input(index)) bad_input("input {} is missing", index);
    return *inputs_[index];
  }

  std::size_t output_count() const override { return outputs_.size(); }
  bool wants_output(std::size_t index) const override {
    return index < outputs_.size() && node().output(index) != nullptr;
  }

  Array& output(std::size_t index, ir::ElementType type, std::span<const std::int64_t> dims) override {
    const std::uint64_t bytes = checked_byte_size(type, dims);
    limit(bytes);
    Array& array = slot(index);
    array = {};
    array.type = type;
    array.dims.assign(dims.begin(), dims.end());
    if (type == ir::ElementType::string) {
      array.strings = std::make_shared<std::vector<std::string>>(static_cast<std::size_t>(array.count()));
    } else if (bytes > 0) {
      auto buffer = std::make_shared<Buffer>(bytes);
      array.data = buffer->data();
      array.owner = std::move(buffer);
    }
    return array;
  }
  void forward(std::size_t index, std::size_t source, std::span<const std::int64_t> dims) override {
    Array& array = slot(index);
    array = input(source);
    array.dims.assign(dims.begin(), dims.end());
  }
  void set_output(std::size_t index, ir::Datum datum) override {
    slot(index) = {};
    results_[index] = std::move(datum);
  }
  Array& output_with_layout(std::size_t, ir::ElementType, std::span<const std::int64_t>,
                            std::shared_ptr<const Layout>) override {
    fail(ErrorKind::internal, "a reference kernel asked for a layout");
  }

  std::byte* scratch(std::uint64_t bytes) override {
    scratch_.push_back(std::make_unique<Buffer>(std::max<std::uint64_t>(bytes, 1)));
    return scratch_.back()->data();
  }
  std::vector<ir::Datum> run_subgraph(std::string_view attribute, std::vector<ir::Datum>) override {
    fail(ErrorKind::internal, "run_subgraph({}) outside of a program", attribute);
  }
  std::uint64_t random_seed() override { return philox(options_.seed, 0, 0)[0]; }

  std::vector<ir::Datum> results() {
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      if (wants_output(i) && outputs_[i].type != ir::ElementType::undefined) results_[i] = to_tensor(outputs_[i]);
    }
    results_.resize(node().output_count());
    return std::move(results_);
  }

 private:
  Array& slot(std::size_t index) {
    if (index >= outputs_.size()) {  // an output that the node leaves out altogether: somewhere to write
      outputs_.resize(index + 1);
      results_.resize(index + 1);
    }
    return outputs_[index];
  }
  void limit(std::uint64_t bytes) const {
    if (options_.max_output_bytes > 0 && bytes > options_.max_output_bytes) {
      fail(ErrorKind::resource_limit, "an output of {} bytes passes the limit of {}", bytes, options_.max_output_bytes);
    }
  }

  const std::vector<std::optional<ir::Datum>>& inputs_;
  const EvaluateOptions& options_;
  std::vector<std::optional<Array>> arrays_;
  std::deque<Array> outputs_;  // kernels keep references while they ask for more
  std::vector<ir::Datum> results_;
  std::vector<std::unique_ptr<Buffer>> scratch_;
};

// A node with subgraphs or without a kernel: a program of one node.
std::vector<ir::Datum> evaluate_program(const ir::Node& node, const ir::Model& model,
                                        const std::vector<std::optional<ir::Datum>>& inputs,
                                        const EvaluateOptions& options) {
  ProgramOptions settings;
  settings.reference = options.reference;
  settings.seed = options.seed;
  settings.max_output_bytes = options.max_output_bytes;
  auto graph = std::make_unique<PrivateGraph>(model, node, inputs);
  Program program(std::move(graph), std::move(settings));
  program.begin();
  std::size_t next = 0;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (i < inputs.size() && inputs[i]) program.set(program.main().inputs[next++], *inputs[i]);
  }
  program.execute();
  std::vector<ir::Datum> results(node.output_count());
  next = 0;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    if (node.output(i)) results[i] = program.result(program.main().outputs[next++], false);
  }
  return results;
}

}  // namespace

std::vector<ir::Datum> evaluate(const ir::Node& node, const ir::Model& model,
                                const std::vector<std::optional<ir::Datum>>& inputs, const EvaluateOptions& options) {
  const bool is_function = model.functions.called_by(node) != nullptr;
  std::unique_ptr<Kernel> kernel;
  if (!is_function && !node.has_subgraphs()) {
    kernel = in_context([&] { return describe(node); },
                        [&] {
                          return make_kernel({node, model, opset_of(node, model), threads()}, options.reference);
                        });
  }
  if (!kernel) return evaluate_program(node, model, inputs, options);
  return in_context([&] { return describe(node); },
                    [&] {
                      Eager context(node, inputs, options);
                      kernel->run(context);
                      return context.results();
                    });
}

}  // namespace hone::exec
