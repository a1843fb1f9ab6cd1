// hone quantize: weights and activations in int8.
#include "hone/quantize/quantize.h"

#include <fmt/core.h>

#include "common.h"
#include "data_options.h"
#include "hone/support/error.h"
#include "hone/support/text.h"

namespace hone::tools {
namespace {

struct QuantizeFlags {
  ModelInOut files;
  DataOptions data;
  quantize::QuantizeOptions quantize;
  std::string mode;
  bool per_tensor = false, explain = false, no_simplify = false;
};

void run(QuantizeFlags& options, Common& common) {
  common.apply();
  options.quantize.mode = options.mode == "dynamic" ? quantize::Mode::dynamic : quantize::Mode::static_;
  options.quantize.per_channel = !options.per_tensor;
  options.quantize.simplify = !options.no_simplify;
  ir::Model model = options.files.read(common);
  const std::uint64_t size_before = onnx::serialized_size(model);
  std::optional<data::Dataset> data;
  if (options.data.given()) data = options.data.open();
  const quantize::QuantizeResult result =
      in_context([&] { return "quantizing " + options.files.input; },
                 [&] {
                   return quantize::quantize(model, data ? &*data : nullptr, options.data.feed(), options.quantize,
                                             common.observer());
                 });
  options.files.record(model, "quantize",
                       {{"mode", options.mode},
                        {"per_channel", options.per_tensor ? "false" : "true"},
                        {"samples", std::to_string(result.samples)}});
  options.files.write(model);

  const std::uint64_t size_after = onnx::serialized_size(model);
  std::size_t quantized = 0;
  Json nodes = Json::array(), ranges = Json::array();
  for (const quantize::NodeDecision& node : result.nodes) {
    quantized += node.quantized;
    nodes.push_back({{"node", node.node},
                     {"op", node.op_type},
                     {"quantized", node.quantized},
                     {node.quantized ? "kernel" : "reason", node.kernel_or_reason}});
    if (options.explain) {
      fmt::print(stderr, "{:<10} {:<24} {}\n", node.op_type, node.kernel_or_reason, hone::quote(node.node));
    }
  }
  for (const quantize::Range& range : result.ranges) {
    ranges.push_back({{"value", range.value},
                      {"min", range.min},
                      {"max", range.max},
                      {"scale", range.scale},
                      {"zero_point", range.zero_point}});
  }
  common.say(fmt::format("{} of {} candidate nodes on integers; {} -> {}", quantized, result.nodes.size(),
                         human_bytes(size_before), human_bytes(size_after)));
  if (!options.quantize.reduce_range) {
    common.say(
        "8-bit weights: on x86 CPUs without VNNI ONNX Runtime's sums saturate, hone's don't; --reduce-range avoids it");
  }
  common.write_report("quantize", {{"input", options.files.input},
                                   {"output", options.files.output},
                                   {"mode", options.mode},
                                   {"samples", result.samples},
                                   {"size", {{"before", size_before}, {"after", size_after}}},
                                   {"nodes", std::move(nodes)},
                                   {"ranges", std::move(ranges)}});
}

}  // namespace

void add_quantize(Command hone, Common& common) {
  auto options = std::make_shared<QuantizeFlags>();
  Command command = hone.add_command("quantize", "compute in int8 where that is faster");
  options->files.add_to(command);
  command.add_option("--mode", options->mode, "static: ranges from calibration data; dynamic: from each input")
      .required()
      .one_of({"static", "dynamic"});
  options->data.add_to(command, false);
  command.add_flag("--per-tensor", options->per_tensor, "one scale a weight instead of one an output channel");
  command.add_flag("--reduce-range", options->quantize.reduce_range, "7-bit weights, for x86 CPUs without VNNI");
  command.add_option("--operators", options->quantize.operators, "only these: Conv, Gemm, MatMul").delimiter(',');
  command.add_option("--include", options->quantize.include, "only nodes whose name matches").type_name("REGEX");
  command.add_option("--exclude", options->quantize.exclude, "no nodes whose name matches").type_name("REGEX");
  command.add_option("--batch-size", options->quantize.batch, "samples run at once while calibrating")
      .positive()
      .show_default();
  command.add_flag("--no-simplify", options->no_simplify, "don't run the passes of hone convert first");
  command.add_flag("--explain", options->explain, "print what each node becomes, or why it stays float");
  common.add_to(command);
  command.footer("Example: hone quantize model.onnx --mode static --data calibration.npz -o small.onnx");
  command.callback([options, &common] { run(*options, common); });
}

}  // namespace hone::tools
