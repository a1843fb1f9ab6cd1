// convert-float16, convert-bfloat16: weights and computation in half precision. Inputs and outputs of the model keep their
// types; Casts stand at the border, and around operators that are kept in single precision.
//
// Kept in float32:
//  1. operators whose sums or exponents leave the range or the precision of half: see kDelicate;
//  2. operators with subgraphs or of other domains, those whose result type is an attribute, and whatever ONNX has no half
//     type for in the model's opset;
//  3. every node that reads a constant with a value the type can't hold (above 65504, or all of it below 6e-8).
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "hone/onnx/type_constraints.h"
#include "hone/passes/precision.h"
#include "passes/rules.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

using ir::ElementType;

// Statistics of normalizations, sums over many elements, exponents and their kin; Resize, whose scales are float32 by
// definition; operators that runtimes have no half kernels for.
constexpr std::array<std::string_view, 34> kDelicate = {"ArrayFeatureExtractor",
                                                        "BatchNormalization",
                                                        "CumSum",
                                                        "DequantizeLinear",
                                                        "DynamicQuantizeLinear",
                                                        "Exp",
                                                        "GroupNormalization",
                                                        "GRU",
                                                        "InstanceNormalization",
                                                        "LayerNormalization",
                                                        "Log",
                                                        "LogSoftmax",
                                                        "LSTM",
                                                        "Loop",
                                                        "LpNormalization",
                                                        "MeanVarianceNormalization",
                                                        "NonMaxSuppression",
                                                        "Pow",
                                                        "QuantizeLinear",
                                                        "Range",
                                                        "ReduceL2",
                                                        "ReduceLogSumExp",
                                                        "ReduceMean",
                                                        "ReduceProd",
                                                        "ReduceSum",
                                                        "ReduceSumSquare",
                                                        "Resize",
                                                        "RMSNormalization",
                                                        "RNN",
                                                        "RoiAlign",
                                                        "Softmax",
                                                        "STFT",
                                                        "TopK",
                                                        "Upsample"};

bool fits(const ir::Tensor& tensor, const Range& range) {
  double largest = 0;
  for (const float value : tensor.to_floats()) {
    const double size = std::abs(static_cast<double>(value));
    if (std::isfinite(size)) largest = std::max(largest, size);
  }
  return largest <= range.largest && (largest == 0 || largest >= range.smallest);
}

class Converter {
 public:
  Converter(PassContext& context, const PrecisionOptions& options)
      : rewriter_(context.rewriter), options_(options), range_(range_of(options.type)) {}

  Status run(ir::Graph& graph) {
    Status status = Status::unchanged;
    for (ir::Node& node : graph.nodes()) {
      if (!convertible(node)) continue;
      convert(node, graph);
      status = Status::changed;
    }
    return status;
  }

  // Float32 inputs and outputs of the model in the type; what uses them in float32 gets Casts.
  Status run_signature(ir::Graph& graph) {
    Status status = Status::unchanged;
    for (ir::Value* input : graph.inputs()) {
      if (input->initializer() || input->element_type() != ElementType::float32) continue;
      status = Status::changed;
      const ir::Type single = input->type();
      rewriter_.shapes().forget(*input);
      input->set_type(ir::Type::tensor(options_.type, single.shape));
      input->declare();
      std::vector<ir::Node*> casts;
      for (const ir::Use& use : input->uses()) {
        if (use.node->is("Cast") && &use.node->graph() == &graph && use.node->int_or("to", 0) == type_number() &&
            !use.node->output(0)->is_graph_output()) {
          casts.push_back(use.node);
        }
      }
      for (ir::Node* cast : casts) {
        graph.replace_all_uses(*cast->output(0), *input, false);
        rewriter_.erase(*cast);
      }
      std::vector<ir::Use> others;
      for (const ir::Use& use : input->uses()) {
        // Those that take the type already came with the Casts.
        if (!converted_.contains(use.node)) others.push_back(use);
      }
      if (others.empty() && !input->is_graph_output()) continue;
      ir::Node& cast = graph.insert("Cast", {input}, 0, graph.first());
      cast.set_attribute("to", static_cast<std::int64_t>(ElementType::float32));
      ir::Value* back = cast.add_output(graph.fresh_name(input->name()));
      back->set_type(single);
      for (const ir::Use& use : others) use.node->set_input(use.index, back);
      rewriter_.touched(cast);
    }
    for (std::size_t i = 0; i < graph.outputs().size(); ++i) {
      ir::Value* output = graph.outputs()[i];
      if (&output->graph() != &graph || output->element_type() != ElementType::float32 || !output->producer()) continue;
      status = Status::changed;
      ir::Value* lower = nullptr;
      ir::Node* producer = output->producer();
      if (producer->is("Cast") && producer->input(0)->element_type() == options_.type &&
          producer->input(0)->producer() && &producer->input(0)->graph() == &graph &&
          !producer->input(0)->is_graph_output()) {
        lower = producer->input(0);
      } else {
        ir::Node& cast = graph.insert("Cast", {output}, 0, producer->next());
        cast.set_attribute("to", type_number());
        lower = cast.add_output(graph.fresh_name(output->name()));
        lower->set_type(ir::Type::tensor(options_.type, output->shape()));
      }
      for (std::size_t j = graph.outputs().size(); j-- > i;) {
        if (graph.outputs()[j] == output) graph.set_output(j, lower);
      }
      graph.exchange_names(*output, *lower);
      output->undeclare();
      lower->declare();
      if (!output->has_uses() && output->producer()->is("Cast")) rewriter_.erase(*output->producer());
    }
    return status;
  }

 private:
  std::int64_t type_number() const { return static_cast<std::int64_t>(options_.type); }

  // The operator's type parameters of float inputs and outputs take the type.
  bool convertible(const ir::Node& node) {
    if (!node.domain().empty() || node.has_subgraphs() || node.is("Constant") || node.is("Cast") ||
        node.is("CastLike") || node.is("ConstantOfShape") || node.has_attribute("dtype") ||
        node.has_attribute("output_datatype")) {
      return false;
    }
    if (std::find(kDelicate.begin(), kDelicate.end(), node.op_type()) != kDelicate.end()) {
      (void)rewriter_.decline(node, "numerically delicate");
      return false;
    }
    bool any = false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const ir::Value* value = node.input(i);
      if (!value || value->element_type() != ElementType::float32) continue;
      if (const ir::Tensor* tensor = ir::constant(value); tensor && !fits(*tensor, range_)) {
        (void)rewriter_.decline(node, "a constant is outside the range of half");
        return false;
      }
      any = true;
    }
    bool gives = false;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      gives |= node.output(i) && node.output(i)->element_type() == ElementType::float32;
    }
    if (!any || !gives) return false;
    // Float inputs of a fixed type (scales of Resize, for one) would become wrong.
    const std::int64_t opset = rewriter_.opset(node);
    const auto takes = [&](const ir::Value* value, bool output, std::size_t index) {
      return !value || value->element_type() != ElementType::float32 ||
             onnx::accepts(node.op_type(), "", opset, output, index, options_.type);
    };
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      if (!takes(node.input(i), false, i)) return no_type(node);
    }
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      if (!takes(node.output(i), true, i)) return no_type(node);
    }
    if (options_.keep && options_.keep(node)) {
      (void)rewriter_.decline(node, "kept in float32 as asked");
      return false;
    }
    return true;
  }

  bool no_type(const ir::Node& node) {
    (void)rewriter_.decline(node, "the operator has no such type in this opset");
    return false;
  }

  void convert(ir::Node& node, ir::Graph& graph) {
    converted_.insert(&node);
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      ir::Value* value = node.input(i);
      if (value && value->element_type() == ElementType::float32) node.set_input(i, &half(*value, node));
    }
    std::vector<ir::Value*> results;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      ir::Value* output = node.output(i);
      if (output && output->element_type() == ElementType::float32) results.push_back(output);
    }
    for (ir::Value* output : results) {
      rewriter_.shapes().forget(*output);
      const ir::Type single = output->type();
      ir::Node* next = node.next();
      ir::Node& cast = graph.insert("Cast", {}, 1, next);
      cast.set_attribute("to", static_cast<std::int64_t>(ElementType::float32));
      ir::Value* back = cast.output(0);
      back->set_type(single);
      const bool was_output = output->is_graph_output();
      graph.replace_all_uses(*output, *back, true);
      if (was_output) {
        back->adopt_declaration(*output);
        graph.exchange_names(*output, *back);
      }
      cast.set_input(0, output);
      output->undeclare();
      output->set_type(ir::Type::tensor(options_.type, single.shape));
      halves_[back] = output;
    }
    rewriter_.touched(node);
  }

  // The value in half precision.
  ir::Value& half(ir::Value& value, ir::Node& before) {
    if (const auto known = halves_.find(&value); known != halves_.end()) return *known->second;
    if (const ir::Tensor* tensor = ir::constant(&value); tensor && !value.is_graph_output()) {
      ir::Value& made = rewriter_.constant(before, to_half(*tensor), value.name());
      if (&made.graph() == &value.graph()) halves_[&value] = &made;
      return made;
    }
    ir::Node& cast = rewriter_.add("Cast", {&value}, rewrite::attributes("to", type_number()), before);
    if (&cast.graph() == &value.graph()) halves_[&value] = cast.output(0);
    return *cast.output(0);
  }

  template <typename T>
  class Halved final : public ir::DeferredBytes {
   public:
    explicit Halved(ir::Tensor source) : source_(std::move(source)) {}
    void produce(std::uint64_t offset, std::span<std::byte> out) const override {
      constexpr std::uint64_t kWindow = 1 << 20;
      std::vector<float> window;
      while (!out.empty()) {
        const std::uint64_t first = offset / 2, skip = offset % 2;
        const std::uint64_t count = std::min<std::uint64_t>(kWindow, (skip + out.size() + 1) / 2);
        window.resize(count);
        source_.read(first * 4, std::as_writable_bytes(std::span(window)));
        std::vector<T> halves(count);
        for (std::uint64_t i = 0; i < count; ++i) {
          if constexpr (std::is_same_v<T, float16>) {
            halves[i] = to_float16(static_cast<double>(window[i]));
          } else {
            halves[i] = to_bfloat16(static_cast<double>(window[i]));
          }
        }
        const auto bytes = std::as_bytes(std::span(halves)).subspan(skip);
        const std::size_t taken = std::min(out.size(), bytes.size());
        std::copy_n(bytes.begin(), taken, out.begin());
        out = out.subspan(taken);
        offset += taken;
      }
    }
    double cost_per_byte() const override { return 1; }

   private:
    ir::Tensor source_;
  };

  ir::Tensor to_half(const ir::Tensor& tensor) const {
    std::shared_ptr<const ir::DeferredBytes> bytes;
    if (options_.type == ElementType::float16) {
      bytes = std::make_shared<Halved<float16>>(tensor);
    } else {
      bytes = std::make_shared<Halved<bfloat16>>(tensor);
    }
    return ir::Tensor::deferred(options_.type, tensor.dims(), std::move(bytes));
  }

  rewrite::Rewriter& rewriter_;
  const PrecisionOptions& options_;
  const Range range_;
  std::map<const ir::Value*, ir::Value*> halves_;
  std::set<const ir::Node*> converted_;
};

}  // namespace

Range range_of(ElementType type) {
  return type == ElementType::float16 ? Range{65504, 6.104e-5, 5.97e-8} : Range{3.3895e38, 1.1755e-38, 9.19e-41};
}

Status lower_precision(PassContext& context, const PrecisionOptions& options) {
  Converter converter(context, options);
  ir::Graph& graph = *context.rewriter.model().graph;
  Status status = converter.run(graph);
  if (options.convert_signature) status |= converter.run_signature(graph);
  if (status == Status::changed) status |= eliminate_dead_code(context);
  return status;
}

Status convert_float16(PassContext& context) { return lower_precision(context, {ElementType::float16}); }
Status convert_bfloat16(PassContext& context) { return lower_precision(context, {ElementType::bfloat16}); }

}  // namespace hone::passes
