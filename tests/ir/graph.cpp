#include "hone/ir/graph.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <set>

#include "hone/support/error.h"

using namespace hone::ir;
using hone::Error;
using hone::ErrorKind;

namespace {

std::string dump(const Graph& graph, const std::string& indent = "") {
  std::string out;
  for (const Value* input : graph.inputs()) out += indent + "in " + input->name() + " " + text(input->type()) + "\n";
  for (const Value* value : graph.initializers()) out += indent + "init " + value->name() + "\n";
  for (const Node& node : graph.nodes()) {
    out += indent;
    for (std::size_t i = 0; i < node.output_count(); ++i) out += (node.output(i) ? node.output(i)->name() : "-") + " ";
    out += "= " + node.domain() + ":" + node.op_type() + "(";
    for (std::size_t i = 0; i < node.input_count(); ++i) out += (node.input(i) ? node.input(i)->name() : "-") + ",";
    out += ")\n";
    node.for_each_subgraph([&](const Graph& inner) { out += dump(inner, indent + "  "); });
  }
  for (const Value* output : graph.outputs()) out += indent + "out " + output->name() + "\n";
  return out;
}

template <typename F>
void raises_internal(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::internal);
    return;
  }
  FAIL("nothing was raised");
}

// x -> Relu -> a -> Relu -> b, b is the output.
struct Chain {
  Graph graph;
  Value* x = graph.add_input("x");
  Node& first = graph.insert("Relu", {x}, 1);
  Value* a = first.output();
  Node& second = graph.insert("Relu", {a}, 1);
  Value* b = second.output();
  Chain() {
    graph.rename(*a, "a");
    graph.rename(*b, "b");
    graph.add_output(b);
  }
};

Graph& add_subgraph(Node& node, const std::string& attribute) {
  auto graph = std::make_unique<Graph>(node);
  Graph& result = *graph;
  node.set_attribute(attribute, std::move(graph));
  return result;
}

}  // namespace

TEST_CASE("uses follow inputs") {
  Chain chain;
  verify(chain.graph);
  REQUIRE(chain.x->uses().size() == 1);
  CHECK(chain.x->only_use()->node == &chain.first);
  CHECK(chain.a->only_use()->index == 0);
  CHECK(chain.b->only_use() == nullptr);
  CHECK(chain.b->has_uses());
  CHECK(chain.b->is_graph_output());

  Node& add = chain.graph.insert("Add", {chain.a, nullptr, chain.a, chain.x}, 1);
  CHECK(chain.a->uses().size() == 3);
  add.remove_input(0);
  CHECK(add.input_count() == 3);
  CHECK(add.input(0) == nullptr);
  verify(chain.graph);
  add.set_input(5, chain.x);
  CHECK(add.input_count() == 6);
  add.set_input(5, nullptr);
  add.trim_inputs();
  CHECK(add.input_count() == 3);
  CHECK(add.input(17) == nullptr);
  verify(chain.graph);
  chain.graph.erase(add);
  CHECK(chain.a->uses().size() == 1);
  verify(chain.graph);
}

TEST_CASE("nodes stand in order") {
  Graph graph;
  Node& c = graph.insert("C");
  Node& a = graph.insert("A", &c);
  Node& b = graph.insert("B", &c);
  CHECK(a.is_before(b));
  CHECK(b.is_before(c));
  CHECK_FALSE(c.is_before(a));
  CHECK(graph.first() == &a);
  graph.move_before(a, nullptr);
  CHECK(c.is_before(a));
  graph.move_before(a, &b);
  CHECK(dump(graph) == "= :A()\n= :B()\n= :C()\n");
  graph.move_before(a, &b);
  graph.move_before(a, &a);
  verify(graph);
}

TEST_CASE("positions survive many insertions at one place") {
  for (int place = 0; place < 4; ++place) {
    Graph graph;
    Node& first = graph.insert("First");
    Node& last = graph.insert("Last");
    std::mt19937 random(1);
    std::vector<Node*> nodes = {&first, &last};
    for (int i = 0; i < 20000; ++i) {
      Node* before = place == 0   ? &last
                     : place == 1 ? first.next()
                     : place == 2 ? graph.first()
                                  : nodes[random() % nodes.size()];
      nodes.push_back(&graph.insert("N", before));
      if (i % 1000 == 0) verify(graph);
    }
    verify(graph);
  }
}

TEST_CASE("walking survives erasing the current node") {
  Graph graph;
  for (int i = 0; i < 10; ++i) graph.insert(i % 2 ? "Odd" : "Even");
  for (Node& node : graph.nodes()) {
    if (node.is("Odd")) graph.erase(node);
  }
  CHECK(graph.node_count() == 5);
  verify(graph);
}

TEST_CASE("replacing all uses moves outputs, too") {
  Chain chain;
  Node& neg = chain.graph.insert("Neg", {chain.x}, 1, &chain.second);
  chain.graph.replace_all_uses(*chain.a, *neg.output());
  CHECK_FALSE(chain.a->has_uses());
  CHECK(chain.second.input(0) == neg.output());
  chain.graph.erase(chain.first);
  verify(chain.graph);

  // The output keeps its name when the names are exchanged.
  chain.graph.add_output(chain.b);
  chain.graph.replace_all_uses(*chain.b, *neg.output());
  CHECK(chain.graph.outputs()[0] == neg.output());
  CHECK(chain.graph.outputs()[1] == neg.output());
  chain.graph.exchange_names(*chain.b, *neg.output());
  CHECK(chain.graph.outputs()[0]->name() == "b");
  CHECK(chain.graph.find("b") == neg.output());
  CHECK_FALSE(chain.b->is_graph_output());
  chain.graph.erase(chain.second);
  verify(chain.graph);
  CHECK(chain.graph.find("Neg") == nullptr);
}

TEST_CASE("outputs may stay, and single uses be chosen") {
  Chain chain;
  Node& neg = chain.graph.insert("Neg", {chain.b}, 1);
  Node& abs = chain.graph.insert("Abs", {chain.b}, 1);
  chain.graph.replace_uses_if(*chain.b, *neg.output(), [&](const Use& use) { return use.node != &neg; });
  CHECK(neg.input(0) == chain.b);
  CHECK(abs.input(0) == neg.output());
  chain.graph.replace_all_uses(*neg.output(), *chain.b, false);
  CHECK(abs.input(0) == chain.b);
  CHECK(chain.graph.outputs()[0] == chain.b);
  verify(chain.graph);
}

TEST_CASE("what is used is not erased") {
  Chain chain;
  raises_internal([&] { chain.graph.erase(chain.first); });
  raises_internal([&] { chain.graph.erase(chain.second); });
  raises_internal([&] { chain.graph.remove_input(0); });
  raises_internal([&] { chain.first.drop_output(0); });
  raises_internal([&] { chain.graph.rename(*chain.a, "b"); });
  raises_internal([&] { chain.graph.rename(*chain.a, ""); });
  raises_internal([&] { chain.first.add_output("x"); });
  raises_internal([&] { chain.graph.set_initializer(*chain.a, Tensor()); });
  Graph other;
  raises_internal([&] { other.insert("Relu", {chain.x}, 1); });
  raises_internal([&] { other.add_output(chain.x); });
  verify(chain.graph);
}

TEST_CASE("names") {
  Graph graph;
  CHECK(graph.fresh_name("x") == "x");
  CHECK(graph.fresh_name("") == "value");
  graph.add_input("x");
  CHECK(graph.fresh_name("x") == "x_1");
  CHECK(graph.fresh_name("x") == "x_1");
  graph.add_input("x_1");
  CHECK(graph.fresh_name("x") == "x_2");
  Node& node = graph.insert("Split");
  node.set_name("my split");
  CHECK(node.add_output()->name() == "my split");
  CHECK(node.add_output()->name() == "my split_1");
  CHECK(node.set_output(3, "third")->output_index() == 3);
  CHECK(node.output(2) == nullptr);
  node.drop_output(3);
  CHECK(node.output_count() == 2);
  CHECK(graph.find("third") == nullptr);
  Value* renamed = node.set_output(1, "other");
  CHECK(renamed == graph.find("other"));
  CHECK(graph.find("my split_1") == nullptr);
  verify(graph);
}

TEST_CASE("names come and go") {
  Graph graph;
  std::set<std::string> present;
  std::mt19937 random(3);
  for (int i = 0; i < 20000; ++i) {
    const std::string name = "n" + std::to_string(random() % 400);
    if (Value* value = graph.find(name)) {
      REQUIRE(present.erase(name) == 1);
      REQUIRE(value->name() == name);
      graph.erase(*value->producer());
    } else {
      REQUIRE(present.insert(name).second);
      graph.insert("N").add_output(name);
    }
  }
  std::size_t count = 0;
  graph.for_each_value([&](Value& value) { count += present.count(value.name()); });
  CHECK(count == present.size());
  verify(graph);
}

TEST_CASE("graph inputs and initializers") {
  Graph graph;
  Value* x = graph.add_input("x", Type::tensor(ElementType::float32, Shape{2}));
  Value* w = graph.add_initializer("w", Tensor());
  CHECK(graph.add_initializer("w", Tensor())->name() == "w_1");
  CHECK(graph.add_initializer("", Tensor())->name() == "value");
  CHECK(graph.initializers().size() == 3);
  graph.set_initializer(*x, Tensor());
  CHECK(graph.initializers().back() == x);
  CHECK(constant(x) == nullptr);
  CHECK(constant(w) == w->initializer());
  CHECK(constant(nullptr) == nullptr);
  verify(graph);

  // Without being an input, an initializer is a constant.
  graph.insert("Relu", {x}, 1);
  graph.remove_input(0);
  CHECK(constant(x) == x->initializer());
  CHECK(graph.inputs().empty());
  verify(graph);
  raises_internal([&] { graph.remove_initializer(*x); });
  graph.remove_initializer(*w);
  CHECK(graph.find("w") == nullptr);
  CHECK(graph.initializers().size() == 3);
  verify(graph);

  // Many removals close the gaps.
  std::vector<Value*> many;
  for (int i = 0; i < 500; ++i) many.push_back(graph.add_initializer("many", Tensor()));
  for (int i = 0; i < 500; ++i) {
    if (i % 5) graph.remove_initializer(*many[static_cast<std::size_t>(i)]);
  }
  CHECK(graph.initializers().size() == 103);
  CHECK(graph.initializers().back() == many[495]);
  verify(graph);

  SparseTensor sparse;
  sparse.dims = {4, 5};
  Value* s = graph.add_sparse_initializer("s", std::move(sparse));
  CHECK(text(*s->shape()) == "[4,5]");
  CHECK(s->initializer() == nullptr);
  CHECK(constant(s) == nullptr);
  verify(graph);
}

TEST_CASE("a type that was declared is dropped when it is stale") {
  Chain chain;
  chain.a->declare();
  const Type type = Type::tensor(ElementType::float32, Shape{1});
  chain.a->set_type(type);
  CHECK(chain.a->is_declared());
  CHECK(chain.a->element_type() == ElementType::float32);
  chain.a->undeclare();
  CHECK_FALSE(chain.a->is_declared());
}

TEST_CASE("attributes") {
  Graph graph;
  Node& node = graph.insert("Foo", nullptr, "ai.onnx");
  CHECK(node.is("Foo"));
  CHECK(node.domain().empty());
  node.set_attribute("i", std::int64_t{3});
  node.set_attribute("f", 2.5f);
  node.set_attribute("s", std::string("text"));
  node.set_attribute("is", std::vector<std::int64_t>{1, 2});
  node.set_attribute("fs", std::vector<float>{1.5f});
  node.set_attribute("t", Tensor());
  CHECK(node.int_or("i", 0) == 3);
  CHECK(node.int_or("none", 7) == 7);
  CHECK(node.float_or("f", 0) == 2.5f);
  CHECK(node.string_or("s", "") == "text");
  CHECK(node.string_or("none", "fallback") == "fallback");
  CHECK(node.ints_or("is", {}) == std::vector<std::int64_t>{1, 2});
  CHECK(node.floats_or("fs", {}) == std::vector<float>{1.5f});
  CHECK(node.tensor("t") != nullptr);
  CHECK(node.tensor("i") == nullptr);
  CHECK(node.subgraph("i") == nullptr);
  CHECK_THROWS_WITH(node.int_or("f", 0), Catch::Contains("'f'") && Catch::Contains("Foo"));
  node.set_attribute("i", std::int64_t{4});
  CHECK(node.attributes().size() == 6);
  CHECK(node.attributes()[0].name == "i");
  node.remove_attribute("i");
  CHECK_FALSE(node.has_attribute("i"));
  Attribute reference;
  reference.name = "axis";
  reference.reference = "outer_axis";
  node.attributes().push_back(std::move(reference));
  CHECK_THROWS_WITH(node.int_or("axis", 0), Catch::Contains("outer_axis"));
  verify(graph);
}

TEST_CASE("subgraphs use what is around them") {
  Chain chain;
  Node& branch = chain.graph.insert("If", {chain.x}, 1, &chain.second);
  Graph& then = add_subgraph(branch, "then_branch");
  Graph& otherwise = add_subgraph(branch, "else_branch");
  Node& neg = then.insert("Neg", {chain.a}, 1);
  then.add_output(neg.output());
  otherwise.add_output(chain.a);
  verify(chain.graph);
  CHECK(chain.a->uses().size() == 2);
  CHECK(chain.a->output_of().size() == 1);
  CHECK(chain.graph.encloses(then));
  CHECK_FALSE(then.encloses(chain.graph));
  CHECK(then.parent_graph() == &chain.graph);
  CHECK(ancestor_in(chain.graph, neg) == &branch);
  CHECK(ancestor_in(otherwise, neg) == nullptr);
  CHECK(then.find_in_scope("a") == chain.a);
  CHECK(then.find("a") == nullptr);
  CHECK(total_node_count(chain.graph) == 4);
  raises_internal([&] { chain.graph.insert("Relu", {neg.output()}, 1); });
  raises_internal([&] { otherwise.insert("Relu", {neg.output()}, 1); });

  // Siblings may share a name.
  otherwise.insert("Neg").add_output(neg.output()->name());
  verify(chain.graph);

  // All of an outer value's uses move, subgraph outputs as well.
  chain.graph.replace_all_uses(*chain.a, *chain.x);
  CHECK(otherwise.outputs()[0] == chain.x);
  CHECK(neg.input(0) == chain.x);
  verify(chain.graph);
  chain.graph.erase(branch);
  CHECK(chain.x->output_of().empty());
  CHECK(chain.x->uses().size() == 2);
  verify(chain.graph);
}

TEST_CASE("a captured name is never caught by a nearer one") {
  Chain chain;
  Node& branch = chain.graph.insert("If", {chain.x}, 0, &chain.second);
  Graph& then = add_subgraph(branch, "then_branch");
  Value* shadow = then.insert("Neg").add_output("a");
  Node& user = then.insert("Abs", {shadow}, 1);
  verify(chain.graph);
  user.set_input(1, chain.a);
  CHECK(chain.a->name() == "a");
  CHECK(shadow->name() == "a_1");
  verify(chain.graph);
  // Renaming and exchanging outer values, and initializers given a taken name.
  then.insert("Neg").add_output("q");
  chain.graph.rename(*chain.a, "z");
  chain.graph.exchange_names(*chain.a, *chain.x);
  CHECK(chain.a->name() == "x");
  CHECK(then.add_initializer("x", Tensor())->name() == "x_1");
  CHECK(chain.graph.add_initializer("q", Tensor())->name() == "q_1");
  CHECK(then.add_initializer("b", Tensor(), true)->name() == "b");
  verify(chain.graph);
  then.add_output(chain.a);
  verify(chain.graph);
}

TEST_CASE("sorting") {
  Graph graph;
  Value* x = graph.add_input("x");
  Node& last = graph.insert("Last");
  Node& holder = graph.insert("If");
  Node& free = graph.insert("Free");
  Node& first = graph.insert("First", {x}, 1);
  Node& middle = graph.insert("Middle", {first.output()}, 1);
  last.add_input(middle.output());
  Graph& inner = add_subgraph(holder, "then_branch");
  if (GENERATE(true, false)) {
    inner.insert("Inner", {middle.output()}, 1);
  } else {
    inner.add_output(middle.output());
  }
  raises_internal([&] { verify(graph); });
  REQUIRE(graph.sort());
  verify(graph);
  CHECK(graph.first() == &free);
  CHECK(middle.is_before(holder));
  CHECK(last.is_before(holder));
  REQUIRE(graph.sort());

  first.set_input(0, middle.output());
  const std::string before = dump(graph);
  CHECK_FALSE(graph.sort());
  CHECK(dump(graph) == before);
  first.set_input(0, x);
  verify(graph);
}

TEST_CASE("clones share nothing but tensors") {
  Chain chain;
  chain.graph.set_name("main");
  chain.graph.set_rest("rest");
  chain.graph.dangling_infos.emplace_back(0, "info");
  Value* w = chain.graph.add_initializer("w", Tensor());
  chain.graph.set_initializer(*chain.x, Tensor());
  Node& loop = chain.graph.insert("Loop", {chain.x, w, nullptr}, 2, &chain.second, "custom");
  loop.set_output(1, "loop_out");
  Graph& body = add_subgraph(loop, "body");
  Value* i = body.add_input("i");
  Node& inner = body.insert("Add", {i, chain.a, w}, 1);
  inner.set_attribute("k", std::int64_t{1});
  body.add_output(inner.output());
  body.add_output(chain.a);
  Graph& deeper = add_subgraph(body.insert("If", {i}, 1), "then_branch");
  deeper.add_output(deeper.insert("Neg", {inner.output()}, 1).output());
  verify(chain.graph);

  const auto copy = clone_graph(chain.graph);
  verify(*copy);
  CHECK(dump(*copy) == dump(chain.graph));
  CHECK(copy->name() == "main");
  CHECK(copy->rest() == "rest");
  CHECK(copy->dangling_infos.size() == 1);
  CHECK(copy->find("x")->is_graph_input());

  SECTION("a node into its own graph gets new names") {
    ValueMap map;
    Node& twin = clone_into(loop, chain.graph, nullptr, map);
    CHECK(twin.output(1)->name() == "loop_out_1");
    CHECK(map.at(loop.output(1)) == twin.output(1));
    CHECK(twin.subgraph("body")->parent_node() == &twin);
    CHECK(twin.subgraph("body")->outputs()[1] == chain.a);
    verify(chain.graph);
  }
  SECTION("a body is inlined") {
    ValueMap map{{i, chain.x}};
    clone_into(body, chain.graph, &chain.second, map);
    verify(chain.graph);
    Node& added = *map.at(inner.output())->producer();
    CHECK(&added.graph() == &chain.graph);
    CHECK(added.input(0) == chain.x);
    CHECK(added.input(1) == chain.a);
    CHECK(added.int_or("k", 0) == 1);
    chain.graph.erase(loop);
    verify(chain.graph);
    ValueMap empty;
    Graph other;
    raises_internal([&] { clone_into(*copy, other, nullptr, empty); });
  }
  SECTION("a subgraph for another node keeps its names") {
    Node& other = chain.graph.insert("Scan");
    ValueMap map{{chain.a, chain.b}};
    auto clone = clone_subgraph(body, other, map);
    CHECK(clone->outputs()[1] == chain.b);
    CHECK(clone->outputs()[0]->name() == inner.output()->name());
    other.set_attribute("body", std::move(clone));
    verify(chain.graph);
    raises_internal([&] { loop.set_attribute("body", clone_subgraph(body, other, map)); });
    verify(chain.graph);
  }
}

TEST_CASE("verify finds what is broken") {
  Chain chain;
  verify(chain.graph);
  chain.first.set_input(0, chain.b);
  CHECK_THROWS_WITH(verify(chain.graph), Catch::Contains("before it is made"));
  chain.first.set_input(0, chain.x);
  Attribute twice("k", std::int64_t{1});
  chain.first.set_attribute("k", std::int64_t{1});
  chain.first.attributes().push_back(std::move(twice));
  CHECK_THROWS_WITH(verify(chain.graph), Catch::Contains("twice"));
}

namespace {

// Random changes to a graph with subgraphs, all of them legal.
struct Mutator {
  std::mt19937 random;
  Graph graph;

  explicit Mutator(unsigned seed) : random(seed) { graph.add_input("x"); }

  std::size_t below(std::size_t bound) { return random() % bound; }

  std::vector<Graph*> graphs() {
    std::vector<Graph*> all;
    for_each_graph(graph, [&](Graph& each) { all.push_back(&each); });
    return all;
  }
  Graph& any_graph() {
    const auto all = graphs();
    return *all[below(all.size())];
  }
  Node* any_node(Graph& in) {
    if (in.node_count() == 0) return nullptr;
    Node* node = in.first();
    for (std::size_t steps = below(in.node_count()); steps > 0; --steps) node = node->next();
    return node;
  }
  static std::vector<Value*> sorted_values(const Graph& in) {
    std::vector<Value*> values;
    in.for_each_value([&](Value& value) { values.push_back(&value); });
    std::sort(values.begin(), values.end(), [](const Value* a, const Value* b) { return a->name() < b->name(); });
    return values;
  }
  // Values that a node of `in` standing before `before` may use.
  std::vector<Value*> visible(Graph& in, Node* before) {
    std::vector<Value*> values;
    for (Graph* at = &in; at; before = at->parent_node(), at = at->parent_graph()) {
      for (Value* value : sorted_values(*at)) {
        if (value->producer() && before && !value->producer()->is_before(*before)) continue;
        values.push_back(value);
      }
    }
    return values;
  }
  Value* any_visible(Graph& in, Node* before) {
    const auto values = visible(in, before);
    return values.empty() || below(8) == 0 ? nullptr : values[below(values.size())];
  }
  std::string any_name() { return std::string(1, static_cast<char>('a' + below(6))); }

  void step() {
    Graph& in = any_graph();
    Node* node = any_node(in);
    switch (below(18)) {
      case 0:
      case 1:
      case 2: {
        Node* before = below(2) ? node : nullptr;
        std::vector<Value*> inputs;
        for (std::size_t i = below(4); i > 0; --i) inputs.push_back(any_visible(in, before));
        in.insert("Op", inputs, below(3), before);
        break;
      }
      case 3: {
        if (!node) break;
        bool used = false;
        for (std::size_t i = 0; i < node->output_count(); ++i) used |= node->output(i) && node->output(i)->has_uses();
        if (!used) in.erase(*node);
        break;
      }
      case 4:
        if (node) node->set_input(below(5), any_visible(in, node));
        break;
      case 5:
        if (node && node->input_count() > 0) node->remove_input(below(node->input_count()));
        break;
      case 6:
        if (node) node->trim_inputs();
        break;
      case 7:
        if (node && graphs().size() < 12 && below(2)) {
          auto inner = std::make_unique<Graph>(*node);
          const bool named = below(2);
          if (named) inner->add_input(inner->fresh_name(any_name()));
          node->set_attribute("body" + std::to_string(below(2)), std::move(inner));
        }
        break;
      case 8: {
        const auto values = sorted_values(in);
        if (values.empty()) break;
        Value* value = values[below(values.size())];
        // A replacement that every use can see: one that is there before the value is.
        Node* at = value->producer();
        std::vector<Value*> candidates = at ? visible(in, at) : std::vector<Value*>();
        if (!at) {
          for (Value* other : values) {
            if (!other->producer()) candidates.push_back(other);
          }
        }
        if (!candidates.empty()) in.replace_all_uses(*value, *candidates[below(candidates.size())], below(2));
        break;
      }
      case 9: {
        const auto values = sorted_values(in);
        if (!values.empty()) in.rename(*values[below(values.size())], in.fresh_name(any_name()));
        break;
      }
      case 10: {
        const auto values = sorted_values(in);
        if (!values.empty()) in.exchange_names(*values[below(values.size())], *values[below(values.size())]);
        break;
      }
      case 11:
        in.add_initializer(any_name(), Tensor());
        break;
      case 12:
        for (Value* value : in.initializers()) {
          if (!value->has_uses()) {
            in.remove_initializer(*value);
            break;
          }
        }
        break;
      case 13:
        if (in.inputs().size() < 4) in.add_input(in.fresh_name(any_name()));
        break;
      case 14:
        if (!in.inputs().empty()) {
          const std::size_t i = below(in.inputs().size());
          if (below(3) == 0) in.set_initializer(*in.inputs()[i], Tensor());
          if (in.inputs()[i]->initializer() || !in.inputs()[i]->has_uses()) in.remove_input(i);
        }
        break;
      case 15:
        if (!in.outputs().empty() && below(2)) {
          const std::size_t i = below(in.outputs().size());
          if (Value* value = any_visible(in, nullptr); value && below(2)) {
            in.set_output(i, value);
          } else {
            in.remove_output(i);
          }
        } else if (Value* value = any_visible(in, nullptr)) {
          in.add_output(value);
        }
        break;
      case 16:
        if (node && total_node_count(graph) < 200) {
          ValueMap map;
          Node* before = below(2) ? node->next() : nullptr;
          clone_into(*node, in, before, map);
        }
        break;
      case 17:
        if (node) {
          in.move_before(*node, any_node(in));
          // May have broken the order; there is always one that is right.
          REQUIRE(in.sort());
        }
        break;
    }
  }
};

}  // namespace

TEST_CASE("random changes keep every invariant") {
  for (unsigned seed = 0; seed < 40; ++seed) {
    Mutator mutator(seed);
    CAPTURE(seed);
    for (int i = 0; i < 250; ++i) {
      CAPTURE(i);
      mutator.step();
      REQUIRE_NOTHROW(verify(mutator.graph));
    }
    const auto copy = clone_graph(mutator.graph);
    REQUIRE_NOTHROW(verify(*copy));
    REQUIRE(dump(*copy) == dump(mutator.graph));
  }
}

TEST_CASE("a chain of 200,000 nodes", "[scale]") {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  };
  auto start = Clock::now();
  auto graph = std::make_unique<Graph>();
  Value* value = graph->add_input("x");
  for (int i = 0; i < 200000; ++i) {
    Node& node = graph->insert("Relu");
    node.add_input(value);
    value = node.add_output("layer/Relu_output_" + std::to_string(i));
  }
  graph->add_output(value);
  const double built = since(start);
  start = Clock::now();
  verify(*graph);
  const double verified = since(start);
  start = Clock::now();
  auto copy = clone_graph(*graph);
  const double cloned = since(start);
  start = Clock::now();
  for (Node& node : copy->nodes()) {
    if (node.output()->is_graph_output()) break;
    copy->replace_all_uses(*node.output(), *node.input(0));
    copy->erase(node);
  }
  const double erased = since(start);
  CHECK(copy->node_count() == 1);
  CHECK(copy->sort());
  start = Clock::now();
  graph.reset();
  WARN("200,000 nodes, ms: build " << built << ", verify " << verified << ", clone " << cloned << ", replace and erase "
                                   << erased << ", destroy " << since(start));
}

TEST_CASE("one value with 200,000 uses, one stem for 200,000 names", "[scale]") {
  Graph graph;
  Value* x = graph.add_input("x");
  Value* y = graph.add_input("y");
  std::vector<Node*> nodes;
  for (int i = 0; i < 200000; ++i) nodes.push_back(&graph.insert("Relu", {x}, 1));
  CHECK(graph.last()->output()->name() == "Relu_199999");
  for (std::size_t i = 0; i < nodes.size(); i += 2) graph.erase(*nodes[i]);
  graph.replace_all_uses(*x, *y);
  CHECK(y->uses().size() == 100000);
  CHECK(x->uses().empty());
  verify(graph);
}
