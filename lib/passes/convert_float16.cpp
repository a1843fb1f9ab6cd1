// convert-float16: weights and computation in half precision. Inputs and outputs of the model keep their types; Casts stand
// at the border, and around operators that are kept in single precision.
//
// Kept in float32:
//  1. operators whose sums or exponents leave the range or the precision of half: see kDelicate;
//  2. operators with subgraphs or of other domains, and whatever ONNX has no half type for;
//  3. every node that reads a constant with a value half can't hold (above 65504, or all of it below 6e-8).
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "hone/onnx/schema.h"
#include "passes/rules.h"
#include "passes/weights.h"

namespace hone::passes {
namespace {

using ir::ElementType;

// Statistics of normalizations, sums over many elements, exponents and their kin; Resize, whose scales are float32 by
// definition; operators that runtimes have no half kernels for.
constexpr std::array<std::string_view, 34> kDelicate = {
    "ArrayFeatureExtractor", "BatchNormalization", "CumSum", "DequantizeLinear", "DynamicQuantizeLinear", "Exp",
    "GroupNormalization", "GRU", "InstanceNormalization", "LayerNormalization", "Log", "LogSoftmax", "LSTM", "Loop",
    "LpNormalization", "MeanVarianceNormalization", "NonMaxSuppression", "Pow", "QuantizeLinear", "Range", "ReduceL2",
    "ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Resize", "RMSNormalization", "RNN",
    "RoiAlign", "Softmax", "STFT", "TopK", "Upsample"};

constexpr double kLargestHalf = 65504, kSmallestHalf = 6e-8;

bool fits(const ir::Tensor& tensor) {
  double largest = 0;
  for (const float value : tensor.to_floats()) {
    const double size = std::abs(static_cast<double>(value));
    if (std::isfinite(size)) largest = std::max(largest, size);
  }
  return largest <= kLargestHalf && (largest == 0 || largest >= kSmallestHalf);
}

class Converter {
 public:
  explicit Converter(PassContext& context) : rewriter_(context.rewriter) {}

  Status run(ir::Graph& graph) {
    Status status = Status::unchanged;
    for (ir::Node& node : graph.nodes()) {
      if (!convertible(node)) continue;
      convert(node, graph);
      status = Status::changed;
    }
    return status;
  }

 private:
  // The operator's type parameter of float inputs and outputs takes half.
  bool convertible(const ir::Node& node) {
    if (!node.domain().empty() || node.has_subgraphs() || node.is("Constant") || node.is("Cast") || node.is("CastLike") ||
        node.is("ConstantOfShape")) {
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
      if (const ir::Tensor* tensor = ir::constant(value); tensor && !fits(*tensor)) {
        (void)rewriter_.decline(node, "a constant is outside the range of half");
        return false;
      }
      any = true;
    }
    bool gives = false;
    for (std::size_t i = 0; i < node.output_count(); ++i) {
      gives |= node.output(i) && node.output(i)->element_type() == ElementType::float32;
    }
    const onnx::Schema* schema = onnx::find_schema(node.op_type(), "", rewriter_.opset(node));
    if (!any || !gives || !schema) return false;
    // Float inputs of a fixed type (scales of Resize, for one) would become wrong.
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const std::size_t parameter = std::min(i, schema->inputs.size() - 1);
      if (schema->inputs.empty() || schema->inputs[parameter].type.starts_with("tensor(")) return false;
    }
    return true;
  }

  void convert(ir::Node& node, ir::Graph& graph) {
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
      output->set_type(ir::Type::tensor(ElementType::float16, single.shape));
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
    ir::Node& cast = rewriter_.add("Cast", {&value}, rewrite::attributes("to", static_cast<std::int64_t>(ElementType::float16)),
                                   before);
    if (&cast.graph() == &value.graph()) halves_[&value] = cast.output(0);
    return *cast.output(0);
  }

  static ir::Tensor to_half(const ir::Tensor& tensor) {
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
          std::vector<float16> halves(count);
          for (std::uint64_t i = 0; i < count; ++i) halves[i] = to_float16(static_cast<double>(window[i]));
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
    return ir::Tensor::deferred(ElementType::float16, tensor.dims(), std::make_shared<Halved>(tensor));
  }

  rewrite::Rewriter& rewriter_;
  std::map<const ir::Value*, ir::Value*> halves_;
};

}  // namespace

Status convert_float16(PassContext& context) {
  Status status = Converter(context).run(*context.rewriter.model().graph);
  if (status == Status::changed) status |= eliminate_dead_code(context);
  return status;
}

}  // namespace hone::passes
