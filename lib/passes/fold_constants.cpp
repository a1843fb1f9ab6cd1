// fold-constants: a node whose inputs are all constant becomes its result; so does one whose inputs are computed from
// constants alone by a few nodes that are too large to fold by themselves (a table of positions that a small network made); and
// a small integer result whose elements shape arithmetic knows, even where its inputs are not constant (Shape of a value with
// a static shape). Kernels are the reference ones of this process: the same bytes on every machine and thread count.
//
// Left alone:
//  1. results larger than fold_limit that would make the file grow (ConstantOfShape [1024,1024]);
//  2. nodes that draw random numbers, have subgraphs, or have outputs that are not tensors;
//  3. DequantizeLinear and its kin: their integer weights are what a quantized model is about;
//  4. operators without a kernel, and nodes that fail: the model keeps its run-time error.
#include <algorithm>
#include <array>
#include <unordered_set>

#include "hone/exec/evaluate.h"
#include "hone/support/error.h"
#include "passes/rules.h"
#include "passes/values.h"

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

// Of constants. Larger ones are not read for folding what is no smaller: a transposed or cast 400 MB weight stays a node until
// a pass defers it.
constexpr std::uint64_t kMostBytes = 64u << 20;
// Of what is computed again for each result that it leads to: nodes, bytes of a result between, operations in all.
constexpr int kMostNodes = 8;
constexpr std::uint64_t kMostBetween = 4u << 20;
constexpr double kMostWork = 2e9;

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

bool is_folded(const ir::Node& node) {
  return std::find(kNeverFolded.begin(), kNeverFolded.end(), node.op_type()) == kNeverFolded.end() &&
         node.output_count() > 0 && !node.has_subgraphs();
}

bool has_parameters(const ir::Node& node) {
  return std::any_of(node.attributes().begin(), node.attributes().end(),
                     [](const ir::Attribute& attribute) { return !attribute.reference.empty(); });
}

// Whether all inputs are constants or come from `unfolded` nodes.
bool has_constant_inputs(const ir::Node& node, const std::unordered_set<const ir::Node*>& unfolded) {
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const ir::Value* value = node.input(i);
    if (!value || ir::constant(value)) continue;
    if (unfolded.empty() || !unfolded.contains(value->producer())) return false;
  }
  return true;
}

std::optional<std::int64_t> known_count(const ir::Value* value) {
  const auto count = value && value->shape() ? ir::element_count(*value->shape()).number() : std::nullopt;
  return count && *count >= 0 ? count : std::nullopt;
}

// Whether what `node` gives may be small enough.
bool may_be_small(const ir::Node& node, std::uint64_t limit) {
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    const auto count = known_count(node.output(i));
    if (!count) continue;
    const auto bytes = ir::byte_size(node.output(i)->element_type(), static_cast<std::uint64_t>(*count));
    if (!bytes || *bytes > limit) return false;
  }
  return true;
}

// Operations of a node between constants and a result, of the few that tables are made by; nullopt for others.
std::optional<double> work_of(const ir::Node& node) {
  const auto count = node.output_count() == 1 ? known_count(node.output(0)) : std::nullopt;
  if (!count || !node.domain().empty()) return std::nullopt;
  const auto results = static_cast<double>(*count);
  if (node.is("MatMul") || node.is("Gemm")) {
    const ir::Value* left = node.input(0);
    if (!left || !left->shape() || left->shape()->empty()) return std::nullopt;
    const auto depth = node.int_or("transA", 0) != 0 ? left->shape()->front().number() : left->shape()->back().number();
    return depth ? std::optional(results * static_cast<double>(*depth)) : std::nullopt;
  }
  const bool simple = is_elementwise(node) || moves_elements(node) || node.is("ConstantOfShape") || node.is("Concat") ||
                      node.op_type().starts_with("Reduce");
  return simple ? std::optional(results) : std::nullopt;
}

// Whether `node` may be computed again for each result that it leads to.
bool may_be_between(const ir::Node& node) {
  return is_folded(node) && !has_parameters(node) && may_be_small(node, kMostBetween);
}

// The constants that a result is computed from.
struct Sources {
  int nodes = 0;
  std::uint64_t bytes = 0, texts = 0;
  std::uint64_t freed = 0;  // of `bytes`, if the last node goes
  double work = 0;          // of all nodes, where there is more than one

  // False where these are no constants, or too much.
  bool add(const ir::Node& node, bool last = true) {
    if (++nodes > kMostNodes) return false;
    bool computed = false;
    for (std::size_t i = 0; i < node.input_count(); ++i) {
      const ir::Value* value = node.input(i);
      if (!value) continue;
      if (const ir::Tensor* tensor = ir::constant(value)) {
        bytes += tensor->byte_size();
        texts += text_size(*tensor);
        if (last && value->only_use()) freed += tensor->byte_size();
      } else if (!value->producer() || !may_be_between(*value->producer()) || !add(*value->producer(), false)) {
        return false;
      } else {
        computed = true;
      }
    }
    if (!last || computed) {
      const auto own = work_of(node);
      if (!own) return false;
      work += *own;
    }
    return bytes <= kMostBytes;
  }
};

std::vector<ir::Datum> evaluate(const ir::Node& node, const ir::Model& model, std::uint64_t limit) {
  std::vector<std::optional<ir::Datum>> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    const ir::Value* value = node.input(i);
    if (!value) {
      inputs.emplace_back();
    } else if (const ir::Tensor* tensor = ir::constant(value)) {
      inputs.emplace_back(tensor->loaded());
    } else {
      inputs.emplace_back(evaluate(*value->producer(), model, kMostBetween).at(value->output_index()));
    }
  }
  exec::EvaluateOptions options;
  options.max_output_bytes = limit;
  return exec::evaluate(node, model, inputs, options);
}

}  // namespace

Status fold_constants(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  if (!is_folded(node)) return rewriter.decline(node, "operator is never folded");
  if (only_output_in_use(node)) {
    if (auto known = from_elements(*node.output(0), rewriter.shapes())) return rewriter.fold(node, {std::move(*known)});
  }
  if (!has_constant_inputs(node, context.unfolded)) return rewriter.decline(node, "inputs are not all constant");
  if (has_parameters(node)) return rewriter.decline(node, "an attribute is a function's parameter");
  Sources sources;
  if (!sources.add(node)) return rewriter.decline(node, "inputs are large, or not constant after all");
  // The limit on results counts elements; what is made of long strings is longer still.
  if (sources.texts > context.options.fold_limit) return rewriter.decline(node, "texts are long");
  const std::uint64_t limit = std::max(context.options.fold_limit, sources.freed);
  if (!may_be_small(node, limit)) {
    context.unfolded.insert(&node);
    return rewriter.decline(node, "result is larger than the folding limit");
  }
  if (sources.work > 0 && context.unfolded_work + sources.work > kMostWork)
    return rewriter.decline(node, "takes too much to compute");
  context.unfolded_work += sources.work;
  std::vector<ir::Datum> outputs;
  try {
    outputs = evaluate(node, rewriter.model(), limit);
  } catch (const Error& error) {
    switch (error.kind()) {
      case ErrorKind::unsupported:
        return rewriter.decline(node, "no kernel");
      case ErrorKind::resource_limit:
        context.unfolded.insert(&node);
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
