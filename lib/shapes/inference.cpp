// The driver of shape inference: tables, propagation, what is remembered of elements.
#include "hone/shapes/inference.h"

#include <algorithm>
#include <unordered_map>

#include "hone/onnx/schema.h"
#include "hone/support/error.h"
#include "shapes/functions.h"
#include "shapes/microsoft.h"

namespace hone::shapes {

using ir::Dimension;
using ir::ElementType;
using ir::Shape;

void same_as_input(View& view) {
  const ir::Shape* shape = view.shape(0);
  view.set(0, view.type(0), shape ? std::optional(*shape) : std::nullopt);
}

void copy_elements(View& view) {
  if (const Elements* elements = view.elements(0)) view.set_elements(0, *elements);
}

std::optional<std::size_t> normalize_axis(std::int64_t axis, std::size_t rank) {
  const auto size = static_cast<std::int64_t>(rank);
  if (axis < -size || axis >= size) return std::nullopt;
  return static_cast<std::size_t>(axis < 0 ? axis + size : axis);
}

// Whether `small` never exceeds the symbol `large` and is 1 where that is 1, as min(512, n) and n: a valid broadcast of the
// two has then the size `large`.
static bool follows(const Dimension& small, const Dimension& large) {
  const auto symbol = large.symbol_name();
  if (!symbol || small.is_unknown() || !provably_equal(minimum(small, large), small)) return false;
  const Dimension at_one = small.substitute(
      [&](std::string_view name) { return name == *symbol ? std::optional(Dimension(1)) : std::nullopt; });
  return at_one.number() == 1;
}

Shape broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  const std::size_t offset = longer.size() - shorter.size();
  for (std::size_t i = 0; i < shorter.size(); ++i) {
    Dimension& dim = result[offset + i];
    const Dimension& other = shorter[i];
    if (other.number() == 1 || provably_equal(dim, other)) continue;
    if (dim.number() == 1) {
      dim = other;
    } else if (dim.number() && *dim.number() != 1) {
      continue;  // the other one is 1 or the same number in a valid model
    } else if (other.number() && *other.number() != 1) {
      dim = other;
    } else if (follows(other, dim)) {
      continue;
    } else if (follows(dim, other)) {
      dim = other;
    } else {
      dim = Dimension();  // two symbols: either may be 1
    }
  }
  return result;
}

std::optional<std::vector<std::int64_t>> View::ints(std::size_t i) const {
  const Elements* known = elements(i);
  if (!known) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const Dimension& dim : *known) {
    if (!dim.number()) return std::nullopt;
    result.push_back(*dim.number());
  }
  return result;
}

std::optional<std::vector<std::int64_t>> View::ints(std::string_view attribute, std::size_t input,
                                                    bool& present) const {
  if (node.has_attribute(attribute)) {
    present = true;
    return node.ints_or(attribute, {});
  }
  present = has(input);
  return present ? ints(input) : std::nullopt;
}

namespace {

using Table = std::unordered_map<std::string_view, Function>;
const Table& table() {
  static const auto built = [] {
    Table result;
    for (const auto& family :
         {elementwise_functions(), movement_functions(), contraction_functions(), reduction_functions()}) {
      for (const FunctionEntry& entry : family) result.emplace(entry.op_type, entry.function);
    }
    result.emplace("SimplifiedLayerNormalization", simplified_normalization);
    return result;
  }();
  return built;
}
const Table& microsoft_table() {
  static const auto built = [] {
    Table result;
    for (const FunctionEntry& entry : microsoft_functions()) result.emplace(entry.op_type, entry.function);
    return result;
  }();
  return built;
}
// Null: ONNX's own inference is asked.
Function find_function(const ir::Node& node) {
  if (!node.domain().empty() && node.domain() != "com.microsoft") return nullptr;
  const Table& functions = node.domain().empty() ? table() : microsoft_table();
  const auto found = functions.find(node.op_type());
  return found == functions.end() ? nullptr : found->second;
}

// The better of what was known and what was inferred, dimension by dimension; nullopt where they contradict.
std::optional<Shape> refine(const Shape& known, const Shape& inferred) {
  if (known.size() != inferred.size()) return std::nullopt;
  Shape result = known;
  for (std::size_t i = 0; i < known.size(); ++i) {
    if (inferred[i].is_unknown()) continue;
    if (known[i].is_unknown() || (!known[i].is_number() && inferred[i].is_number())) {
      result[i] = inferred[i];
    } else if (!known[i].is_number()) {
      // Both symbolic: the inferred one is tied to the inputs of the model, the declared name may be made up.
      result[i] = inferred[i];
    } else if (inferred[i].is_number() && *inferred[i].number() != *known[i].number()) {
      return std::nullopt;
    }
  }
  return result;
}

bool identical_shapes(const Shape& a, const Shape& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](const Dimension& x, const Dimension& y) { return identical(x, y); });
}

// The same for the items of sequences and optionals.
ir::Type refine_items(const ir::Type& known, const ir::Type& inferred) {
  if (known.kind != inferred.kind || !inferred.inner) return known;
  if (!known.inner) return inferred;
  ir::Type items = *known.inner;
  if (items.kind == ir::Type::Kind::unknown || (items.is_tensor() && items.element == ElementType::undefined)) {
    items = *inferred.inner;
  } else if (!items.is_tensor()) {
    items = refine_items(items, *inferred.inner);
  } else if (inferred.inner->is_tensor() && items.element == inferred.inner->element && inferred.inner->shape) {
    if (!items.shape) {
      items.shape = inferred.inner->shape;
    } else if (auto refined = refine(*items.shape, *inferred.inner->shape)) {
      items.shape = std::move(*refined);
    }
  }
  ir::Type result = known;
  result.inner = std::make_shared<const ir::Type>(std::move(items));
  return result;
}

}  // namespace

struct Inference::State {
  ir::Model& model;
  Observer* observer;
  std::function<void(const ir::Value&)> listener;
  std::unordered_map<const ir::Value*, Elements> elements;
  // Elements of constants are made when asked for and kept here.
  std::unordered_map<const ir::Value*, Elements> constants;
  std::vector<const ir::Value*> changed;  // by the node at hand

  const Elements* find(const ir::Value& value) {
    if (const auto found = elements.find(&value); found != elements.end()) return &found->second;
    if (const auto found = constants.find(&value); found != constants.end()) return &found->second;
    const ir::Tensor* tensor = ir::constant(&value);
    if (!tensor || tensor->element_count() > kMaxElements) return nullptr;
    if (tensor->type() != ElementType::int64 && tensor->type() != ElementType::int32 &&
        tensor->type() != ElementType::boolean) {
      return nullptr;
    }
    Elements made;
    for (const std::int64_t v : tensor->to_ints()) made.emplace_back(v);
    return &(constants[&value] = std::move(made));
  }

  std::int64_t opset(const ir::Node& node) { return model.opset(node.graph(), node.domain()); }

  // Takes over an inferred type; notes a change.
  void learn(ir::Value& value, ir::Type inferred) {
    if (inferred.kind == ir::Type::Kind::unknown) return;
    const ir::Type& known = value.type();
    if (known.kind == ir::Type::Kind::unknown) {
      value.set_type(std::move(inferred));
      changed.push_back(&value);
      return;
    }
    if (!known.is_tensor() || !inferred.is_tensor()) {
      ir::Type better = refine_items(known, inferred);
      if (ir::identical(better, known)) return;
      value.set_type(std::move(better));
      changed.push_back(&value);
      return;
    }
    ir::Type better = known;
    if (inferred.element != ElementType::undefined) better.element = inferred.element;
    if (inferred.shape) {
      if (!known.shape) {
        better.shape = std::move(inferred.shape);
      } else if (auto refined = refine(*known.shape, *inferred.shape)) {
        better.shape = std::move(*refined);
      } else if (value.is_graph_output() || value.is_declared()) {
        if (observer) {
          observer->message(Level::warning, "value " + quote(value.name()) + " is declared as " + ir::text(known) +
                                                " where its node gives " + ir::text(inferred));
        }
        // The node is what runs; the declaration can't be right.
        better.shape = std::move(inferred.shape);
      } else {
        better.shape = std::move(inferred.shape);
      }
    }
    const bool same_shape = better.shape.has_value() == known.shape.has_value() &&
                            (!better.shape || identical_shapes(*better.shape, *known.shape));
    if (better.element == known.element && same_shape) return;
    value.set_type(std::move(better));
    changed.push_back(&value);
  }

  void learn_elements(const ir::Value& value, Elements inferred) {
    if (std::all_of(inferred.begin(), inferred.end(), [](const Dimension& d) { return d.is_unknown(); })) return;
    const auto found = elements.find(&value);
    if (found != elements.end() && found->second.size() == inferred.size() &&
        std::equal(inferred.begin(), inferred.end(), found->second.begin(),
                   [](const Dimension& a, const Dimension& b) { return identical(a, b); })) {
      return;
    }
    elements[&value] = std::move(inferred);
    changed.push_back(&value);
  }

  void infer(ir::Node& node);
};

namespace {

class NodeView final : public View {
 public:
  using Find = std::function<const Elements*(const ir::Value&)>;
  NodeView(const ir::Node& node, std::int64_t opset, Find find) : View(node, opset), find_(std::move(find)) {}

  const Elements* elements(std::size_t i) const override {
    const ir::Value* value = node.input(i);
    return value ? find_(*value) : nullptr;
  }
  void set(std::size_t output, ElementType type, std::optional<Shape> shape) override {
    if (output >= types.size()) types.resize(output + 1);
    types[output] = ir::Type::tensor(type, std::move(shape));
  }
  void set_elements(std::size_t output, Elements elements) override {
    if (output >= contents.size()) contents.resize(output + 1);
    contents[output] = std::move(elements);
  }

  std::vector<ir::Type> types;
  std::vector<std::optional<Elements>> contents;

 private:
  Find find_;
};

// An If gives what either branch may give. ONNX's inference below opset 11 takes what one of them says for both, and
// executors run branches that differ all the same.
void widen_to_branches(const ir::Node& node, std::vector<ir::Type>& types) {
  node.for_each_subgraph([&](const ir::Graph& branch) {
    for (std::size_t i = 0; i < types.size() && i < branch.outputs().size(); ++i) {
      const ir::Type& given = branch.outputs()[i]->type();
      std::optional<Shape>& shape = types[i].shape;
      if (!shape || !given.is_tensor()) continue;
      if (!given.shape || given.shape->size() != shape->size()) {
        shape.reset();
        continue;
      }
      for (std::size_t d = 0; d < shape->size(); ++d) {
        if (!identical((*shape)[d], (*given.shape)[d])) (*shape)[d] = Dimension();
      }
    }
  });
}

bool holds_integers(ElementType type) {
  return type == ElementType::int64 || type == ElementType::int32 || type == ElementType::boolean;
}

}  // namespace

void Inference::State::infer(ir::Node& node) {
  const Function function = find_function(node);
  if (!function) {
    std::vector<ir::Type> types;
    try {
      types = onnx::infer_types(node, model);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::bad_input && error.kind() != ErrorKind::unsupported) throw;
      return;  // an invalid node: the checker will say so
    }
    if (node.is("If")) widen_to_branches(node, types);
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (ir::Value* output = node.output(i)) learn(*output, std::move(types[i]));
    }
    return;
  }
  NodeView view(node, opset(node), [this](const ir::Value& value) { return find(value); });
  try {
    function(view);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::bad_input) throw;  // an attribute of another type
    return;
  }
  for (std::size_t i = 0; i < view.types.size(); ++i) {
    if (ir::Value* output = node.output(i)) learn(*output, std::move(view.types[i]));
  }
  for (std::size_t i = 0; i < view.contents.size(); ++i) {
    const ir::Value* output = node.output(i);
    if (output && view.contents[i] && holds_integers(output->element_type())) {
      learn_elements(*output, std::move(*view.contents[i]));
    }
  }
}

Inference::Inference(ir::Model& model, Observer* observer) : state_(new State{model, observer, {}, {}, {}, {}}) {}
Inference::~Inference() = default;

void Inference::on_change(std::function<void(const ir::Value&)> listener) { state_->listener = std::move(listener); }

void Inference::run() {
  const auto run_graph = [&](ir::Graph& root) {
    ir::for_each_graph(root, [&](ir::Graph& graph) {
      for (ir::Value* value : graph.initializers()) {
        if (!value->initializer() || value->is_graph_input()) continue;
        const ir::Dims& dims = value->initializer()->dims();
        if (value->type().kind == ir::Type::Kind::unknown) {
          value->set_type(ir::Type::tensor(value->initializer()->type(), Shape(dims.begin(), dims.end())));
        }
      }
    });
    // A node before its subgraphs' nodes; those see outer types, the node's own outputs come from them.
    std::function<void(ir::Graph&, int)> walk = [&](ir::Graph& graph, int depth) {
      for (ir::Node& node : graph.nodes()) {
        if (depth < 64) node.for_each_subgraph([&](ir::Graph& subgraph) { walk(subgraph, depth + 1); });
        state_->infer(node);
      }
    };
    walk(root, 0);
  };
  run_graph(*state_->model.graph);
  for (const auto& function : state_->model.functions) run_graph(*function->body);
  state_->changed.clear();
}

void Inference::update(ir::Node& node) {
  std::vector<ir::Node*> pending{&node};
  // Types only get better, so this ends; the cap keeps one edit from re-inferring a 100,000-node chain over and over.
  for (int steps = 0; !pending.empty() && steps < 4096; ++steps) {
    ir::Node& current = *pending.back();
    pending.pop_back();
    state_->changed.clear();
    state_->infer(current);
    const std::vector<const ir::Value*> changed = std::move(state_->changed);
    state_->changed.clear();
    for (const ir::Value* value : changed) {
      if (state_->listener) state_->listener(*value);
      for (const ir::Use& use : value->uses()) {
        if (pending.empty() || pending.back() != use.node) pending.push_back(use.node);
      }
      // What a body gives out is what its If, Loop or Scan gives out.
      if (value->is_graph_output() && value->graph().parent_node()) pending.push_back(value->graph().parent_node());
    }
  }
}

const std::vector<Dimension>* Inference::elements(const ir::Value& value) const { return state_->find(value); }

std::optional<std::vector<std::int64_t>> Inference::known_ints(const ir::Value& value) const {
  const Elements* known = state_->find(value);
  if (!known) return std::nullopt;
  std::vector<std::int64_t> result;
  for (const Dimension& dim : *known) {
    if (!dim.number()) return std::nullopt;
    result.push_back(*dim.number());
  }
  return result;
}

void Inference::forget(const ir::Value& value) {
  state_->elements.erase(&value);
  state_->constants.erase(&value);
}

namespace {

void drop_stale_types(ir::Model& model) {
  ir::for_each_graph(*model.graph, [&](ir::Graph& graph) {
    graph.for_each_value([&](ir::Value& value) {
      if (!value.producer()) return;
      if (graph.parent_node()) return;
      if (!value.type().is_tensor() || !value.shape()) return;
      value.set_type(ir::Type::tensor(value.element_type()));
      if (value.is_graph_output()) value.declare();
    });
  });
}

}  // namespace

void set_input_shape(ir::Model& model, std::string_view input, const Shape& shape) {
  for (ir::Value* value : model.graph->inputs()) {
    if (value->name() != input) continue;
    if (value->shape() && value->shape()->size() != shape.size()) {
      usage_error("input {} has {} dimensions, the shape given has {}", quote(input), value->shape()->size(),
                  shape.size());
    }
    ir::Type type = value->type();
    type.shape = shape;
    value->set_type(std::move(type));
    value->declare();
    drop_stale_types(model);
    return;
  }
  usage_error("the model has no input {}", quote(input));
}

void set_symbol(ir::Model& model, std::string_view symbol, std::int64_t number) {
  bool found = false;
  for (ir::Value* value : model.graph->inputs()) {
    if (!value->shape()) continue;
    ir::Type type = value->type();
    bool touched = false;
    for (Dimension& dim : *type.shape) {
      const std::vector<std::string> symbols = dim.symbols();
      if (std::find(symbols.begin(), symbols.end(), symbol) == symbols.end()) continue;
      dim = dim.substitute([&](std::string_view name) -> std::optional<Dimension> {
        return name == symbol ? std::optional<Dimension>(number) : std::nullopt;
      });
      touched = true;
    }
    if (!touched) continue;
    found = true;
    value->set_type(std::move(type));
    value->declare();
  }
  if (!found) usage_error("no input of the model has a dimension {}", quote(symbol));
  drop_stale_types(model);
}

}  // namespace hone::shapes
