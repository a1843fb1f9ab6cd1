// hone merge: two models as one, the second behind the first.
#include "hone/surgery/merge.h"

#include <fmt/core.h>

#include "common.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct MergeFlags {
  ModelInOut files;
  std::string second;
  std::vector<std::string> map;
  bool keep = false;
};

void run(const MergeFlags& options, Common& common) {
  common.apply();
  if (options.files.input == "-" && options.second == "-") usage_error("only one of the models can come from stdin");
  ir::Model model = options.files.read(common);
  const ir::Model second = ModelIn{options.second, options.files.external_root}.read(common);
  surgery::MergeOptions merge;
  merge.keep_connected = options.keep;
  for (const std::string& text : options.map) {
    for (const std::string_view piece : hone::split(text, ',')) {
      merge.connections.push_back(parse_pair(std::string(trim(piece)), "--map"));
    }
  }
  const surgery::MergeResult result =
      in_context([&] { return fmt::format("merging {} and {}", options.files.input, options.second); },
                 [&] { return surgery::merge(model, second, merge); });
  std::vector<std::string> pairs;
  for (const auto& [from, to] : result.connected) pairs.push_back(from + "=" + to);
  options.files.record(model, "merge", {{"map", join(pairs, ",")}});
  options.files.write(model);

  common.say(
      fmt::format("{} tensors feed the second model; {} nodes", pairs.size(), ir::total_node_count(*model.graph)));
  Json renamed = Json::object();
  for (const auto& [from, to] : result.renamed) {
    common.say(fmt::format("{} of the second model is {} now", hone::quote(from), hone::quote(to)));
    renamed[from] = to;
  }
  common.write_report("merge", {{"inputs", {options.files.input, options.second}},
                                {"output", options.files.output},
                                {"nodes", ir::total_node_count(*model.graph)},
                                {"connected", pairs},
                                {"renamed", std::move(renamed)}});
}

}  // namespace

void add_merge(Command hone, Common& common) {
  auto options = std::make_shared<MergeFlags>();
  Command command = hone.add_command("merge", "put one model behind another");
  options->files.add_to(command);
  command.add_option("second", options->second, "model whose inputs the first one feeds")
      .required()
      .type_name("SECOND");
  command.add_option("--map", options->map, "what feeds what; without it, equal names do")
      .type_name("TENSOR=INPUT,...");
  command.add_flag("--keep-connected", options->keep, "outputs that feed the second model stay outputs");
  common.add_to(command);
  command.footer("Example: hone merge backbone.onnx head.onnx --map features=x -o model.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
