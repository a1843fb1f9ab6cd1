// Patterns with graphs inside: If, Loop, calls of model-local functions, sequences.
#include "hone/support/error.h"
#include "more_patterns.h"

namespace hone::fuzz {
namespace {

using ir::ElementType;

constexpr std::size_t kMaxDepth = 3;

Item last_float(Builder& b) {
  for (std::size_t i = b.items().size(); i-- > 0;) {
    if (b.items()[i].is_float() && b.items()[i].value->producer()) return b.items()[i];
  }
  return b.emit("Identity", {b.pick()});
}

// A branch or body with a few patterns in it; what it gives.
std::unique_ptr<ir::Graph> body(Builder& b, ir::Node& node, const std::function<void(ir::Graph&)>& fill) {
  auto graph = std::make_unique<ir::Graph>(node);
  graph->set_name("body");
  b.enter(*graph);
  try {
    fill(*graph);
  } catch (...) {
    b.leave();
    throw;
  }
  b.leave();
  return graph;
}

void some_patterns(Builder& b) {
  for (std::int64_t i = b.between(1, 3); i > 0; --i) add_pattern(b);
}

void declare(const Item& item) {
  // Shapes inside of bodies are left open: what they are depends on the turn and on the sizes of the inputs.
  ir::Shape shape(item.rank());
  item.value->set_type(ir::Type::tensor(item.type(), shape));
  item.value->declare();
}

void branches(Builder& b) {
  if (b.depth() > kMaxDepth || b.in_function()) throw Rejected{};
  bool taken = b.chance(0.5);
  Item condition;
  if (b.chance(0.6)) {
    condition = b.constant(ir::Tensor::scalar<bool>(taken));
  } else {
    const Item x = b.pick();
    const Item sum = b.reduce("ReduceSum", x, {}, false);
    condition = b.emit("Less", {sum, b.constant(b.number(0))});
    if (condition.rank() != 0) throw Rejected{};
    taken = condition.sample.data<bool>()[0];
  }
  ir::Graph& outer = b.graph();
  ir::Node& node = outer.insert("If", {condition.value}, 0);
  Item result, first;
  try {
    for (const bool then : {true, false}) {
      Item out;
      auto branch = body(b, node, [&](ir::Graph& graph) {
        if (b.chance(0.3) && b.items().empty()) {
          out = b.emit("Identity", {b.chance(0.5) ? b.pick() : b.constant(b.floats({2}))});
        } else {
          some_patterns(b);
          out = last_float(b);
        }
        // Sizes may differ, ranks not: they are declared behind the node, too.
        if (first.value && (b.chance(0.7) ? out.dims() != first.dims() : out.rank() != first.rank()))
          out = b.emit("Identity", {b.constant(b.floats(first.dims()))});
        first = out;
        declare(out);
        graph.add_output(out.value);
      });
      if (then == taken) result = out;
      node.set_attribute(then ? "then_branch" : "else_branch", std::move(branch));
    }
  } catch (...) {
    outer.erase(node);
    throw;
  }
  b.add({node.add_output(), result.sample});
}

void loop(Builder& b) {
  if (b.depth() > kMaxDepth || b.in_function() || b.opset < 11) throw Rejected{};
  const Item start = b.pick();
  const std::int64_t turns = b.one_of<std::int64_t>({1, 1, 1, 2, 3, 0});
  const Item count = b.chance(0.85) ? b.constant(ir::Tensor::scalar<std::int64_t>(turns)) : Item{};
  const bool counted = count.value != nullptr;
  const Item condition = !counted || b.chance(0.5) ? b.constant(ir::Tensor::scalar<bool>(b.chance(0.9))) : Item{};
  const bool scans = b.chance(0.4);
  ir::Graph& outer = b.graph();
  ir::Node& node = outer.insert("Loop", {count.value, condition.value, start.value}, 0);
  Item carried, scanned;
  try {
    auto turn = body(b, node, [&](ir::Graph& graph) {
      const Item index{graph.add_input(graph.fresh_name("i"), ir::Type::tensor(ElementType::int64, ir::Shape{})),
                       ir::Tensor::scalar<std::int64_t>(0)};
      const Item go{graph.add_input(graph.fresh_name("go"), ir::Type::tensor(ElementType::boolean, ir::Shape{})),
                    ir::Tensor::scalar<bool>(true)};
      const Item state{
          graph.add_input(graph.fresh_name("state"), ir::Type::tensor(ElementType::float32, ir::Shape(start.rank()))),
          start.sample};
      index.value->declare();
      go.value->declare();
      state.value->declare();
      b.add(index);
      b.add(state);
      if (b.chance(0.4)) b.emit("Add", {state, b.cast(index, ElementType::float32)});
      some_patterns(b);
      carried = last_float(b);
      if (carried.dims() != start.dims()) carried = b.emit("Add", {state, b.constant(b.floats(start.dims()))});
      const Item next = b.either(
          counted && b.chance(0.7), [&] { return b.emit("Identity", {go}); },
          [&] {
            return b.emit("Less", {index, b.plain_constant(ir::Tensor::scalar<std::int64_t>(b.below(2)))});
          });
      if (scans) scanned = b.emit(b.one_of<std::string>({"Relu", "Identity"}), {b.chance(0.5) ? carried : state});
      for (const Item& each : scans ? std::vector<Item>{next, carried, scanned} : std::vector<Item>{next, carried}) {
        declare(each);
        graph.add_output(each.value);
      }
    });
    node.set_attribute("body", std::move(turn));
  } catch (...) {
    outer.erase(node);
    throw;
  }
  b.add({node.add_output(), carried.sample});
  if (scans) {
    ir::Dims dims = scanned.dims();
    dims.insert(dims.begin(), 1);
    ir::Value* all = node.add_output();
    if (turns == 1) b.add({all, scanned.sample.reshaped(dims)});
  }
}

void call(Builder& b) {
  if (b.depth() > kMaxDepth || b.in_function() || b.model.ir_version < 8 || b.model.functions.size() >= 2)
    throw Rejected{};
  const Item x = b.pick();
  const Item y = b.chance(0.5) ? b.pick() : b.constant(b.floats(x.dims()));
  auto function = std::make_unique<ir::Function>();
  function->domain = "local";
  function->name = "F" + std::to_string(b.model.functions.size());
  function->opsets.push_back({"", b.opset, ""});
  function->body = std::make_unique<ir::Graph>();
  ir::Graph& graph = *function->body;
  Item out;
  bool referenced = false;
  b.enter(graph, true);
  try {
    b.add({graph.add_input("p"), x.sample});
    b.add({graph.add_input("q"), y.sample});
    some_patterns(b);
    out = last_float(b);
    if (out.value->producer() == nullptr) throw Rejected{};
    if (b.chance(0.3)) {  // an attribute of the caller
      const Item leaky = b.emit("LeakyRelu", {out}, {{"alpha", 0.25F}});
      ir::Attribute& alpha = *leaky.value->producer()->attribute("alpha");
      alpha.payload = std::monostate{};
      alpha.reference = "slope";
      alpha.reference_type = 1;
      function->attributes.emplace_back("slope");
      referenced = true;
      out = leaky;
    }
    graph.add_output(out.value);
  } catch (...) {
    b.leave();
    throw;
  }
  b.leave();
  const std::string name = function->name;
  b.model.functions.add(std::move(function));
  if (b.model.opset("local") == 0) b.model.set_opset("local", 1);
  ir::Node& node = b.graph().insert(name, {x.value, y.value}, 1, nullptr, "local");
  if (referenced) node.set_attribute("slope", 0.25F);
  b.add({node.output(0), out.sample});
  if (b.chance(0.3)) {
    ir::Node& again = b.graph().insert(name, {x.value, y.value}, 1, nullptr, "local");
    if (referenced) again.set_attribute("slope", b.chance(0.5) ? 0.25F : 0.5F);
    b.add({again.output(0), out.sample});
  }
}

void sequence(Builder& b) {
  if (b.opset < 11) throw Rejected{};
  const Item x = b.pick(), y = b.pick();
  ir::Node& made = b.graph().insert("SequenceConstruct", {x.value, y.value}, 1);
  const Item at = b.constant(ir::Tensor::scalar<std::int64_t>(b.one_of<std::int64_t>({0, 1, -1})));
  ir::Node& node = b.graph().insert("SequenceAt", {made.output(0), at.value}, 1);
  b.add({node.output(0), at.sample.data<std::int64_t>()[0] == 0 ? x.sample : y.sample});
}

}  // namespace

std::vector<Pattern> control_patterns() {
  return {{"branches", branches, 3}, {"loop", loop, 2}, {"call", call, 2}, {"sequence", sequence, 1}};
}

}  // namespace hone::fuzz
