// Patterns of elementwise operators, layers, quantization; those that move elements are in movement.cpp, subgraphs and
// functions in control.cpp.
#include "patterns.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "hone/support/error.h"
#include "more_patterns.h"

namespace hone::fuzz {
namespace {

using ir::Dims;
using ir::ElementType;

// Dimensions that broadcast with those of x, in the ways that passes have to tell apart.
Dims broadcastable(Builder& b, const Item& x) {
  Dims dims = x.dims();
  const double form = b.random.uniform();
  if (form < 0.2) return {};
  if (form < 0.3) return {1};
  if (form < 0.4) return dims;
  if (form < 0.6 && dims.size() >= 2) {  // per channel
    for (std::size_t i = 0; i < dims.size(); ++i) {
      if (i != 1) dims[i] = 1;
    }
    if (b.chance(0.5)) dims.erase(dims.begin());
    return dims;
  }
  if (form < 0.7 && !dims.empty()) return {dims.back()};
  if (form < 0.8) {
    for (auto& dim : dims) {
      if (b.chance(0.4)) dim = 1;
    }
    return dims;
  }
  if (form < 0.9) {  // enlarges the other
    for (auto& dim : dims) {
      if (dim == 1 && b.chance(0.7)) dim = b.between(2, 3);
    }
    if (b.chance(0.3)) dims.insert(dims.begin(), b.between(1, 2));
    return dims;
  }
  const std::size_t dropped = static_cast<std::size_t>(b.below(static_cast<std::int64_t>(dims.size()) + 1));
  return {dims.begin() + static_cast<std::ptrdiff_t>(dropped), dims.end()};
}

void unary(Builder& b) {
  static const std::vector<std::string> ops = {"Relu",       "Sigmoid",     "Tanh",     "Neg",      "Abs",  "Erf",
                                               "LeakyRelu",  "Elu",         "Softplus", "Identity", "Relu", "Neg",
                                               "Identity",   "HardSigmoid", "Selu",     "Softsign", "Exp",  "Sqrt",
                                               "Reciprocal", "Log",         "Sin",      "Ceil"};
  b.emit(b.one_of(ops), {b.pick()});
}

void binary_constant(Builder& b) {
  const Item x = b.pick();
  const Item c = b.constant(b.floats(broadcastable(b, x)));
  std::string op = b.one_of<std::string>({"Add", "Sub", "Mul", "Div", "Add", "Mul", "Pow", "Max", "Min", "PRelu"});
  if (op == "PRelu" || op == "Pow" || b.chance(0.6)) {
    b.emit(op, {x, c});
  } else {
    b.emit(op, {c, x});
  }
}

void neutral(Builder& b) {
  const Item x = b.pick();
  const std::string op = b.one_of<std::string>({"Add", "Sub", "Mul", "Div", "Pow"});
  const float value =
      op == "Add" || op == "Sub" ? b.one_of<float>({0, -0.0F, 0}) : b.one_of<float>({1, 1, 0, -1, 1.00001F});
  const Item c = b.constant(b.number(value, broadcastable(b, x)));
  b.either(
      b.chance(0.7),
      [&] {
        return b.emit(op, {x, c});
      },
      [&] {
        return b.emit(op, {c, x});
      });
}

void binary(Builder& b) {
  const Item x = b.pick();
  const auto y =
      b.find([&](const Item& item) { return item.type() == x.type() && item.value != x.value && item.rank() <= 4; });
  b.emit(b.one_of<std::string>({"Add", "Sub", "Mul", "Max", "Min", "Add"}), {x, y ? *y : x});
}

void variadic(Builder& b) {
  const Item x = b.pick();
  std::vector<Item> inputs;
  for (std::int64_t i = b.between(1, 3); i > 0; --i)
    inputs.push_back(b.chance(0.5) ? x : b.constant(b.floats(broadcastable(b, x))));
  b.emit(b.one_of<std::string>({"Sum", "Max", "Min", "Mean"}), inputs);
}

void twice(Builder& b) {  // the same node again, or nearly
  std::vector<ir::Node*> nodes;
  for (ir::Node& node : b.graph().nodes()) {
    if (!node.has_subgraphs() && node.output_count() == 1 && node.output(0) && node.domain().empty() &&
        !node.op_type().starts_with("Random") && !(node.is("Dropout") && node.input(2)))
      nodes.push_back(&node);
  }
  if (nodes.empty()) throw Rejected{};
  ir::Node& node = *b.one_of(nodes);
  std::vector<Item> inputs;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (!node.input(i)) {
      inputs.push_back({});
      continue;
    }
    // What the inputs are is known for those among the items only.
    std::optional<Item> found = b.find([&](const Item& item) { return item.value == node.input(i); });
    if (!found) {
      const ir::Tensor* constant = ir::constant(node.input(i));
      if (!constant) throw Rejected{};
      found = b.chance(0.5) ? Item{node.input(i), *constant} : b.plain_constant(*constant);
    }
    inputs.push_back(*found);
  }
  std::vector<Named> attributes;
  for (const ir::Attribute& attribute : node.attributes()) {
    if (const auto* integer = attribute.get<std::int64_t>()) {
      attributes.emplace_back(attribute.name, b.chance(0.9) ? *integer : 1 - *integer);
    } else if (const auto* integers = attribute.get<std::vector<std::int64_t>>()) {
      attributes.emplace_back(attribute.name, *integers);
    } else if (const auto* number = attribute.get<float>()) {
      attributes.emplace_back(attribute.name, *number);
    } else if (const auto* string = attribute.get<std::string>()) {
      attributes.emplace_back(attribute.name, *string);
    } else if (const auto* tensor = attribute.get<ir::Tensor>()) {
      attributes.emplace_back(attribute.name, *tensor);
    } else {
      throw Rejected{};
    }
  }
  b.emit(node.op_type(), inputs, std::move(attributes));
}

void clips(Builder& b) {
  Item x = b.pick();
  static const std::vector<float> bounds = {0, 6, 1, -1, 3, -2, -0.0F, 0.5F};
  for (std::int64_t i = b.between(1, 3); i > 0; --i) {
    switch (b.below(5)) {
      case 0:
        x = b.emit("Relu", {x});
        break;
      case 1:
        x = b.emit(b.chance(0.5) ? "Max" : "Min",
                   {x, b.constant(b.number(b.one_of(bounds), b.chance(0.3) ? Dims{1} : Dims{}))});
        break;
      default:
        x = b.clip(x, b.chance(0.8) ? std::optional(b.one_of(bounds)) : std::nullopt,
                   b.chance(0.8) ? std::optional(b.one_of(bounds)) : std::nullopt);
    }
  }
}

// A convolution of x, maybe transposed.
Item convolution(Builder& b, const Item& x, bool transposed = false) {
  if (x.rank() < 3 || x.dim(1) == 0) throw Rejected{};
  const std::int64_t channels = x.dim(1);
  const std::int64_t group = b.chance(0.2) ? channels : channels % 2 == 0 && b.chance(0.15) ? 2 : 1;
  const std::int64_t out = group * b.between(1, 3);
  Dims weight = transposed ? Dims{channels, out / group} : Dims{out, channels / group};
  std::vector<Named> attributes;
  Ints kernel;
  for (std::size_t i = 2; i < x.rank(); ++i) kernel.push_back(b.between(1, std::min<std::int64_t>(3, x.dim(i) + 1)));
  weight.insert(weight.end(), kernel.begin(), kernel.end());
  if (group != 1) attributes.emplace_back("group", group);
  if (b.chance(0.5)) attributes.emplace_back("kernel_shape", kernel);
  const double padding = b.random.uniform();
  if (padding < 0.3) {
    Ints pads;
    for (std::size_t i = 0; i < 2 * kernel.size(); ++i) pads.push_back(b.between(0, 2));
    attributes.emplace_back("pads", pads);
  } else if (padding < 0.45) {
    attributes.emplace_back("auto_pad", b.one_of<std::string>({"SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"}));
  }
  if (b.chance(0.25)) attributes.emplace_back("strides", Ints(kernel.size(), 2));
  if (b.chance(0.15)) attributes.emplace_back("dilations", Ints(kernel.size(), 2));
  std::vector<Item> inputs{x, b.constant(b.floats(weight))};
  if (b.chance(0.4)) inputs.push_back(b.constant(b.floats({out})));
  return b.emit(transposed ? "ConvTranspose" : "Conv", inputs, std::move(attributes));
}

Item image(Builder& b) { return b.pick(static_cast<int>(b.one_of<std::int64_t>({4, 4, 4, 3, 5}))); }

void conv_chain(Builder& b) {
  Item x = image(b);
  if (b.chance(0.25)) x = b.batch_normalization(x);
  if (b.chance(0.25)) {
    Ints pads(2 * x.rank());
    const bool channels = b.chance(0.1);
    for (std::size_t i = 0; i < pads.size(); ++i) {
      const bool spatial = i % x.rank() >= 2;
      if (spatial ? b.chance(0.6) : channels && b.chance(0.3)) pads[i] = b.one_of<std::int64_t>({1, 1, 2, 0, -1});
    }
    x = b.pad(x, pads, b.one_of<std::string>({"constant", "constant", "constant", "reflect", "edge"}),
              b.one_of<float>({0, 0, 0, 1.5F, -0.0F}));
  }
  x = convolution(b, x, b.chance(0.25));
  for (std::int64_t i = b.between(0, 3); i > 0; --i) {
    switch (b.below(5)) {
      case 0:
        x = b.batch_normalization(x);
        break;
      case 1:
        x = b.emit("Relu", {x});
        break;
      default: {
        const Item c = b.constant(b.floats(broadcastable(b, x)));
        const std::string op = b.one_of<std::string>({"Add", "Mul", "Sub", "Div", "Add", "Mul"});
        x = b.either(
            b.chance(0.8),
            [&] {
              return b.emit(op, {x, c});
            },
            [&] {
              return b.emit(op, {c, x});
            });
      }
    }
  }
}

void shared_conv(Builder& b) {  // one weight, two convolutions; what is fused into one must not reach the other
  const Item x = image(b);
  if (x.rank() < 3) throw Rejected{};
  Dims dims{b.between(1, 3), x.dim(1)};
  for (std::size_t i = 2; i < x.rank(); ++i) dims.push_back(1);
  const Item w = b.constant(b.floats(dims));
  const Item one = b.emit("Conv", {x, w});
  const Item two = b.emit("Conv", {b.either(
                                       b.chance(0.5), [&] { return x; }, [&] { return b.emit("Relu", {x}); }),
                                   w});
  b.batch_normalization(one);
  b.emit("Mul", {two, b.constant(b.floats({dims[0], 1, 1}))});
}

void pool(Builder& b) {
  Item x = image(b);
  if (b.chance(0.5)) {
    Ints pads(2 * x.rank());
    for (std::size_t i = 0; i < pads.size(); ++i) {
      if (i % x.rank() >= 2 && b.chance(0.7)) pads[i] = b.one_of<std::int64_t>({1, 1, 2, -1});
    }
    x = b.pad(x, pads, "constant", b.one_of<float>({0, 0, 0, -1e30F, 2}));
  }
  const std::string op =
      b.one_of<std::string>({"AveragePool", "MaxPool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"});
  std::vector<Named> attributes;
  if (!op.starts_with("Global")) {
    Ints kernel, pads;
    for (std::size_t i = 2; i < x.rank(); ++i) kernel.push_back(b.between(1, std::min<std::int64_t>(3, x.dim(i))));
    attributes.emplace_back("kernel_shape", kernel);
    if (b.chance(0.3)) {
      for (std::size_t i = 0; i < 2 * kernel.size(); ++i) pads.push_back(b.below(kernel[i % kernel.size()]));
      attributes.emplace_back("pads", pads);
    }
    if (b.chance(0.3)) attributes.emplace_back("strides", Ints(kernel.size(), 2));
    if (op == "AveragePool" && b.chance(0.5)) attributes.emplace_back("count_include_pad", std::int64_t{1});
    if (op != "LpPool" && b.opset >= 10 && b.chance(0.2)) attributes.emplace_back("ceil_mode", std::int64_t{1});
  }
  b.emit(op, {x}, std::move(attributes));
}

void matmul_chain(Builder& b) {
  Item x = b.pick(static_cast<int>(b.one_of<std::int64_t>({2, 2, 2, 3, 4})));
  if (b.chance(0.2)) x = b.emit("Mul", {x, b.constant(b.floats(broadcastable(b, x)))});
  if (b.chance(0.2)) x = b.batch_normalization(x);
  if (b.chance(0.2)) x = b.transpose(x, b.permutation(x.rank()));
  const std::int64_t columns = b.between(1, 4);
  Dims weight{x.dims().back(), columns};
  if (b.chance(0.15)) weight.insert(weight.begin(), b.between(1, 2));
  const auto other = b.find([&](const Item& item) {
    return item.is_float() && item.rank() >= 2 && item.dim(item.rank() - 2) == x.dims().back();
  });
  x = b.emit("MatMul", {x, other && b.chance(0.2) ? *other : b.constant(b.floats(weight))});
  for (std::int64_t i = b.between(0, 2); i > 0; --i) {
    if (x.rank() >= 2 && b.chance(0.15)) {
      x = b.batch_normalization(x);
      continue;
    }
    const Item c = b.constant(b.floats(broadcastable(b, x)));
    x = b.either(
        b.chance(0.8),
        [&] {
          return b.emit(b.one_of<std::string>({"Add", "Mul", "Div", "Sub"}), {x, c});
        },
        [&] {
          return b.emit(b.one_of<std::string>({"Add", "Mul"}), {c, x});
        });
  }
}

void gemm(Builder& b) {
  const Item x = b.pick(2);
  std::vector<Named> attributes;
  const bool ta = b.chance(0.2), tb = b.chance(0.4);
  if (ta) attributes.emplace_back("transA", std::int64_t{1});
  if (tb) attributes.emplace_back("transB", std::int64_t{1});
  if (b.chance(0.25)) attributes.emplace_back("alpha", b.one_of<float>({2, 0.5F, 0}));
  if (b.chance(0.25)) attributes.emplace_back("beta", b.one_of<float>({3, 0, 0.5F}));
  const std::int64_t inner = x.dim(ta ? 0 : 1), rows = x.dim(ta ? 1 : 0), columns = b.between(1, 4);
  std::vector<Item> inputs{x, b.constant(b.floats(tb ? Dims{columns, inner} : Dims{inner, columns}))};
  if (b.chance(0.6) || b.opset < 11) {
    inputs.push_back(b.constant(
        b.floats(b.one_of<Dims>({{columns}, {columns}, {1, columns}, {rows, 1}, {}, {1}, {rows, columns}}))));
  }
  Item y = b.emit("Gemm", inputs, std::move(attributes));
  for (std::int64_t i = b.between(0, 2); i > 0; --i) {
    const Item c = b.constant(b.floats(broadcastable(b, y)));
    y = b.either(
        b.chance(0.25), [&] { return b.batch_normalization(y); },
        [&] {
          return b.emit(b.one_of<std::string>({"Add", "Mul", "Div", "Sub"}), {y, c});
        });
    if (y.rank() != 2) break;
  }
}

void where(Builder& b) {
  const Item x = b.pick();
  const Item y = b.chance(0.5) ? b.constant(b.floats(broadcastable(b, x))) : b.pick();
  const Item condition = b.either(
      b.chance(0.7), [&] { return b.constant(b.tensor(ElementType::boolean, broadcastable(b, x))); },
      [&] {
        return b.emit("Less", {x, b.constant(b.number(0))});
      });
  b.either(
      b.chance(0.5),
      [&] {
        return b.emit("Where", {condition, x, y});
      },
      [&] {
        return b.emit("Where", {condition, y, x});
      });
}

void casts(Builder& b) {
  Item x = b.chance(0.7)
               ? b.pick()
               : b.pick(-1, b.one_of<ElementType>({ElementType::int64, ElementType::boolean, ElementType::int32}));
  const ElementType first = x.type();
  for (std::int64_t i = b.between(1, 3); i > 0; --i) {
    x = b.cast(x, b.one_of<ElementType>({ElementType::float32, ElementType::float64, ElementType::float16,
                                         ElementType::int64, ElementType::int32, ElementType::boolean, first,
                                         ElementType::int8, ElementType::uint8}));
  }
  if (!x.is_float()) b.cast(x, ElementType::float32);
}

void dropout(Builder& b) {
  const Item x = b.pick();
  if (b.opset < 12) {
    b.emit_all("Dropout", {x}, {{"ratio", b.one_of<float>({0, 0.5F})}},
               static_cast<std::size_t>(b.between(1, b.opset >= 10 ? 2 : 1)));
    return;
  }
  std::vector<Item> inputs{x};
  if (b.chance(0.7)) inputs.push_back(b.constant(b.number(b.one_of<float>({0, 0.5F}))));
  if (inputs.size() == 2 && b.chance(0.5)) inputs.push_back(b.constant(ir::Tensor::scalar<bool>(false)));
  b.emit_all("Dropout", inputs, {}, static_cast<std::size_t>(b.between(1, 2)));
}

// Are two draws of random numbers two? 1 where they differ anywhere, which they always do.
void draws(Builder& b) {
  const Item x = b.pick();
  if (x.sample.element_count() < 4 || b.depth() > 1 || b.opset < 13) throw Rejected{};
  std::vector<Named> attributes;
  const bool seeded = b.chance(0.2);
  Item one, two;
  if (b.chance(0.3)) {  // a mask of training mode drops something of 64, but for a chance of 2^-64
    const Item ones = b.constant(b.number(1, {64}));
    one = b.emit("Dropout", {ones, b.constant(b.number(0.5F)), b.plain_constant(ir::Tensor::scalar<bool>(true))});
    two = ones;
  } else {
    const std::string op = b.one_of<std::string>({"RandomNormalLike", "RandomUniformLike"});
    one = b.emit(op, {x}, seeded ? std::vector<Named>{{"seed", 1.0F}} : std::vector<Named>{});
    two = b.emit(op, {x}, seeded ? std::vector<Named>{{"seed", 2.0F}} : std::vector<Named>{});
  }
  const Item same = b.emit("Equal", {one, two});
  const Item equal = b.cast(same, ElementType::int64);
  b.emit("ReduceMin", {equal}, {{"keepdims", std::int64_t{0}}});
  for (const Item& each : {one, two, same, equal}) b.hide(each);
}

void normalization(Builder& b) {
  const Item x = b.pick(static_cast<int>(b.between(2, 3)));
  const auto last = static_cast<std::int64_t>(x.rank()) - 1;
  const std::int64_t axis = b.chance(0.85) ? (b.chance(0.5) ? -1 : last) : 0;
  const bool centered = b.chance(0.6);
  const Item d = b.either(
      centered,
      [&] {
        return b.emit("Sub", {x, b.reduce("ReduceMean", x, {axis}, b.chance(0.95))});
      },
      [&] { return x; });
  const Item square = b.either(
      b.chance(0.5),
      [&] {
        return b.emit("Mul", {d, d});
      },
      [&] {
        return b.emit("Pow", {d, b.constant(b.number(b.chance(0.9) ? 2 : 3))});
      });
  const Item mean = b.reduce("ReduceMean", square, {axis}, b.chance(0.95));
  const Item epsilon = b.constant(b.number(b.one_of<float>({1e-5F, 1e-2F, 0.5F}), b.chance(0.8) ? Dims{} : Dims{1}));
  const Item root = b.emit("Sqrt", {b.emit("Add", {mean, epsilon})});
  Item y = b.either(
      b.chance(0.6),
      [&] {
        return b.emit("Div", {d, root});
      },
      [&] {
        return b.emit("Mul", {d, b.emit("Reciprocal", {root})});
      });
  const Dims width = b.chance(0.8) ? Dims{x.dims().back()} : broadcastable(b, x);
  if (b.chance(0.7)) y = b.emit("Mul", {y, b.constant(b.floats(width))});
  if (b.chance(0.6)) b.emit("Add", {y, b.constant(b.floats(b.chance(0.9) ? width : broadcastable(b, x)))});
}

void layer_operator(Builder& b) {
  const Item x = b.pick(static_cast<int>(b.between(2, 4)));
  switch (b.below(8)) {
    case 0:
      b.emit("Softmax", {x}, b.chance(0.5) ? std::vector<Named>{{"axis", b.between(-1, 1)}} : std::vector<Named>{});
      break;
    case 1:
      b.emit("LogSoftmax", {x}, {{"axis", b.between(-1, 1)}});
      break;
    case 2:
      b.emit("InstanceNormalization", {x, b.constant(b.floats({x.dim(1)})), b.constant(b.floats({x.dim(1)}))});
      break;
    case 3:
      b.batch_normalization(x);
      break;
    case 4:
      b.emit("LRN", {x}, {{"size", std::int64_t{3}}});
      break;
    case 5:
      if (b.opset < 17) throw Rejected{};
      b.emit("LayerNormalization", {x, b.constant(b.floats({x.dims().back()}))});
      break;
    case 6:
      b.emit("LpNormalization", {x}, {{"axis", b.between(-1, 1)}});
      break;
    default:
      b.emit(b.one_of<std::string>({"ArgMax", "Hardmax"}), {x}, {{"axis", b.between(-1, 1)}});
      break;
  }
}

void activation(Builder& b) {
  const Item x = b.pick();
  const auto scalar = [&](float value) {
    return b.constant(b.number(b.chance(0.95) ? value : value * 1.5F, b.chance(0.85) ? Dims{} : Dims{1}));
  };
  const auto times = [&](const Item& p, const Item& q) {
    return b.either(
        b.chance(0.5),
        [&] {
          return b.emit("Mul", {p, q});
        },
        [&] {
          return b.emit("Mul", {q, p});
        });
  };
  switch (b.below(6)) {
    case 0: {  // Gelu, by erf
      const Item inner = b.either(
          b.chance(0.5),
          [&] {
            return b.emit("Div", {x, scalar(1.41421356F)});
          },
          [&] {
            return b.emit("Mul", {x, scalar(0.70710678F)});
          });
      const Item one = b.emit("Add", {b.emit("Erf", {inner}), scalar(1)});
      b.chance(0.5) ? times(times(x, one), scalar(0.5F)) : times(times(x, scalar(0.5F)), one);
      break;
    }
    case 1: {  // Gelu, by tanh
      const Item cube = b.either(
          b.chance(0.5),
          [&] {
            return b.emit("Pow", {x, scalar(3)});
          },
          [&] { return times(times(x, x), x); });
      const Item inner = times(b.emit("Add", {x, times(cube, scalar(0.044715F))}), scalar(0.79788456F));
      const Item one = b.emit("Add", {b.emit("Tanh", {inner}), scalar(1)});
      b.chance(0.5) ? times(times(x, one), scalar(0.5F)) : times(times(x, scalar(0.5F)), one);
      break;
    }
    case 2:
      times(x, b.emit("HardSigmoid", {x},
                      b.chance(0.7) ? std::vector<Named>{{"alpha", 1.0F / 6}, {"beta", 0.5F}} : std::vector<Named>{}));
      break;
    case 3: {
      const Item c = b.clip(b.emit("Add", {x, scalar(3)}), 0.0F, 6.0F);
      b.either(
          b.chance(0.5),
          [&] {
            return b.emit("Div", {times(x, c), scalar(6)});
          },
          [&] {
            return times(x, b.emit("Div", {c, scalar(6)}));
          });
      break;
    }
    case 4:
      times(x, b.emit("Tanh", {b.emit("Softplus", {x})}));
      break;
    default:
      times(x, b.emit("Sigmoid", {b.chance(0.6) ? x : times(x, scalar(1.702F))}));
      break;
  }
}

void quantized(Builder& b) {
  if (b.opset < 13) throw Rejected{};
  Item x = b.pick(static_cast<int>(b.between(1, 4)));
  const bool per_axis = b.chance(0.3);
  const std::int64_t axis = b.below(static_cast<std::int64_t>(x.rank()));
  const Dims dims = per_axis ? Dims{x.dim(static_cast<std::size_t>(axis))} : Dims{};
  const auto parameters = [&]() -> std::pair<Item, Item> {
    ir::Tensor scale = ir::Tensor::allocate(ElementType::float32, dims);
    for (float& each : scale.mutable_data<float>()) each = b.one_of<float>({0.05F, 0.1F, 0.125F});
    return {b.constant(scale), b.constant(b.tensor(b.chance(0.6) ? ElementType::int8 : ElementType::uint8, dims))};
  };
  std::pair<Item, Item> step = parameters();
  std::vector<Named> attributes;
  if (per_axis) attributes.emplace_back("axis", axis);
  const auto pair = [&](const Item& value) {
    const Item q = b.emit("QuantizeLinear", {value, step.first, step.second}, attributes);
    return b.emit("DequantizeLinear", {q, step.first, step.second}, attributes);
  };
  if (b.chance(0.25)) {  // weights
    const Item w = b.constant(b.tensor(ElementType::int8, {x.dims().back(), b.between(1, 3)}));
    const Item real = b.emit("DequantizeLinear", {w, b.constant(b.number(0.1F))});
    b.emit("MatMul", {x, real});
    return;
  }
  x = pair(x);
  if (b.chance(0.3)) x = b.emit(b.one_of<std::string>({"Relu", "Identity"}), {x});
  if (b.chance(0.4)) step = parameters();
  if (b.chance(0.8)) pair(x);
}

void recurrent(Builder& b) {
  const Item x = b.pick(3);
  const std::string op = b.one_of<std::string>({"LSTM", "GRU", "RNN"});
  const std::int64_t gates = op == "LSTM" ? 4 : op == "GRU" ? 3 : 1, hidden = 2, directions = b.chance(0.3) ? 2 : 1;
  std::vector<Named> attributes{{"hidden_size", hidden}};
  if (directions == 2) attributes.emplace_back("direction", std::string("bidirectional"));
  std::vector<Item> inputs{x,
                           b.constant(b.floats({directions, gates * hidden, x.dim(2)})),
                           b.constant(b.floats({directions, gates * hidden, hidden})),
                           b.chance(0.5) ? b.constant(b.floats({directions, 2 * gates * hidden})) : Item{},
                           {}};
  for (int state = 0; state < (op == "LSTM" ? 2 : 1); ++state) {
    const Dims dims{directions, x.dim(1), hidden};
    inputs.push_back(b.chance(0.3)
                         ? Item{}
                         : b.constant(b.chance(0.6) ? b.number(b.chance(0.9) ? 0 : -0.0F, dims) : b.floats(dims)));
  }
  while (!inputs.back().value) inputs.pop_back();
  b.emit_all(op, inputs, std::move(attributes), op == "LSTM" ? 3 : 2);
}

void logic(Builder& b) {
  const Item x = b.either(
      b.chance(0.5), [&] { return b.pick(-1, ElementType::boolean); },
      [&] {
        return b.emit("Less", {b.pick(), b.constant(b.number(0.5F))});
      });
  const Item y = b.constant(b.tensor(ElementType::boolean, broadcastable(b, x)));
  const Item z = b.emit(b.one_of<std::string>({"And", "Or", "Xor"}), {x, y});
  if (b.chance(0.3)) b.emit("Not", {b.emit("Not", {z})});
}

void integers(Builder& b) {
  const ElementType type = b.one_of<ElementType>({ElementType::int64, ElementType::int32});
  const Item x = b.pick(-1, type);
  const Item c = b.constant(b.tensor(type, broadcastable(b, x)));
  const std::string op = b.one_of<std::string>({"Add", "Sub", "Mul", "Add", "Mul"});
  b.emit(op, {x, c});
}

}  // namespace

std::span<const Pattern> patterns() {
  static const std::vector<Pattern> all = [] {
    std::vector<Pattern> list = {{"unary", unary, 6},
                                 {"binary-constant", binary_constant, 5},
                                 {"neutral", neutral, 3},
                                 {"binary", binary, 4},
                                 {"variadic", variadic},
                                 {"twice", twice, 4},
                                 {"clips", clips, 3},
                                 {"conv-chain", conv_chain, 6},
                                 {"shared-conv", shared_conv},
                                 {"pool", pool, 3},
                                 {"matmul-chain", matmul_chain, 6},
                                 {"gemm", gemm, 4},
                                 {"where", where, 3},
                                 {"casts", casts},
                                 {"dropout", dropout},
                                 {"draws", draws, 1},
                                 {"normalization", normalization, 3},
                                 {"layer-operator", layer_operator},
                                 {"activation", activation, 4},
                                 {"quantized", quantized, 3},
                                 {"recurrent", recurrent, 1},
                                 {"logic", logic, 1},
                                 {"integers", integers, 1}};
    const auto movement = movement_patterns(), control = control_patterns();
    list.insert(list.end(), movement.begin(), movement.end());
    list.insert(list.end(), control.begin(), control.end());
    return list;
  }();
  return all;
}

bool add_pattern(Builder& builder) {
  std::int64_t total = 0;
  for (const Pattern& pattern : patterns()) total += pattern.weight;
  std::int64_t chosen = builder.below(total);
  for (const Pattern& pattern : patterns()) {
    chosen -= pattern.weight;
    if (chosen >= 0) continue;
    try {
      pattern.build(builder);
      return true;
    } catch (const Rejected&) {
      return false;
    }
  }
  return false;
}

}  // namespace hone::fuzz
