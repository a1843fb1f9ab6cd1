// fold-constants: a node whose inputs are all constant becomes its result; so does a small integer result whose elements
// shape arithmetic knows, even where its inputs are not constant (Shape of a value with a static shape).
// Kernels are the reference ones of this process: the same bytes on every machine and thread count.
//
// Left alone:
//  1. results larger than fold_limit that would make the file grow (ConstantOfShape [1024,1024]);
//  2. nodes that draw random numbers, have subgraphs, or have outputs that are not tensors;
//  3. DequantizeLinear and its kin: their integer weights are what a quantized model is about;
//  4. operators without a kernel, and nodes that fail: the model keeps its run-time error.
#include <algorithm>
#include <array>

#include "hone/exec/evaluate.h"
#include "hone/support/error.h"
#include "passes/rules.h"

namespace hone::passes {
namespace {

constexpr std::array<std::string_view, 12> kNeverFolded = {"Constant",
                                                           "DequantizeLinear",
                                                           "QuantizeLinear",
                                                           "DynamicQuantizeLinear",
                                                           "RandomNormal",
                                                           "RandomNormalLike",
                                                           "RandomUniform",
                                                           "RandomUniformLike",
                                                           "Multinomial",
                                                           "Bernoulli",
                                                           "If",
                                                           "Loop"};

// Larger inputs are not read for folding what is no smaller: a transposed or cast 400 MB weight stays a node until a
// pass defers it.
constexpr std::uint64_t kInputLimit = 64u << 20;

// The result from what is known of its elements, for integer tensors.
std::optional<ir::Tensor> from_elements(const ir::Value& value, const shapes::Inference& shapes) {
  const ir::ElementType type = value.element_type();
  if (type != ir::ElementType::int64 && type != ir::ElementType::int32) return std::nullopt;
  if (!value.shape()) return std::nullopt;
  const auto dims = ir::static_dims(*value.shape());
  const auto elements = shapes.known_ints(value);
  if (!dims || !elements) return std::nullopt;
  if (type == ir::ElementType::int64) return ir::Tensor::of<std::int64_t>(*dims, *elements);
  std::vector<std::int32_t> narrow;
  for (const std::int64_t element : *elements) {
    if (element != static_cast<std::int32_t>(element)) return std::nullopt;
    narrow.push_back(static_cast<std::int32_t>(element));
  }
  return ir::Tensor::of<std::int32_t>(*dims, narrow);
}

std::uint64_t text_size(const ir::Tensor& tensor) {
  std::uint64_t bytes = 0;
  if (tensor.is_string() && tensor.string_values()) {
    for (const std::string& text : *tensor.string_values()) bytes += text.size();
  }
  return bytes;
}

bool only_output_in_use(const ir::Node& node) {
  for (std::size_t i = 1; i < node.output_count(); ++i) {
    if (node.output(i) && node.output(i)->has_uses()) return false;
  }
  return node.output(0) != nullptr;
}

}  // namespace

Status fold_constants(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (std::find(kNeverFolded.begin(), kNeverFolded.end(), node.op_type()) != kNeverFolded.end()) {
    return rewriter.decline(node, "operator is never folded");
  }
  if (node.output_count() == 0 || node.has_subgraphs()) return rewriter.decline(node, "has subgraphs or no output");
  if (only_output_in_use(node)) {
    if (auto known = from_elements(*node.output(0), rewriter.shapes())) return rewriter.fold(node, {std::move(*known)});
  }
  std::vector<std::optional<ir::Datum>> inputs;
  std::uint64_t input_bytes = 0, text_bytes = 0, freed = 0;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const ir::Value* value = node.input(i);
    if (!value) {
      inputs.emplace_back();
      continue;
    }
    const ir::Tensor* tensor = ir::constant(value);
    if (!tensor) return rewriter.decline(node, "inputs are not all constant");
    input_bytes += tensor->byte_size();
    text_bytes += text_size(*tensor);
    if (value->only_use()) freed += tensor->byte_size();
    inputs.emplace_back(*tensor);
  }
  for (const ir::Attribute& attribute : node.attributes()) {
    if (!attribute.reference.empty()) return rewriter.decline(node, "an attribute is a function's parameter");
  }
  // The limit on results counts elements; what is made of long strings is longer still.
  if (text_bytes > context.options.fold_limit) return rewriter.decline(node, "texts are long");
  if (input_bytes > kInputLimit) return rewriter.decline(node, "inputs are large");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i]) inputs[i] = ir::Datum(inputs[i]->tensor()->loaded());
  }

  exec::EvaluateOptions options;
  options.max_output_bytes = std::max(context.options.fold_limit, freed);
  std::vector<ir::Datum> outputs;
  try {
    outputs = exec::evaluate(node, rewriter.model(), inputs, options);
  } catch (const Error& error) {
    switch (error.kind()) {
      case ErrorKind::unsupported:
        return rewriter.decline(node, "no kernel");
      case ErrorKind::resource_limit:
        return rewriter.decline(node, "result is larger than the folding limit");
      case ErrorKind::bad_input:
        return rewriter.decline(node, "fails when it is run");
      default:
        throw;
    }
  }
  std::vector<ir::Tensor> tensors;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    const ir::Value* output = node.output(i);
    const ir::Tensor* tensor = i < outputs.size() ? outputs[i].tensor() : nullptr;
    if (output && output->has_uses() && !tensor) return rewriter.decline(node, "an output is no tensor");
    tensors.push_back(tensor ? *tensor : ir::Tensor());
  }
  return rewriter.fold(node, tensors);
}

}  // namespace hone::passes
