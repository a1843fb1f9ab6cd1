// Attention as one kernel: spelled out, and as the operators that are it.
#include <limits>

#include "agreement.h"
#include "exec/onednn/avx2.h"
#include "hone/support/buffer.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

struct Sizes {
  std::int64_t batch = 1, heads = 1, rows = 1, keys = 1, size = 1, value_size = 1;
};
Sizes random_sizes(Random& random) {
  return {between(random, 1, 3),  between(random, 1, 4),  between(random, 1, 70),
          between(random, 1, 90), between(random, 1, 40), between(random, 1, 40)};
}

Tensor mask_of(Random& random, const Dims& full, bool choices) {
  Dims dims = full;
  for (std::int64_t& dim : dims) {
    if (random.below(2) == 0) dim = 1;
  }
  if (random.below(3) == 0 && dims.size() > 2) dims.erase(dims.begin());
  if (!choices) {
    Tensor mask = normal(random, dims);
    for (float& each : mask.mutable_data<float>()) {
      if (random.below(4) == 0) each = -1e9F;
    }
    return mask;
  }
  Tensor mask = Tensor::allocate(ElementType::boolean, dims);
  for (bool& each : mask.mutable_data<bool>()) each = random.below(4) != 0;
  return mask;
}

Value* transposed(Graph& graph, Value* value, std::vector<std::int64_t> order) {
  ir::Node& node = graph.insert("Transpose", {value}, 1);
  node.set_attribute("perm", std::move(order));
  return node.output(0);
}

// softmax(q k, scaled and masked) v, with or without the transpositions of heads.
Model spelled_out(Random& random, const Sizes& n, std::vector<ir::NamedDatum>& feed, std::string& what) {
  Model model = empty_model();
  Graph& graph = *model.graph;
  const bool heads = random.below(3) != 0;  // of a dimension of their own
  const auto side = [&](const char* name, std::int64_t rows, std::int64_t size, bool keys) {
    const std::uint64_t kind = random.below(3);
    what += fmt::format(" {} {}", name, kind);
    if (!heads) {
      const bool turned = keys && kind > 0;
      Value* value = input(model, feed, name,
                           normal(random, keys && !turned ? Dims{n.batch, size, rows} : Dims{n.batch, rows, size}));
      return turned ? transposed(graph, value, {0, 2, 1}) : value;
    }
    if (kind == 0) {
      Value* value = input(model, feed, name, normal(random, {n.batch, rows, n.heads, size}));
      return transposed(graph, value,
                        keys ? std::vector<std::int64_t>{0, 2, 3, 1} : std::vector<std::int64_t>{0, 2, 1, 3});
    }
    if (kind == 1 && keys) {
      Value* value = input(model, feed, name, normal(random, {n.batch, n.heads, rows, size}));
      return transposed(graph, value, {0, 1, 3, 2});
    }
    return input(model, feed, name,
                 normal(random, keys ? Dims{n.batch, n.heads, size, rows} : Dims{n.batch, n.heads, rows, size}));
  };
  Value* q = side("q", n.rows, n.size, false);
  Value* k = side("k", n.keys, n.size, true);
  Value* v = side("v", n.keys, n.value_size, false);
  Value* scores = graph.insert("MatMul", {q, k}, 1).output(0);
  const std::uint64_t scaled = random.below(3);
  if (scaled > 0) {
    Value* factor = graph.add_initializer("factor", Tensor::scalar(0.3F));
    scores = scaled == 1 ? graph.insert("Mul", {factor, scores}, 1).output(0)
                         : graph.insert("Div", {scores, factor}, 1).output(0);
  }
  const Dims full = heads ? Dims{n.batch, n.heads, n.rows, n.keys} : Dims{n.batch, n.rows, n.keys};
  for (std::uint64_t i = random.below(3); i > 0; --i) {
    const std::uint64_t kind = random.below(3);
    what += fmt::format(" mask {}", kind);
    Value* mask = input(model, feed, fmt::format("mask{}", i), mask_of(random, full, kind > 0));
    if (kind == 0) {
      scores =
          graph
              .insert("Add",
                      random.below(2) == 0 ? std::vector<Value*>{scores, mask} : std::vector<Value*>{mask, scores}, 1)
              .output(0);
      continue;
    }
    Value* hidden = graph.add_initializer("hidden", Tensor::scalar(-1e4F));
    scores =
        graph
            .insert("Where",
                    kind == 1 ? std::vector<Value*>{mask, scores, hidden} : std::vector<Value*>{mask, hidden, scores},
                    1)
            .output(0);
  }
  ir::Node& softmax = graph.insert("Softmax", {scores}, 1);
  softmax.set_attribute("axis", std::int64_t{-1});
  Value* result = graph.insert("MatMul", {softmax.output(0), v}, 1).output(0);
  if (heads && random.below(2) == 0) {
    what += " put together";
    result = transposed(graph, result, {0, 2, 1, 3});
  }
  graph.add_output(result);
  return model;
}

}  // namespace

TEST_CASE("attention: spelled out, as one kernel it agrees with the nodes") {
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    const Sizes n = random_sizes(random);
    std::vector<ir::NamedDatum> feed;
    std::string what =
        fmt::format("{} x {}: {} by {} of {} and {}", n.batch, n.heads, n.rows, n.keys, n.size, n.value_size);
    const Model model = spelled_out(random, n, feed, what);
    compare(model, feed, what);
    if (onednn::has_avx2()) CHECK(kernels_run(model, feed) == std::vector<std::string>{"avx2"});
  }
}

TEST_CASE("attention: queries that see nothing are what the nodes make of them") {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const std::int64_t rows : {1, 9}) {
    Model model = empty_model();
    std::vector<ir::NamedDatum> feed;
    Random random(2);
    Value* q = input(model, feed, "q", normal(random, {1, rows, 8}));
    Value* k = input(model, feed, "k", normal(random, {1, 8, 11}));
    Value* v = input(model, feed, "v", normal(random, {1, 11, 8}));
    Tensor hidden = Tensor::allocate(ElementType::float32, {1, 1, 11});
    for (float& each : hidden.mutable_data<float>()) each = -infinity;
    Value* mask = input(model, feed, "mask", std::move(hidden));
    Graph& graph = *model.graph;
    Value* sum = graph.insert("Add", {graph.insert("MatMul", {q, k}, 1).output(0), mask}, 1).output(0);
    graph.add_output(graph.insert("MatMul", {graph.insert("Softmax", {sum}, 1).output(0), v}, 1).output(0));
    for (const float value : Session(model).run(feed)[0].tensor()->to_floats()) CHECK(std::isnan(value));
  }
}

TEST_CASE("attention: what cannot be one kernel runs as it was") {
  const auto scores = [](Graph& graph, Value* q, Value* k) { return graph.insert("MatMul", {q, k}, 1).output(0); };
  Random random(3);
  const auto check = [&](const Dims& q_dims, const Dims& k_dims, const Dims& v_dims, const Dims& mask_dims, bool shows,
                         std::int64_t axis, bool fused) {
    Model model = empty_model();
    std::vector<ir::NamedDatum> feed;
    Graph& graph = *model.graph;
    Value* q = input(model, feed, "q", normal(random, q_dims));
    Value* k = input(model, feed, "k", normal(random, k_dims));
    Value* v = input(model, feed, "v", normal(random, v_dims));
    Value* sum =
        graph.insert("Add", {scores(graph, q, k), input(model, feed, "mask", normal(random, mask_dims))}, 1).output(0);
    ir::Node& softmax = graph.insert("Softmax", {sum}, 1);
    softmax.set_attribute("axis", axis);
    graph.add_output(graph.insert("MatMul", {softmax.output(0), v}, 1).output(0));
    if (shows) graph.add_output(softmax.output(0));
    compare(model, feed, fmt::format("{} {} {}", ir::text(q_dims), ir::text(k_dims), ir::text(mask_dims)));
    if (onednn::has_avx2()) CHECK((kernels_run(model, feed) == std::vector<std::string>{"avx2"}) == fused);
  };
  check({2, 3, 5, 4}, {2, 3, 4, 6}, {2, 3, 6, 7}, {2, 1, 1, 6}, false, -1, true);
  check({2, 3, 5, 4}, {2, 3, 4, 6}, {2, 3, 6, 7}, {2, 1, 1, 6}, true, -1, false);   // probabilities are asked for
  check({2, 3, 6, 4}, {2, 3, 4, 6}, {2, 3, 6, 7}, {2, 1, 1, 6}, false, -2, false);  // of queries, not of keys
  check({2, 3, 5, 4}, {4, 6}, {2, 3, 6, 7}, {6}, false, -1, false);                 // one matrix of keys for all
  check({2, 1, 5, 4}, {2, 3, 4, 6}, {2, 3, 6, 7}, {6}, false, -1, false);           // one query for all heads
  check({1, 3, 5, 4}, {1, 3, 4, 6}, {1, 3, 6, 7}, {2, 3, 5, 6}, false, -1, false);  // more masks than scores
  check({2, 2, 3, 5, 4}, {2, 2, 3, 4, 6}, {2, 2, 3, 6, 7}, {6}, false, -1, false);  // five dimensions
}

TEST_CASE("attention: operators agree with the reference") {
  Random random(4);
  for (int round = 0; round < 120; ++round) {
    const Sizes n = random_sizes(random);
    const std::int64_t shared = between(random, 1, 3);  // query heads for each of keys
    const bool causal = random.below(2) == 0, apart = random.below(2) == 0;
    Model model = empty_model();
    model.set_opset("", 24);
    std::vector<ir::NamedDatum> feed;
    Graph& graph = *model.graph;
    const auto side = [&](const char* name, std::int64_t heads, std::int64_t rows, std::int64_t size) {
      return input(model, feed, name,
                   normal(random, apart ? Dims{n.batch, heads, rows, size} : Dims{n.batch, rows, heads * size}));
    };
    std::vector<Value*> inputs = {side("q", n.heads * shared, n.rows, n.size), side("k", n.heads, n.keys, n.size),
                                  side("v", n.heads, n.keys, n.value_size)};
    std::string what = fmt::format("{} x {} x {}: {} by {} of {} and {} causal {} apart {}", n.batch, n.heads, shared,
                                   n.rows, n.keys, n.size, n.value_size, causal, apart);
    if (const std::uint64_t kind = random.below(3); kind > 0) {
      what += fmt::format(" mask {}", kind);
      Tensor mask = mask_of(random, {n.batch, n.heads * shared, n.rows, n.keys}, kind == 2);
      inputs.push_back(input(model, feed, "mask", std::move(mask)));
    }
    ir::Node& node = graph.insert("Attention", inputs, 1);
    node.set_attribute("is_causal", std::int64_t{causal});
    if (!apart) {
      node.set_attribute("q_num_heads", n.heads * shared);
      node.set_attribute("kv_num_heads", n.heads);
    }
    if (random.below(4) == 0) node.set_attribute("softcap", 2.0F);
    graph.add_output(node.output(0));
    compare(model, feed, what);
  }
}

TEST_CASE("attention: operators of ONNX Runtime agree with the reference") {
  Random random(5);
  for (int round = 0; round < 60; ++round) {
    const Sizes n = random_sizes(random);
    const std::int64_t width = n.heads * n.size, depth = between(random, 1, 50);
    Model model = empty_model();
    model.set_opset("com.microsoft", 1);
    std::vector<ir::NamedDatum> feed;
    Graph& graph = *model.graph;
    ir::Node* node = nullptr;
    if (random.below(2) == 0) {
      Value* x = input(model, feed, "x", normal(random, {n.batch, n.rows, depth}));
      Value* weights = graph.add_initializer("weights", normal(random, {depth, 3 * width}));
      Value* bias = graph.add_initializer("bias", normal(random, {3 * width}));
      node = &graph.insert("Attention", {x, weights, bias}, 1, nullptr, "com.microsoft");
      node->set_attribute("unidirectional", std::int64_t{static_cast<std::int64_t>(random.below(2))});
    } else {
      Value* q = input(model, feed, "q", normal(random, {n.batch, n.rows, width}));
      Value* k = input(model, feed, "k", normal(random, {n.batch, n.keys, width}));
      Value* v = input(model, feed, "v", normal(random, {n.batch, n.keys, n.heads * n.value_size}));
      node = &graph.insert("MultiHeadAttention", {q, k, v}, 1, nullptr, "com.microsoft");
    }
    node->set_attribute("num_heads", n.heads);
    graph.add_output(node->output(0));
    compare(model, feed,
            fmt::format("{} {} x {}: {} by {} of {}", node->op_type(), n.batch, n.heads, n.rows, n.keys, n.size));
  }
}

TEST_CASE("attention: all scores are never held at once") {
  if (!onednn::has_avx2()) return;
  constexpr std::int64_t length = 3000, size = 8;
  Model model = empty_model();
  std::vector<ir::NamedDatum> feed;
  Random random(6);
  Graph& graph = *model.graph;
  Value* q = input(model, feed, "q", normal(random, {1, length, size}));
  Value* k = input(model, feed, "k", normal(random, {1, size, length}));
  Value* v = input(model, feed, "v", normal(random, {1, length, size}));
  Value* scores = graph.insert("MatMul", {q, k}, 1).output(0);
  graph.add_output(graph.insert("MatMul", {graph.insert("Softmax", {scores}, 1).output(0), v}, 1).output(0));
  Session session(model);
  set_memory_limit(memory_in_use() + (4 << 20));  // the scores take 36 MB
  CHECK_NOTHROW(session.run(feed));
  set_memory_limit(0);
}

TEST_CASE("attention: results do not depend on the number of threads") {
  Random random(7);
  std::vector<ir::NamedDatum> feed;
  std::string what;
  const Model model = spelled_out(random, {2, 5, 301, 200, 24, 32}, feed, what);
  std::vector<std::vector<float>> results;
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    results.push_back(Session(model).run(feed)[0].tensor()->to_floats());
  }
  set_threads(0);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

}  // namespace hone::exec
