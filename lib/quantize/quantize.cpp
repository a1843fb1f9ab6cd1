#include "hone/quantize/quantize.h"

#include <cmath>

#include "hone/passes/convert_opset.h"
#include "hone/passes/passes.h"
#include "hone/shapes/inference.h"
#include "hone/support/error.h"
#include "quantize/modes.h"

namespace hone::quantize {
namespace {

// QuantizeLinear by axis came with 13, DynamicQuantizeLinear with 11.
constexpr std::int64_t kLeastOpset = 13;

bool is_quantized(const ir::Model& model) {
  bool found = false;
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      found |= node.is("QuantizeLinear") || node.is("QLinearConv") || node.is("QLinearMatMul") ||
               node.is("MatMulInteger") || node.is("ConvInteger");
    }
  });
  return found;
}

// A scale that is no positive number makes every result 0 or NaN: the model is not to be quantized again, but damaged.
void check_scales(ir::Model& model) {
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    for (const ir::Node& node : graph.nodes()) {
      if (!node.is("QuantizeLinear") && !node.is("DequantizeLinear")) continue;
      const ir::Tensor* scale = ir::constant(node.input(1));
      constexpr std::int64_t kMost = 1 << 20;  // one for each channel or block
      if (!scale || !ir::is_float(scale->type()) || scale->element_count() > kMost) continue;
      for (const double value : scale->to_doubles()) {
        if (value > 0 && std::isfinite(value)) continue;
        bad_input(
            "node {} ({}): a scale is {}, and scales are positive numbers; make the model anew from its float one",
            quote(node.name()), node.op_type(), value);
      }
    }
  });
}

}  // namespace

QuantizeResult quantize(ir::Model& model, const data::Dataset* calibration, const data::FeedOptions& feed_options,
                        const QuantizeOptions& options, Observer& observer) {
  if (options.mode == Mode::static_ && !calibration) {
    usage_error("static quantization needs calibration data: --data FILE, or use --mode dynamic");
  }
  if (options.mode == Mode::static_ && calibration->rows() == 0) bad_input("the calibration data have no rows");
  check_scales(model);
  if (is_quantized(model)) unsupported("the model is quantized already");
  if (model.opset() < kLeastOpset) {
    observer.message(Level::info,
                     fmt::format("raised from opset {} to {}, which quantization needs", model.opset(), kLeastOpset));
    passes::convert_opset(model, kLeastOpset, observer);
  }
  if (options.simplify) rewrite::run_pipeline(model, passes::pipeline(2));
  shapes::Inference(model, &observer).run();

  QuantizeResult result;
  if (options.mode == Mode::dynamic) {
    const std::vector<ir::Node*> nodes = select_nodes(model, options, result.nodes);
    write_dynamic(model, nodes, options, result);
  } else {
    const Placement placement = place(model, options);
    result.nodes = placement.decisions;
    std::vector<std::string> names;
    for (const ir::Value* value : placement.values) {
      if (!placement.same_as.contains(value)) names.push_back(value->name());
    }
    const data::Feed feed(*calibration, data::model_inputs(*model.graph), feed_options);
    const auto extents = in_context([&] { return std::string("calibrating"); },
                                    [&] { return calibrate(model, feed, names, options.batch, observer); });
    result.samples = calibration->rows();
    write_static(model, placement, extents, options, result);
  }
  if (!model.graph->sort()) fail(ErrorKind::internal, "quantization made a cycle");
  shapes::Inference(model, &observer).run();
  return result;
}

}  // namespace hone::quantize
