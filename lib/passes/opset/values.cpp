// Constant, Cast, Shape, quantization; operators that were renamed, and Trilu and Scan without theirs.
#include <algorithm>
#include <cctype>

#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

using ir::ElementType;

// ---- Constant: 11 sparse_value, 12 numbers and strings without a tensor around them

Reason constant_forms_down(Step& step) {
  ir::Node& node = step.node;
  if (node.has_attribute("value") || node.has_attribute("sparse_value")) return {};
  const ir::Tensor* tensor = ir::constant(node.output(0));
  if (!tensor) return "its value is not known";
  const ir::Tensor value = *tensor;
  node.attributes().clear();
  node.set_attribute("value", value);
  return {};
}

// ---- Cast and its kin: what to do with numbers that a type can't hold was said only of types that came with the attribute

Reason without_saturate(Step& step) {
  step.node.remove_attribute("saturate");
  return {};
}
Reason without_round_mode(Step& step) {
  step.node.remove_attribute("round_mode");
  return {};
}

// 6: a number in place of a name.
Reason cast_number_up(Step& step) {
  std::string name = step.node.string_or("to", "");
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto type = ir::parse_element_type(name);
  if (!type) return "it casts to " + quote(name);
  step.node.set_attribute("to", static_cast<std::int64_t>(*type));
  return {};
}
Reason cast_number_down(Step& step) {
  std::string name(ir::name(static_cast<ElementType>(step.node.int_or("to", 0))));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  step.node.set_attribute("to", name);
  return {};
}

// 4: the axis has to be said; it was 1.
Reason concat_up(Step& step) {
  if (!step.node.has_attribute("axis")) step.node.set_attribute("axis", std::int64_t{1});
  return {};
}

// ---- Shape: 15 part of it

Reason shape_down(Step& step) {
  ir::Node& node = step.node;
  const std::int64_t start = node.int_or("start", 0);
  const bool ends = node.has_attribute("end");
  if (start == 0 && !ends) {
    node.remove_attribute("start");
    return {};
  }
  const std::int64_t end = node.int_or("end", INT64_MAX);
  ir::Value* all = step.add("Shape", {node.input(0)}, {}, "all");
  if (step.target() < 10) {
    step.become("Slice", {all}, attributes("starts", Ints{start}, "ends", Ints{end}, "axes", Ints{0}));
    step.land(9);
    return {};
  }
  ir::Value* from = step.constant(Ints{start}, "start");
  ir::Value* to = step.constant(Ints{end}, "end");
  step.become("Slice", {all, from, to, step.constant(Ints{0}, "axes")});
  return {};
}

// ---- QuantizeLinear, DequantizeLinear: 13 axis, 21 output_dtype, 23 precision and output_dtype

bool is_single(const ir::Value* value) {
  return value && value->shape() && element_count(*value->shape()).number() == 1;
}

Reason quantize_axis_down(Step& step) {
  if (!is_single(step.node.input(1))) return "its scale may be more than one number";
  step.node.remove_attribute("axis");
  return {};
}

Reason quantize_type_down(Step& step) {
  ir::Node& node = step.node;
  const auto type = static_cast<ElementType>(node.int_or("output_dtype", 0));
  if (type != ElementType::undefined && !node.input(2)) {
    const auto dims = node.input(1) && node.input(1)->shape() ? ir::static_dims(*node.input(1)->shape()) : std::nullopt;
    if (!dims || !ir::is_known(type)) return "it has output_dtype, and the shape of its scale is not known";
    node.set_input(2, step.constant(ir::Tensor::zeros(type, *dims), "zero_point"));
  }
  node.remove_attribute("output_dtype");
  return {};
}

Reason quantize_precision_down(Step& step) {
  const auto precision = static_cast<ElementType>(step.node.int_or("precision", 0));
  const ElementType scale = step.element(step.node.input(1));
  if (precision != ElementType::undefined && precision != scale) return "it has another precision than its scale";
  step.node.remove_attribute("precision");
  return {};
}

Reason dequantize_type_down(Step& step) {
  ir::Node& node = step.node;
  const auto type = static_cast<ElementType>(node.int_or("output_dtype", 0));
  node.remove_attribute("output_dtype");
  const ElementType scale = step.element(node.input(1));
  if (type == ElementType::undefined || type == scale) return {};
  // The product would be rounded twice.
  return "it has another output_dtype than its scale";
}

// 28: with fmod=0, floats too.
Reason mod_down(Step& step) {
  const bool floats = !ir::is_integer(step.element(step.node.input(0)));
  return step.node.int_or("fmod", 0) == 0 && floats ? "it has fmod=0, and no integers" : Reason();
}

// ---- renamed

Reason scatter_up(Step& step) {
  step.node.set_op("ScatterElements");
  return {};
}
Reason scatter_down(Step& step) {
  step.node.set_op("Scatter");
  return {};
}

// ---- Trilu: 14. Row and column of each element tell what stays.
Reason trilu_down(Step& step) {
  ir::Node& node = step.node;
  ir::Value* x = node.input(0);
  const auto rank = step.rank(x);
  const ElementType type = step.element(x);
  const bool upper = node.int_or("upper", 1) != 0;
  const auto k = node.input(1) ? step.ints(node.input(1)) : Ints{0};
  if (!rank || *rank < 2) return "the rank of its input is not known";
  if (step.target() < 9) return "Where would take its place, which is of opset 9";
  ir::Value* zero = step.scalar(0, type, "zero");
  if (!zero) return "the type of its input is not known";
  const ir::Dimension rows = (*x->shape())[static_cast<std::size_t>(*rank - 2)];
  const ir::Dimension columns = (*x->shape())[static_cast<std::size_t>(*rank - 1)];
  // Stays: column - row >= k above, <= k below.
  constexpr std::int64_t small = 1 << 16;  // elements of a mask that is written out
  ir::Value* kept = nullptr;
  const bool fits = rows.number() && columns.number() && *rows.number() <= small && *columns.number() <= small;
  if (k && k->size() == 1 && fits && *rows.number() * *columns.number() <= small) {
    const std::int64_t diagonal = k->front();
    ir::Tensor mask = ir::Tensor::zeros(ElementType::boolean, {*rows.number(), *columns.number()});
    auto elements = mask.mutable_data<bool>();
    for (std::int64_t r = 0; r < *rows.number(); ++r) {
      for (std::int64_t c = 0; c < *columns.number(); ++c) {
        elements[static_cast<std::size_t>(r * *columns.number() + c)] = upper ? c - r >= diagonal : c - r <= diagonal;
      }
    }
    kept = step.constant(std::move(mask), "kept");
  } else {
    if (step.target() < 11) return "its size or k is not known, and Range would be needed, which is of opset 11";
    ir::Value* diagonal = node.input(1) ? node.input(1) : step.constant(ir::Tensor::scalar(std::int64_t{0}), "k");
    ir::Value* shape = step.add("Shape", {x}, {}, "shape");
    const auto count_to = [&](std::int64_t axis, std::string_view suffix) {
      ir::Value* size = step.add("Gather", {shape, step.constant(ir::Tensor::scalar(axis), "axis")}, {}, "size");
      ir::Value* from = step.constant(ir::Tensor::scalar(std::int64_t{0}), "from");
      return step.add("Range", {from, size, step.constant(ir::Tensor::scalar(std::int64_t{1}), "by")}, {}, suffix);
    };
    ir::Value* row = count_to(*rank - 2, "row");
    ir::Value* column = count_to(*rank - 1, "column");
    ir::Value* limit = step.add("Add", {row, diagonal}, {}, "limit");
    ir::Value* down = step.add("Reshape", {limit, step.constant(Ints{-1, 1}, "column_shape")}, {}, "limits");
    ir::Value* dropped =
        upper ? step.add("Less", {column, down}, {}, "dropped") : step.add("Greater", {column, down}, {}, "dropped");
    kept = step.add("Not", {dropped}, {}, "kept");
  }
  step.become("Where", {kept, x, zero});
  return {};
}

// ---- Scan: 9 without a batch around it
Reason scan_up(Step& step) {
  ir::Node& node = step.node;
  if (node.input(0)) return "it has sequence_lens";
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    const ir::Value* input = node.input(i);
    if (!input || !input->shape() || input->shape()->empty() || (*input->shape())[0].number() != 1)
      return "its batch is not 1";
  }
  for (std::size_t i = 1; i < node.input_count(); ++i) {
    node.set_input(i, step.add("Squeeze", {node.input(i)}, attributes("axes", Ints{0}), "single"));
  }
  node.remove_input(0);
  if (node.has_attribute("directions")) {
    const Ints directions = node.ints_or("directions", {});
    node.remove_attribute("directions");
    node.set_attribute("scan_input_directions", directions);
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* output = node.output(i);
    if (!output) continue;
    ir::Type type = output->type();
    if (type.is_tensor() && type.shape && !type.shape->empty()) type.shape->erase(type.shape->begin());
    step.after(*output, "Unsqueeze", attributes("axes", Ints{0}), std::move(type));
  }
  return {};
}
Reason scan_down(Step&) { return "it had a batch before"; }

}  // namespace

std::vector<Entry> value_rules() {
  return {
      {"Constant", 12, nullptr, constant_forms_down},
      {"Cast", 6, cast_number_up, cast_number_down},
      {"Cast", 19, nullptr, without_saturate},
      {"Cast", 24, nullptr, without_round_mode},
      {"CastLike", 19, nullptr, without_saturate},
      {"CastLike", 24, nullptr, without_round_mode},
      {"Concat", 4, concat_up, nullptr},
      {"Shape", 15, nullptr, shape_down},
      {"QuantizeLinear", 13, nullptr, quantize_axis_down},
      {"QuantizeLinear", 19, nullptr, without_saturate},
      {"QuantizeLinear", 21, nullptr, quantize_type_down},
      {"QuantizeLinear", 23, nullptr, quantize_precision_down},
      {"DequantizeLinear", 13, nullptr, quantize_axis_down},
      {"DequantizeLinear", 23, nullptr, dequantize_type_down},
      {"Mod", 28, nullptr, mod_down},
      {"Scatter", 11, scatter_up, nullptr},
      {"ScatterElements", 11, nullptr, scatter_down},
      {"Trilu", 14, nullptr, trilu_down},
      {"Scan", 9, scan_up, scan_down},
  };
}

}  // namespace hone::passes::opset
