// hone split: one model into two that run one after the other.
#include <fmt/core.h>

#include "common.h"
#include "hone/support/error.h"
#include "hone/support/text.h"
#include "hone/surgery/extract.h"

namespace hone::tools {
namespace {

struct SplitFlags {
  ModelInOut files;
  std::string rest;
  std::vector<std::string> at;
};

Json describe(const std::string& path, const ir::Model& model) {
  Json inputs = Json::array(), outputs = Json::array();
  for (const ir::Value* input : model.graph->inputs()) {
    if (!input->initializer()) inputs.push_back(input->name());
  }
  for (const ir::Value* output : model.graph->outputs()) outputs.push_back(output->name());
  return {{"output", path},
          {"nodes", ir::total_node_count(*model.graph)},
          {"inputs", std::move(inputs)},
          {"outputs", std::move(outputs)}};
}

void run(const SplitFlags& options, Common& common) {
  common.apply();
  if (options.rest == options.files.output) {
    usage_error("both parts can't be written to {}", hone::quote(options.rest));
  }
  const ir::Model model = options.files.read(common);
  const std::vector<std::string> at = tensor_names(model, options.at);
  surgery::Parts parts =
      in_context([&] { return "splitting " + options.files.input; }, [&] { return surgery::split(model, at); });
  const std::string names = join(at, ",");
  options.files.record(parts.first, "split", {{"at", names}, {"part", "1"}});
  options.files.record(parts.second, "split", {{"at", names}, {"part", "2"}});
  options.files.write(parts.first);
  ModelInOut second = options.files;
  second.output = options.rest;
  second.write(parts.second);

  common.say(fmt::format("{} nodes -> {} + {}", ir::total_node_count(*model.graph),
                         ir::total_node_count(*parts.first.graph), ir::total_node_count(*parts.second.graph)));
  common.write_report("split",
                      {{"input", options.files.input},
                       {"at", at},
                       {"parts", {describe(options.files.output, parts.first), describe(options.rest, parts.second)}}});
}

}  // namespace

void add_split(Command hone, Common& common) {
  auto options = std::make_shared<SplitFlags>();
  Command command = hone.add_command("split", "cut a model in two at some tensors");
  options->files.add_to(command);
  command.add_option("--at", options->at, "tensors that the first part gives and the second takes")
      .required()
      .type_name("A,B,...");
  command.add_option("--rest", options->rest, "the second part (the first goes to -o)").required().type_name("OUT");
  common.add_to(command);
  command.footer("Example: hone split model.onnx --at features -o backbone.onnx --rest head.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
