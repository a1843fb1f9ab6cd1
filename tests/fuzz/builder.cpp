#include "builder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "hone/exec/evaluate.h"
#include "hone/support/error.h"

namespace hone::fuzz {
namespace {

// Small enough that a thousand runs take a second.
constexpr std::int64_t kMaxElements = 2048;

bool is_tame(const ir::Tensor& tensor) {
  if (tensor.type() != ir::ElementType::float32) return true;
  for (const float value : tensor.data<float>()) {
    if (!std::isfinite(value) || std::abs(value) > 1e4F) return false;
  }
  return true;
}

}  // namespace

Builder::Builder(std::uint64_t seed, std::int64_t opset_version, std::int64_t ir_version, bool dynamic)
    : random(seed, 1), opset(opset_version), dynamic_(dynamic) {
  model.ir_version = ir_version;
  model.set_opset("", opset);
  model.graph->set_name("g");
  scopes_.push_back({model.graph.get(), true, {}, {}});
}

Ints Builder::permutation(std::size_t rank) {
  Ints result(rank);
  std::iota(result.begin(), result.end(), 0);
  for (std::size_t i = rank; i > 1; --i)
    std::swap(result[i - 1], result[static_cast<std::size_t>(below(static_cast<std::int64_t>(i)))]);
  return result;
}

ir::Tensor Builder::number(float value, const ir::Dims& dims) const {
  ir::Tensor result = ir::Tensor::allocate(ir::ElementType::float32, dims);
  for (float& each : result.mutable_data<float>()) each = value;
  return result;
}

ir::Tensor Builder::floats(const ir::Dims& dims) {
  const double style = random.uniform();
  if (style < 0.08) return number(0, dims);
  if (style < 0.16) return number(1, dims);
  if (style < 0.18) return number(-0.0F, dims);
  if (style < 0.24) return number(one_of<float>({0.5F, 2, -1, 3, 6}), dims);
  ir::Tensor result = ir::Tensor::allocate(ir::ElementType::float32, dims);
  const bool special = style > 0.985;
  const bool integral = style < 0.4;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (float& each : result.mutable_data<float>()) {
    each = integral ? static_cast<float>(between(-3, 3)) : static_cast<float>(random.normal());
    if (special && chance(0.3)) {
      each = one_of<float>({std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, -0.0F, 1e-40F, 3e38F});
    }
  }
  return result;
}

ir::Tensor Builder::tensor(ir::ElementType type, const ir::Dims& dims) {
  using ir::ElementType;
  if (type == ElementType::float32) return floats(dims);
  ir::Tensor result = ir::Tensor::zeros(type, dims);
  const auto fill = [&]<typename T>(auto&& draw) {
    for (T& each : result.mutable_data<T>()) each = static_cast<T>(draw());
  };
  switch (type) {
    case ElementType::float64:
      fill.operator()<double>([&] { return random.normal(); });
      break;
    case ElementType::float16:
      for (float16& each : result.mutable_data<float16>()) each = to_float16(static_cast<float>(random.normal()));
      break;
    case ElementType::boolean: {
      const double share = one_of<double>({0, 1, 0.5, 0.5});
      fill.operator()<bool>([&] { return chance(share); });
      break;
    }
    case ElementType::int64:
      fill.operator()<std::int64_t>([&] { return between(-4, 4); });
      break;
    case ElementType::int32:
      fill.operator()<std::int32_t>([&] { return between(-4, 4); });
      break;
    case ElementType::int8:
      fill.operator()<std::int8_t>([&] { return between(-20, 20); });
      break;
    case ElementType::uint8:
      fill.operator()<std::uint8_t>([&] { return between(0, 40); });
      break;
    default:
      throw Rejected{};
  }
  return result;
}

std::optional<Item> Builder::find(const std::function<bool(const Item&)>& fits) {
  std::vector<const Item*> found;
  for (std::size_t s = scopes_.size(); s-- > 0;) {
    for (std::size_t i = scopes_[s].items.size(); i-- > 0;) {
      if (fits(scopes_[s].items[i])) found.push_back(&scopes_[s].items[i]);
    }
    if (scopes_[s].isolated) break;
  }
  if (found.empty()) return std::nullopt;
  // Half of the time the last one, so that chains grow.
  return chance(0.5) ? *found.front()
                     : *found[static_cast<std::size_t>(below(static_cast<std::int64_t>(found.size())))];
}

Item Builder::pick(int rank, ir::ElementType type) {
  const auto found = find(
      [&](const Item& item) { return item.type() == type && (rank < 0 || static_cast<int>(item.rank()) == rank); });
  if (found && !chance(0.05)) return *found;
  ir::Dims dims;
  const std::int64_t wanted = rank < 0 ? between(0, 4) : rank;
  for (std::int64_t i = 0; i < wanted; ++i) dims.push_back(one_of<std::int64_t>({1, 2, 2, 3, 4, wanted > 3 ? 4 : 6}));
  return input(dims, type);
}

ir::Type Builder::declared(const ir::Dims& dims, ir::ElementType type) {
  ir::Shape shape(dims.begin(), dims.end());
  if (dynamic_) {
    for (std::size_t i = 0; i < shape.size(); ++i) {
      if (!chance(i == 0 ? 0.6 : 0.2)) continue;
      if (chance(0.1)) {
        shape[i] = ir::Dimension();
        continue;
      }
      const std::string name = "n" + std::to_string(dims[i]);
      symbols_[name] = dims[i];
      shape[i] = ir::Dimension::symbol(name);
    }
  }
  return ir::Type::tensor(type, std::move(shape));
}

Item Builder::input(const ir::Dims& dims, ir::ElementType type) {
  if (scopes_.front().graph->inputs().size() >= 5) throw Rejected{};
  for (const Scope& scope : scopes_) {
    if (&scope != &scopes_.front() && scope.isolated) throw Rejected{};  // a function sees no input of the model
  }
  ir::Graph& main = *scopes_.front().graph;
  Item item{main.add_input(main.fresh_name("x"), declared(dims, type)), tensor(type, dims)};
  item.value->declare();
  scopes_.front().items.push_back(item);
  inputs_.push_back(item);
  return item;
}

bool Builder::in_function() const {
  for (std::size_t i = 1; i < scopes_.size(); ++i) {
    if (scopes_[i].isolated) return true;
  }
  return false;
}

Item Builder::plain_constant(const ir::Tensor& tensor) {
  for (std::size_t s = scopes_.size(); s-- > 0;) {
    for (const Item& item : scopes_[s].constants) {
      if (ir::equal(item.sample, tensor) && chance(0.5)) return item;
    }
    if (scopes_[s].isolated) break;
  }
  Item item;
  const double form = random.uniform();
  if (in_function() || (form < 0.2 && model.ir_version >= 4)) {
    ir::Node& node = graph().insert("Constant", {}, 1);
    const auto* scalar =
        tensor.rank() == 0 && tensor.type() == ir::ElementType::float32 ? tensor.data<float>().data() : nullptr;
    if (scalar && opset >= 12 && chance(0.3)) {
      node.set_attribute("value_float", *scalar);
    } else if (tensor.rank() == 1 && tensor.type() == ir::ElementType::int64 && opset >= 12 && chance(0.3)) {
      node.set_attribute("value_ints", tensor.to_ints());
    } else {
      node.set_attribute("value", tensor);
    }
    item = {node.output(0), tensor};
  } else {
    item = {graph().add_initializer(tensor.rank() == 0 ? "c" : "w", tensor), tensor};
    item.value->set_type(ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end())));
  }
  scopes_.back().constants.push_back(item);
  return item;
}

Item Builder::constant(const ir::Tensor& tensor) {
  const double form = random.uniform();
  ir::Graph& main = *scopes_.front().graph;
  if (!in_function() && ((form < 0.04 && model.ir_version >= 4) || model.ir_version < 4)) {
    // The caller may override it (IR version 4), or every initializer has to be an input.
    Item item{main.add_input(main.fresh_name("w"),
                             ir::Type::tensor(tensor.type(), ir::Shape(tensor.dims().begin(), tensor.dims().end()))),
              tensor};
    item.value->declare();
    main.set_initializer(*item.value, tensor);
    inputs_.push_back(item);
    return item;
  }
  Item item = plain_constant(tensor);
  if (form > 0.92) {
    if (tensor.type() == ir::ElementType::float32 && chance(0.3) && opset >= 14)
      return emit("Sub", {item, plain_constant(number(0))});
    if (tensor.rank() == 2 && chance(0.5)) {
      return transpose(plain_constant(transpose(item, {1, 0}).sample), {1, 0});
    }
    return emit("Identity", {item});
  }
  return item;
}

std::vector<Item> Builder::emit_all(const std::string& op, const std::vector<Item>& inputs,
                                    const std::vector<Named>& attributes, std::size_t outputs,
                                    const std::string& domain) {
  std::vector<ir::Value*> values;
  std::vector<std::optional<ir::Datum>> samples;
  for (const Item& each : inputs) {
    values.push_back(each.value);
    samples.push_back(each.value ? std::optional<ir::Datum>(each.sample) : std::nullopt);
  }
  ir::Node& node = graph().insert(op, values, outputs, nullptr, domain);
  for (const Named& attribute : attributes) {
    std::visit([&](const auto& payload) { node.set_attribute(attribute.first, payload); }, attribute.second);
  }
  std::vector<Item> result;
  try {
    exec::EvaluateOptions options;
    options.max_output_bytes = kMaxElements * 8;
    const std::vector<ir::Datum> computed = exec::evaluate(node, model, samples, options);
    for (std::size_t i = 0; i < outputs; ++i) {
      const ir::Tensor* sample = computed.at(i).tensor();
      if (!sample || sample->element_count() > kMaxElements) throw Rejected{};
      if (!is_tame(*sample) && !chance(0.1)) throw Rejected{};
      result.push_back({node.output(i), *sample});
    }
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::internal) throw;
    graph().erase(node);
    throw Rejected{};
  } catch (const Rejected&) {
    graph().erase(node);
    throw;
  }
  if (chance(0.3)) node.set_name(graph().fresh_name("n_" + op));
  for (const Item& each : result) scopes_.back().items.push_back(each);
  return result;
}

Item Builder::squeeze(const Item& x, const Ints& axes) {
  if (opset >= 13) return emit("Squeeze", {x, ints(axes)});
  return emit("Squeeze", {x}, {{"axes", axes}});
}
Item Builder::unsqueeze(const Item& x, const Ints& axes) {
  if (opset >= 13) return emit("Unsqueeze", {x, ints(axes)});
  return emit("Unsqueeze", {x}, {{"axes", axes}});
}
Item Builder::reduce(const std::string& op, const Item& x, const Ints& axes, bool keep) {
  std::vector<Named> attributes;
  if (!keep) attributes.emplace_back("keepdims", std::int64_t{0});
  const bool as_input = opset >= 18 || (op == "ReduceSum" && opset >= 13);
  if (axes.empty()) {
    if (as_input && chance(0.3)) attributes.emplace_back("noop_with_empty_axes", std::int64_t{1});
    return emit(op, {x}, std::move(attributes));
  }
  if (as_input) return emit(op, {x, ints(axes)}, std::move(attributes));
  attributes.emplace_back("axes", axes);
  return emit(op, {x}, std::move(attributes));
}
Item Builder::slice(const Item& x, const Ints& starts, const Ints& ends, const Ints& axes, const Ints& steps) {
  if (opset < 10) {
    if (std::any_of(steps.begin(), steps.end(), [](std::int64_t step) { return step != 1; })) throw Rejected{};
    return emit("Slice", {x}, {{"starts", starts}, {"ends", ends}, {"axes", axes}});
  }
  const bool plain = std::all_of(steps.begin(), steps.end(), [](std::int64_t step) { return step == 1; });
  if (plain && chance(0.5)) return emit("Slice", {x, ints(starts), ints(ends), ints(axes)});
  return emit("Slice", {x, ints(starts), ints(ends), ints(axes), ints(steps)});
}
Item Builder::pad(const Item& x, const Ints& pads, const std::string& mode, float value) {
  std::vector<Named> attributes;
  if (mode != "constant" || chance(0.5)) attributes.emplace_back("mode", mode);
  if (opset < 11) {
    attributes.emplace_back("pads", pads);
    if (value != 0) attributes.emplace_back("value", value);
    return emit("Pad", {x}, std::move(attributes));
  }
  std::vector<Item> inputs{x};
  Ints wanted = pads;
  const std::size_t rank = x.rank();
  std::optional<Ints> axes;
  if (opset >= 18 && chance(0.5)) {  // only the dimensions that are padded, in any order, counted from either end
    Ints begins, ends;
    axes.emplace();
    for (const std::int64_t axis : permutation(rank)) {
      const auto at = static_cast<std::size_t>(axis);
      if (pads[at] == 0 && pads[at + rank] == 0 && chance(0.9)) continue;
      axes->push_back(chance(0.3) ? axis - static_cast<std::int64_t>(rank) : axis);
      begins.push_back(pads[at]);
      ends.push_back(pads[at + rank]);
    }
    wanted = begins;
    wanted.insert(wanted.end(), ends.begin(), ends.end());
  }
  inputs.push_back(ints(wanted));
  if (value != 0 || axes || chance(0.3)) inputs.push_back(constant(number(value)));
  if (axes) inputs.push_back(ints(*axes));
  return emit("Pad", inputs, std::move(attributes));
}
Item Builder::clip(const Item& x, std::optional<float> low, std::optional<float> high) {
  if (opset < 11) {
    std::vector<Named> attributes;
    if (low) attributes.emplace_back("min", *low);
    if (high) attributes.emplace_back("max", *high);
    return emit("Clip", {x}, std::move(attributes));
  }
  std::vector<Item> inputs{x};
  if (low || high) inputs.push_back(low ? constant(number(*low)) : Item{});
  if (high) inputs.push_back(constant(number(*high)));
  return emit("Clip", inputs);
}
std::vector<Item> Builder::split(const Item& x, const Ints& sizes, std::int64_t axis) {
  std::vector<Named> attributes;
  if (axis != 0 || chance(0.5)) attributes.emplace_back("axis", axis);
  const bool equal = std::all_of(sizes.begin(), sizes.end(), [&](std::int64_t size) { return size == sizes[0]; });
  if (equal && chance(0.5)) {
    if (opset >= 18) attributes.emplace_back("num_outputs", static_cast<std::int64_t>(sizes.size()));
    return emit_all("Split", {x}, std::move(attributes), sizes.size());
  }
  if (opset >= 13) return emit_all("Split", {x, ints(sizes)}, std::move(attributes), sizes.size());
  attributes.emplace_back("split", sizes);
  return emit_all("Split", {x}, std::move(attributes), sizes.size());
}
Item Builder::reshape(const Item& x, const Ints& target) { return emit("Reshape", {x, ints(target)}); }
Item Builder::cast(const Item& x, ir::ElementType type) {
  return emit("Cast", {x}, {{"to", static_cast<std::int64_t>(type)}});
}
Item Builder::transpose(const Item& x, const Ints& order) {
  Ints reversed(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) reversed[i] = static_cast<std::int64_t>(order.size() - 1 - i);
  if (order == reversed && chance(0.5)) return emit("Transpose", {x});
  return emit("Transpose", {x}, {{"perm", order}});
}
Item Builder::batch_normalization(const Item& x) {
  if (x.rank() < 2) throw Rejected{};
  const ir::Dims channels{x.dim(1)};
  ir::Tensor variance = ir::Tensor::allocate(ir::ElementType::float32, channels);
  for (float& each : variance.mutable_data<float>()) each = static_cast<float>(0.2 + random.uniform());
  std::vector<Named> attributes;
  if (chance(0.3)) attributes.emplace_back("epsilon", one_of<float>({1e-3F, 0.1F}));
  if (opset >= 14 && chance(0.1)) {
    attributes.emplace_back("training_mode", std::int64_t{1});
    if (chance(0.5))
      return emit_all("BatchNormalization",
                      {x, constant(floats(channels)), constant(floats(channels)), constant(floats(channels)),
                       constant(variance)},
                      attributes, 3)
          .front();
  }
  return emit(
      "BatchNormalization",
      {x, constant(floats(channels)), constant(floats(channels)), constant(floats(channels)), constant(variance)},
      attributes);
}

void Builder::hide(const Item& item) {
  for (Scope& scope : scopes_) {
    std::erase_if(scope.items, [&](const Item& each) { return each.value == item.value && each.value->producer(); });
  }
}

void Builder::enter(ir::Graph& graph, bool isolated) { scopes_.push_back({&graph, isolated, {}, {}}); }
void Builder::leave() { scopes_.pop_back(); }

}  // namespace hone::fuzz
