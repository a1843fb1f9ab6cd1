// hone extract: the part of a model between some tensors.
#include "hone/surgery/extract.h"

#include <fmt/core.h>

#include "common.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct ExtractFlags {
  ModelInOut files;
  std::vector<std::string> inputs, outputs;
};

void run(const ExtractFlags& options, Common& common) {
  common.apply();
  ir::Model model = options.files.read(common);
  const std::uint64_t before = ir::total_node_count(*model.graph);
  const std::vector<std::string> inputs = tensor_names(model, options.inputs);
  const std::vector<std::string> outputs = tensor_names(model, options.outputs);
  in_context([&] { return "extracting from " + options.files.input; },
             [&] { surgery::extract(model, inputs, outputs); });
  options.files.record(model, "extract", {{"inputs", join(inputs, ",")}, {"outputs", join(outputs, ",")}});
  options.files.write(model);

  const std::uint64_t after = ir::total_node_count(*model.graph);
  Json names = Json::array();
  for (const ir::Value* input : model.graph->inputs()) {
    if (!input->initializer()) names.push_back(input->name());
  }
  common.say(fmt::format("{} of {} nodes, {} inputs, {} outputs", after, before, names.size(), outputs.size()));
  common.write_report("extract", {{"input", options.files.input},
                                  {"output", options.files.output},
                                  {"nodes", {{"before", before}, {"after", after}}},
                                  {"inputs", std::move(names)},
                                  {"outputs", outputs}});
}

}  // namespace

void add_extract(Command hone, Common& common) {
  auto options = std::make_shared<ExtractFlags>();
  Command command = hone.add_command("extract", "cut out the part of a model between some tensors");
  options->files.add_to(command);
  command
      .add_option("--inputs", options->inputs, "tensors to become the inputs; without it, the inputs that are needed")
      .type_name("A,B,...");
  command.add_option("--outputs", options->outputs, "tensors to become the outputs").required().type_name("A,B,...");
  common.add_to(command);
  command.footer("Example: hone extract model.onnx --inputs embedding --outputs pooled -o encoder.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
