// hone prune: fewer weights that are not zero, or fewer channels.
#include "hone/prune/prune.h"

#include <fmt/core.h>

#include "common.h"
#include "hone/shapes/cost.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct PruneFlags {
  ModelInOut files;
  prune::PruneOptions prune;
  std::string structure = "unstructured", scope;
};

void run(PruneFlags& options, Common& common) {
  common.apply();
  prune::parse_structure(options.structure, options.prune);
  if (!options.scope.empty()) {
    options.prune.scope = options.scope == "layer" ? prune::Scope::layer : prune::Scope::global;
  }
  ir::Model model = options.files.read(common);
  const std::uint64_t size_before = onnx::serialized_size(model);
  const prune::PruneResult result = in_context([&] { return "pruning " + options.files.input; },
                                               [&] { return prune::prune(model, options.prune, common.observer()); });
  options.files.record(model, "prune",
                       {{"sparsity", fmt::format("{}", options.prune.sparsity)}, {"structure", options.structure}});
  options.files.write(model);

  const shapes::Cost cost = shapes::cost(model);
  const std::uint64_t size_after = onnx::serialized_size(model);
  Json layers = Json::array();
  for (const prune::LayerResult& layer : result.layers) {
    Json entry{{"node", layer.node}, {"op", layer.op_type}, {"weight", layer.weight}};
    if (!layer.skipped.empty()) entry["skipped"] = layer.skipped;
    entry["weights"] = {{"before", layer.weights_before}, {"after", layer.weights_after}};
    if (options.prune.structure == prune::Structure::channel) {
      entry["channels"] = {{"before", layer.channels_before}, {"after", layer.channels_after}};
    } else {
      entry["zeros"] = {{"before", layer.zeros_before}, {"after", layer.zeros_after}};
    }
    layers.push_back(std::move(entry));
  }
  if (options.prune.structure == prune::Structure::channel) {
    common.say(fmt::format("{} of {} weights removed ({:.1f} %); {} -> {}",
                           result.weights_before - result.weights_after, result.weights_before, result.sparsity * 100,
                           human_bytes(size_before), human_bytes(size_after)));
  } else {
    common.say(
        fmt::format("{} of {} weights are zero ({:.1f} %); the file keeps its size: zeros compress, and "
                    "--structure channel removes",
                    result.zeros_after, result.weights_before, result.sparsity * 100));
  }
  common.write_report("prune", {{"input", options.files.input},
                                {"output", options.files.output},
                                {"sparsity", {{"asked", options.prune.sparsity}, {"reached", result.sparsity}}},
                                {"structure", options.structure},
                                {"size", {{"before", size_before}, {"after", size_after}}},
                                {"macs", cost.macs},
                                {"layers", std::move(layers)}});
}

}  // namespace

void add_prune(Command hone, Common& common) {
  auto options = std::make_shared<PruneFlags>();
  Command command = hone.add_command("prune", "set small weights to zero, or remove channels");
  options->files.add_to(command);
  command
      .add_option("--sparsity", options->prune.sparsity, "share of weights to be zero, or of channels to go, in [0, 1)")
      .required()
      .type_name("S");
  command.add_option("--structure", options->structure, "unstructured, N:M such as 2:4, or channel").show_default();
  command.add_option("--scope", options->scope, "rank over the whole model (global) or in each layer")
      .one_of({"global", "layer"});
  command.add_option("--include", options->prune.include, "only layers whose node or weight name matches")
      .type_name("REGEX");
  command.add_option("--exclude", options->prune.exclude, "no layers whose node or weight name matches")
      .type_name("REGEX");
  command.add_option("--min-channels", options->prune.min_channels, "channels a layer keeps at least")
      .positive()
      .show_default();
  command.add_option("--round-to", options->prune.round_to, "channels left are a multiple of this")
      .positive()
      .show_default();
  common.add_to(command);
  command.footer("Example: hone prune model.onnx --sparsity 0.5 -o pruned.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
