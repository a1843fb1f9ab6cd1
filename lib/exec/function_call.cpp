#include "exec/function_call.h"

#include <map>
#include <optional>

#include "exec/program.h"
#include "hone/onnx/schema.h"

namespace hone::exec {
namespace {

// Bodies of ONNX 1.23 nest three deep.
constexpr int deepest = 16;

class FunctionKernel final : public Kernel {
 public:
  FunctionKernel(const KernelInfo& info, bool reference)
      : node_(info.node), model_(info.model), opset_(info.opset), reference_(reference) {}

  void run(Context& context) override {
    thread_local int depth = 0;
    if (depth >= deepest) bad_input("functions nested deeper than {}", deepest);
    struct Level {
      explicit Level(int& d) : depth(d) { ++depth; }
      ~Level() { --depth; }
      int& depth;
    } level(depth);

    std::vector<std::optional<ir::Datum>> inputs(context.input_count());
    std::string key;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      key += ',';
      if (!context.has_input(i)) continue;
      inputs[i] = context.datum(i);
      const ir::Type type = type_of(*inputs[i]);
      key += type.is_tensor() ? fmt::format("{}[{}]", ir::name(type.element), type.shape->size()) : ir::text(type);
    }
    Call& call = calls_[key];
    if (!call.program) plan(call, inputs);
    Program& program = *call.program;
    program.begin();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i]) program.set(program.main().inputs[i], *inputs[i]);
    }
    program.execute();
    const auto& outputs = program.main().outputs;
    for (std::size_t i = 0; i < outputs.size() && i < context.output_count(); ++i) {
      if (context.wants_output(i)) context.set_output(i, program.result(outputs[i], false));
    }
  }

 private:
  struct Call {
    std::unique_ptr<ir::Function> function;
    std::unique_ptr<Program> program;
  };

  void plan(Call& call, const std::vector<std::optional<ir::Datum>>& inputs) {
    // The node alone, with inputs of known types.
    ir::Model single;
    single.ir_version = model_.ir_version;
    single.opsets = model_.opsets;
    single.set_opset(node_.domain(), opset_);
    PrivateGraph typed(single, node_, inputs);
    call.function = onnx::function_body(*typed.graph().first(), single);
    if (!call.function) unsupported("no kernel, and no function body for these types of inputs");
    const ir::Graph& body = *call.function->body;
    if (body.inputs().size() < inputs.size())
      bad_input("it has {} inputs, {} are known", inputs.size(), body.inputs().size());
    auto graph = std::make_unique<PrivateGraph>(model_, body, call.function->opsets, std::vector<std::string>{}, true);
    for (std::size_t i = 0; i < body.inputs().size(); ++i) {
      ir::Value* input = graph->graph().inputs()[i];
      if (i < inputs.size() && inputs[i]) {
        input->set_type(type_of(*inputs[i]));
        continue;
      }
      const std::vector<ir::Use> uses(input->uses().begin(), input->uses().end());
      for (const ir::Use& use : uses) use.node->set_input(use.index, nullptr);
    }
    ProgramOptions options;
    options.reference = reference_;
    call.program = std::make_unique<Program>(std::move(graph), std::move(options));
  }

  const ir::Node& node_;
  const ir::Model& model_;
  std::int64_t opset_;
  bool reference_;
  std::map<std::string, Call> calls_;
};

}  // namespace

std::unique_ptr<Kernel> make_function_kernel(const KernelInfo& info, bool reference) {
  const onnx::Schema* schema = onnx::find_schema(info.node.op_type(), info.node.domain(), info.opset);
  if (!schema || !schema->has_function_body) return nullptr;
  return std::make_unique<FunctionKernel>(info, reference);
}

}  // namespace hone::exec
