#include "hone/exec/random_inputs.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <unordered_set>

#include "hone/support/error.h"
#include "hone/support/random.h"

namespace hone::exec {
namespace {

using ir::ElementType;

// Sizes for symbolic dimensions, by the place a dimension has. Spatial sizes are multiples of 32, which deep stacks of
// strided convolutions want; others small, and no two alike, so that a mix-up of axes shows.
struct Sizes {
  std::int64_t batch, spatial, other;
};
constexpr std::array<Sizes, 6> kSizes = {
    {{2, 64, 16}, {1, 96, 24}, {3, 32, 7}, {1, 320, 128}, {4, 48, 512}, {1, 1, 1}}};

// Known from a declaration or inference, or that of a constant.
std::optional<ir::Shape> shape_of(const ir::Value* value) {
  if (!value) return std::nullopt;
  if (value->shape()) return value->shape();
  const ir::Tensor* tensor = ir::constant(value);
  return tensor ? std::optional(ir::Shape(tensor->dims().begin(), tensor->dims().end())) : std::nullopt;
}

// The least exclusive upper bound that users of an integer value put on it; nullopt: none was found.
std::optional<std::int64_t> index_bound(const ir::Model& model, const ir::Value& start) {
  std::optional<std::int64_t> bound;
  const auto at_most = [&](const ir::Dimension& dim) {
    if (dim.number()) bound = bound ? std::min(*bound, *dim.number()) : *dim.number();
  };
  std::vector<const ir::Value*> pending{&start};
  std::unordered_set<const ir::Value*> seen{&start};
  const auto follow = [&](const ir::Value* value) {
    if (value && seen.size() < 256 && seen.insert(value).second) pending.push_back(value);
  };
  while (!pending.empty()) {
    const ir::Value* value = pending.back();
    pending.pop_back();
    for (const ir::Use& use : value->uses()) {
      const ir::Node& node = *use.node;
      if ((node.is("Gather") || node.is("GatherElements") || node.is("ScatterElements") || node.is("Scatter")) &&
          use.index == 1) {
        const ir::Shape shape = shape_of(node.input(0)).value_or(ir::Shape{});
        const std::int64_t axis = node.int_or("axis", 0);
        const auto at = static_cast<std::size_t>(axis < 0 ? axis + static_cast<std::int64_t>(shape.size()) : axis);
        if (at < shape.size()) at_most(shape[at]);
      } else if ((node.is("GatherND") || node.is("ScatterND")) && use.index == 1) {
        // A tuple of indices; the smallest dimension is right for all of them.
        for (const ir::Dimension& dim : shape_of(node.input(0)).value_or(ir::Shape{})) at_most(dim);
      } else if (const ir::Function* function = model.functions.called_by(node)) {
        if (use.index < function->body->inputs().size()) follow(function->body->inputs()[use.index]);
      } else if (node.is("OneHot") && use.index == 0) {
        if (const auto depth = ir::constant_scalar(node.input(1))) {
          at_most(static_cast<std::int64_t>(*depth));
        }
      } else if (node.is("Cast") || node.is("Identity") || node.is("Reshape") || node.is("Squeeze") ||
                 node.is("Unsqueeze") || node.is("Flatten") || node.is("Transpose") || node.is("Expand") ||
                 node.is("Slice") || node.is("Concat")) {
        if (use.index == 0 || node.is("Concat")) follow(node.output(0));
      }
    }
  }
  return bound;
}

class Maker {
 public:
  Maker(const ir::Model& model, const RandomInputs& options)
      : model_(model),
        sizes_(kSizes[static_cast<std::size_t>(options.variation) % kSizes.size()]),
        random_(options.seed, static_cast<std::uint64_t>(options.variation)),
        symbols_(options.sizes) {}

  ir::Datum make(const ir::Value& input, const ir::Type& type) {
    switch (type.kind) {
      case ir::Type::Kind::tensor:
        return tensor(input, type);
      case ir::Type::Kind::sequence: {
        ir::Sequence sequence{*type.inner, {}};
        for (int i = 0; i < 2; ++i) sequence.items.push_back(make(input, *type.inner));
        return sequence;
      }
      case ir::Type::Kind::optional:
        return ir::Optional{std::make_shared<const ir::Datum>(make(input, *type.inner))};
      default:
        unsupported("input {}: random values of type {} can't be made", quote(input.name()), ir::text(type));
    }
  }

 private:
  ir::Tensor tensor(const ir::Value& input, const ir::Type& type) {
    ir::Dims dims;
    const ir::Shape shape = type.shape ? *type.shape : ir::Shape{};
    for (std::size_t i = 0; i < shape.size(); ++i) dims.push_back(size(shape[i], i, shape.size()));
    if (type.element == ElementType::string) {
      ir::Tensor probe = ir::Tensor::zeros(ElementType::uint8, dims);
      std::vector<std::string> values(static_cast<std::size_t>(probe.element_count()));
      for (auto& value : values) value = std::string(1, static_cast<char>('a' + random_.below(26)));
      return ir::Tensor::strings(std::move(dims), std::move(values));
    }
    ir::Tensor result = ir::Tensor::allocate(type.element, dims);
    const auto fill = [&]<typename T>(auto&& draw) {
      for (T& value : result.mutable_data<T>()) value = draw();
    };
    const std::int64_t below = std::max<std::int64_t>(1, index_bound(model_, input).value_or(2));
    const auto integer = [&](std::int64_t most) {
      return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(std::min(below, most))));
    };
    switch (type.element) {
      case ElementType::float32:
        fill.operator()<float>([&] { return static_cast<float>(random_.normal()); });
        break;
      case ElementType::float64:
        fill.operator()<double>([&] { return random_.normal(); });
        break;
      case ElementType::float16:
        fill.operator()<float16>([&] { return to_float16(static_cast<float>(random_.normal())); });
        break;
      case ElementType::bfloat16:
        fill.operator()<bfloat16>([&] { return to_bfloat16(static_cast<float>(random_.normal())); });
        break;
      case ElementType::boolean:
        fill.operator()<bool>([&] { return random_.below(2) == 1; });
        break;
      case ElementType::int64:
        fill.operator()<std::int64_t>([&] { return integer(INT64_MAX); });
        break;
      case ElementType::int32:
        fill.operator()<std::int32_t>([&] { return static_cast<std::int32_t>(integer(INT32_MAX)); });
        break;
      case ElementType::uint64:
        fill.operator()<std::uint64_t>([&] { return static_cast<std::uint64_t>(integer(INT64_MAX)); });
        break;
      case ElementType::uint32:
        fill.operator()<std::uint32_t>([&] { return static_cast<std::uint32_t>(integer(UINT32_MAX)); });
        break;
      case ElementType::int16:
        fill.operator()<std::int16_t>([&] { return static_cast<std::int16_t>(integer(INT16_MAX)); });
        break;
      case ElementType::uint16:
        fill.operator()<std::uint16_t>([&] { return static_cast<std::uint16_t>(integer(UINT16_MAX)); });
        break;
      default:  // 8 bits and less: any byte is a value
        for (std::byte& value : result.mutable_bytes()) value = static_cast<std::byte>(random_.below(256));
    }
    return result;
  }

  std::int64_t size(const ir::Dimension& dim, std::size_t axis, std::size_t rank) {
    if (dim.number()) return *dim.number();
    const std::int64_t chosen = axis == 0 ? sizes_.batch : rank >= 4 && axis >= 2 ? sizes_.spatial : sizes_.other;
    if (dim.is_unknown()) return chosen;
    // The first place a symbol is seen at decides its size.
    const ir::Dimension number = dim.substitute([&](std::string_view name) -> std::optional<ir::Dimension> {
      return ir::Dimension(symbols_.try_emplace(std::string(name), chosen).first->second);
    });
    return number.number().value_or(chosen);
  }

  const ir::Model& model_;
  Sizes sizes_;
  Random random_;
  std::map<std::string, std::int64_t> symbols_;
};

}  // namespace

std::vector<ir::NamedDatum> random_inputs(const ir::Model& model, std::uint64_t seed, int variation) {
  return random_inputs(model, {seed, variation, {}, {}});
}

std::vector<ir::NamedDatum> random_inputs(const ir::Model& model, const RandomInputs& options) {
  Maker maker(model, options);
  std::vector<ir::NamedDatum> result;
  std::set<std::string> symbols;
  std::size_t replaced = 0;
  for (const ir::Value* input : model.graph->inputs()) {
    if (input->initializer()) continue;
    ir::Type type = input->type();
    if (const auto shape = options.shapes.find(input->name()); shape != options.shapes.end()) {
      type.shape = shape->second;
      ++replaced;
    }
    if (type.shape) {
      for (const ir::Dimension& dim : *type.shape) {
        if (const auto name = dim.symbol_name()) symbols.emplace(*name);
      }
    }
    result.push_back({input->name(), maker.make(*input, type)});
  }
  for (const auto& [name, size] : options.sizes) {
    if (symbols.contains(name)) continue;
    std::string known;
    for (const std::string& each : symbols) known += (known.empty() ? "" : ", ") + quote(each);
    usage_error("no input has a dimension {}; the model has {}", quote(name),
                known.empty() ? "none that change" : known);
  }
  if (replaced < options.shapes.size()) {
    for (const auto& given : options.shapes) {
      const std::string& name = given.first;
      const bool known = std::any_of(result.begin(), result.end(), [&](const auto& each) { return each.name == name; });
      if (!known) usage_error("the model has no input {} to give a shape to", quote(name));
    }
  }
  return result;
}

}  // namespace hone::exec
