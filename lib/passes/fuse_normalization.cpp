// fuse-normalization: a spelled-out normalization over the last dimensions becomes LayerNormalization (opset 17) or
// RMSNormalization (23), with its scale and bias:
//   d = x - mean(x);  d / sqrt(mean(d^2) + epsilon) * scale + bias
//   x / sqrt(mean(x^2) + epsilon) * scale
// Division, or multiplication by Reciprocal; Pow 2 or Mul for the square.
//
// Left alone: axes that are not the last ones; a scale that is no constant of their shape; values in between that anybody
// else sees; integer types; epsilon that is not constant.
#include <algorithm>

#include "hone/rewrite/match.h"
#include "passes/rules.h"
#include "passes/values.h"

namespace hone::passes {
namespace {

using rewrite::Match;
using rewrite::no;

struct Statistics {
  ir::Value* data;  // what is divided: x, or x - mean
  std::int64_t axis;
  float epsilon;
};

// The axis, where `mean` is the mean over the last dimensions, which it keeps.
std::optional<std::int64_t> mean_axis(const ir::Node& mean) {
  const auto axes = reduced_axes(mean);
  if (!axes || axes->empty() || mean.int_or("keepdims", 1) == 0) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(mean.input(0)->shape()->size());
  for (std::size_t i = 0; i < axes->size(); ++i) {
    if ((*axes)[axes->size() - 1 - i] != rank - 1 - static_cast<std::int64_t>(i)) return std::nullopt;
  }
  return axes->front();
}

// sqrt(mean(data^2) + epsilon)
std::optional<Statistics> deviation(const ir::Value* value, const ir::Value* data) {
  const ir::Node* sqrt = rewrite::sole_producer(value, "Sqrt");
  const ir::Node* add = sqrt ? rewrite::sole_producer(sqrt->input(0), "Add") : nullptr;
  if (!add) return std::nullopt;
  for (std::size_t i = 0; i < 2; ++i) {
    const auto epsilon = splat(add->input(i));
    const ir::Node* mean = rewrite::sole_producer(add->input(1 - i), "ReduceMean");
    if (!epsilon || *epsilon < 0 || !mean) continue;
    const auto axis = mean_axis(*mean);
    const ir::Node* square = mean->input(0)->only_use() ? mean->input(0)->producer() : nullptr;
    if (!axis || !square) continue;
    const bool squares = (square->is("Pow") && square->input(0) == data && is_splat(square->input(1), 2)) ||
                         (square->is("Mul") && square->input(0) == data && square->input(1) == data);
    if (squares) return Statistics{const_cast<ir::Value*>(data), *axis, static_cast<float>(*epsilon)};
  }
  return std::nullopt;
}

Match<Statistics> match(const ir::Node& node) {
  if (node.is("Div")) {
    const auto found = deviation(node.input(1), node.input(0));
    return found ? Match<Statistics>(*found) : no("no division by a deviation");
  }
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* reciprocal = rewrite::sole_producer(node.input(i), "Reciprocal");
    if (!reciprocal) {
      const ir::Node* div = rewrite::sole_producer(node.input(i), "Div");
      if (!div || !is_splat(div->input(0), 1)) continue;
      if (const auto found = deviation(div->input(1), node.input(1 - i))) return *found;
      continue;
    }
    if (const auto found = deviation(reciprocal->input(0), node.input(1 - i))) return *found;
  }
  return no("no division by a deviation");
}

bool has_shape(const ir::Value* value, const ir::Shape& shape) {
  return value && ir::constant(value) && value->shape() && provably_same_shape(*value->shape(), shape);
}

}  // namespace

Status fuse_normalization(ir::Node& node, PassContext& context) {
  rewrite::Rewriter& rewriter = context.rewriter;
  const std::int64_t opset = rewriter.opset(node);
  if (opset < 17) return rewriter.decline(node, "opset before 17");
  const auto found = match(node);
  if (!found) return rewriter.decline(node, found.reason());
  const ir::ElementType type = node.output(0)->element_type();
  if (!ir::is_float(type) || !found->data->shape()) return rewriter.decline(node, "type or shape is not known");
  // Centred by its own mean over the same axes?
  ir::Value* x = nullptr;
  if (const ir::Node* sub = found->data->producer(); sub && sub->is("Sub")) {
    const ir::Node* mean = rewrite::producer(sub->input(1), "ReduceMean");
    const auto axis = mean ? mean_axis(*mean) : std::nullopt;
    if (axis && *axis == found->axis && mean->input(0) == sub->input(0)) x = sub->input(0);
  }
  if (!x && opset < 23) return rewriter.decline(node, "no mean is subtracted, and RMSNormalization is of opset 23");
  const ir::Shape& shape = *found->data->shape();
  const ir::Shape tail(shape.begin() + static_cast<std::ptrdiff_t>(found->axis), shape.end());
  const auto dims = ir::static_dims(tail);
  if (!dims) return rewriter.decline(node, "size of the normalized dimensions is no number");

  ir::Node* last = &node;
  ir::Value* scale = nullptr;
  ir::Value* bias = nullptr;
  if (ir::Node* mul = rewrite::sole_user(last->output(0), "Mul")) {
    ir::Value* other = rewrite::other_input(*mul, last->output(0));
    if (has_shape(other, tail) && &mul->graph() == &node.graph()) {
      scale = other;
      last = mul;
    }
  }
  if (scale && x) {
    if (ir::Node* add = rewrite::sole_user(last->output(0), "Add")) {
      ir::Value* other = rewrite::other_input(*add, last->output(0));
      if (has_shape(other, tail) && &add->graph() == &node.graph()) {
        bias = other;
        last = add;
      }
    }
  }
  if (!scale) {
    if (type != ir::ElementType::float32) return rewriter.decline(node, "no scale");
    std::int64_t count = 1;
    for (const std::int64_t dim : *dims) count *= dim;
    scale = &rewriter.constant(
        node, ir::Tensor::of<float>(*dims, std::vector<float>(static_cast<std::size_t>(count), 1.0f)), "scale");
  }
  std::vector<ir::Value*> inputs{x ? x : found->data, scale};
  if (bias) inputs.push_back(bias);
  ir::Node& fused = rewriter.add(
      x ? "LayerNormalization" : "RMSNormalization", inputs,
      rewrite::attributes("axis", found->axis - static_cast<std::int64_t>(shape.size()), "epsilon", found->epsilon),
      *last, &node);
  return rewriter.replace(*last, *fused.output(0));
}

}  // namespace hone::passes
