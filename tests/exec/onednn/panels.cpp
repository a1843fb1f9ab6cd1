// The kernels that plan nothing for a shape: products over panels, direct convolutions, functions of rows.
#include "exec/onednn/panels.h"

#include "agreement.h"
#include "exec/onednn/avx2.h"
#include "exec/onednn/stacks.h"
#include "hone/support/threads.h"

namespace hone::exec {
namespace {

std::vector<float> draw(Random& random, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = static_cast<float>(random.normal());
  return values;
}

}  // namespace

// The same bytes, however many threads.
void check_threads(const Model& model, const std::vector<ir::NamedDatum>& feed) {
  std::vector<std::vector<ir::Datum>> results;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    results.push_back(Session(model).run(feed));
    CHECK(results.back()[0].tensor()->to_floats() == results[0][0].tensor()->to_floats());
  }
  set_threads(0);
}

TEST_CASE("panels: sums of products are right, whatever the sizes, pieces and results") {
  if (!onednn::has_avx2()) return;
  using namespace onednn;
  Random random(41);
  for (int round = 0; round < 120; ++round) {
    const std::int64_t rows = between(random, 1, round % 8 == 0 ? 150 : 20), columns = between(random, 1, 50);
    const std::int64_t length = round % 3 == 0 ? 8 : between(random, 1, round % 5 == 0 ? 700 : 40),
                       runs = round % 3 == 1 ? 1 : between(random, 1, 60), depth = length * runs;
    // Pieces of the left-hand side at random places that don't lie on each other.
    LeftSide left;
    left.row_step = between(random, length, length + 5);
    const std::int64_t piece = rows * left.row_step + 3;
    const std::vector<float> a = draw(random, piece * runs), b = draw(random, depth * columns);
    std::vector<std::int64_t> starts;
    for (std::int64_t r = 0; r < runs; ++r) starts.push_back((runs - 1 - r) * piece + between(random, 0, 3));
    left.data = a.data();
    left.starts = starts.data();
    left.runs = runs;
    left.length = length;
    const bool transposed = random.below(2) == 0;
    std::vector<float> panels(panel_bytes(depth, columns) / sizeof(float));
    fill_panels(b.data(), depth, columns, transposed ? 1 : columns, transposed ? depth : 1, panels.data());
    RightSide right;
    right.data = panels.data();
    right.panel_step = depth * panel_columns;
    right.columns = columns;
    const std::vector<float> bias = draw(random, columns);
    // Rows, blocks of 8 columns, or columns.
    Results results;
    const std::int64_t padded = (columns + 7) / 8 * 8;
    const std::uint64_t form = random.below(3);
    results.row_step = form == 0 ? columns : form == 1 ? 8 : 1;
    results.vector_step = form == 0 ? 8 : rows * 8;
    results.column_step = form == 2 ? rows : 1;
    std::vector<float> out(static_cast<std::size_t>(rows * padded), 7.0F);
    std::vector<float> held = draw(random, rows * padded);
    results.data = out.data();
    results.bias = random.below(2) == 0 ? bias.data() : nullptr;
    const std::vector<FusedStep> steps = {{FusedStep::Kind::linear, 2, 1, 0}, {FusedStep::Kind::add, 0, 0, 2}};
    const bool has_steps = random.below(2) == 0;
    if (has_steps) results.steps = &steps;
    results.held = held.data();
    multiply(left, rows, right, results);

    double worst = 0, largest = 1;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        double sum = results.bias ? static_cast<double>(bias[static_cast<std::size_t>(c)]) : 0;
        for (std::int64_t k = 0; k < depth; ++k) {
          const std::int64_t at = r * left.row_step + starts[static_cast<std::size_t>(k / length)] + k % length;
          sum += static_cast<double>(a[static_cast<std::size_t>(at)]) *
                 static_cast<double>(b[static_cast<std::size_t>(transposed ? c * depth + k : k * columns + c)]);
        }
        const auto place =
            static_cast<std::size_t>(r * results.row_step + c / 8 * results.vector_step + c % 8 * results.column_step);
        if (has_steps) sum = 2 * sum + 1 + static_cast<double>(held[place]);
        worst = std::max(worst, hone::testing::apart(sum, out[place]));
        largest = std::max(largest, std::abs(sum));
      }
    }
    INFO(fmt::format("{} rows, {} columns, {} runs of {}, form {}", rows, columns, runs, length, form));
    CHECK(worst <= 1e-5 * largest);  // of up to 40000 products
  }
}

TEST_CASE("panels: large products agree with the reference, on any number of threads with the same bytes") {
  Random random(42);
  for (int round = 0; round < 40; ++round) {
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    const std::int64_t m = between(random, 1, 130), k = between(random, 1, 900), n = between(random, 1, 100);
    Dims a = {m, k}, b = {k, n}, result = {m, n};
    const bool constant = random.below(2) == 0;
    if (round % 4 == 3) {
      const std::int64_t heads = between(random, 2, 5);
      a = {heads, m / 4 + 1, k / 8 + 1};
      b = {heads, k / 8 + 1, n};
      result = {heads, m / 4 + 1, n};
    }
    Value* left = input(model, feed, "a", normal(random, a));
    Value* right =
        constant ? graph.add_initializer("b", normal(random, b)) : input(model, feed, "b", normal(random, b));
    std::string what = fmt::format("{} {} constant {}", ir::text(a), ir::text(b), constant);
    Value* value = graph.insert("MatMul", {left, right}, 1).output(0);
    value = tail(random, model, feed, value, result, what);
    graph.add_output(value);
    check_threads(model, feed);
    compare(model, feed, what, 1e-4);
  }
}

TEST_CASE("panels: convolutions agree with the reference, whatever the window, tails and threads") {
  Random random(43);
  for (int round = 0; round < 120; ++round) {
    const bool depthwise = round % 3 == 0;
    std::int64_t in = random.below(3) == 0 ? between(random, 1, 12) : 8 * between(random, 1, 8),
                 out = random.below(4) == 0 ? between(random, 1, 40) : 8 * between(random, 1, 7);
    if (depthwise) in = out = 8 * between(random, 1, 5);
    const bool line = random.below(5) == 0, point = !depthwise && random.below(3) == 0;
    Dims x = {between(random, 1, 2), in}, w = {out, depthwise ? 1 : in};
    std::vector<std::int64_t> strides, dilations, pads;
    for (int i = 0; i < (line ? 1 : 2); ++i) {
      w.push_back(point ? 1 : between(random, 1, 5));
      strides.push_back(between(random, 1, 2));
      dilations.push_back(random.below(4) == 0 ? 2 : 1);
      pads.push_back(between(random, 0, w.back() - 1));
      const std::int64_t least = (w.back() - 1) * dilations.back() + 1;
      x.push_back(between(random, least, round % 10 == 0 ? 120 : 24));
    }
    if (!line && random.below(8) == 0) {
      x[3] = w[3] = 1;
      pads[1] = 0;
      strides[1] = 1;
    }
    if (!line && point && random.below(3) == 0) x[2] = x[3] = 1;
    for (std::size_t i = 0; i < (line ? 1 : 2); ++i) pads.push_back(between(random, 0, w[2 + i] - 1));
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    Value* value = input(model, feed, "x", normal(random, x));
    if (random.below(2) == 0) {  // in a layout
      Value* p = graph.add_initializer("p", normal(random, line ? Dims{in, in, 1} : Dims{in, in, 1, 1}));
      value = graph.insert("Conv", {value, p}, 1).output(0);
    }
    std::vector<Value*> inputs = {value, graph.add_initializer("w", normal(random, w))};
    if (random.below(2) == 0) inputs.push_back(graph.add_initializer("b", normal(random, {out})));
    ir::Node& conv = graph.insert("Conv", inputs, 1);
    conv.set_attribute("group", depthwise ? in : std::int64_t{1});
    conv.set_attribute("strides", strides);
    conv.set_attribute("dilations", dilations);
    conv.set_attribute("pads", pads);
    Dims result = {x[0], out};
    for (std::size_t i = 0; i < strides.size(); ++i) {
      const std::int64_t span = (w[2 + i] - 1) * dilations[i] + 1;
      result.push_back((x[2 + i] + pads[i] + pads[i + strides.size()] - span) / strides[i] + 1);
    }
    std::string what = fmt::format("x {} w {} group {} strides {} dilations {} pads {}", ir::text(x), ir::text(w),
                                   depthwise ? in : 1, ir::text(strides), ir::text(dilations), ir::text(pads));
    graph.add_output(tail(random, model, feed, conv.output(0), result, what));
    check_threads(model, feed);
    compare(model, feed, what, 1e-4);
  }
}

TEST_CASE("panels: results don't depend on the widths that a session met before") {
  Random random(45);
  Model model = empty_model();
  Graph& graph = *model.graph;
  Value* x = graph.add_input("x", ir::Type::tensor(ElementType::float32));
  const auto weights = [&](const Dims& dims) {
    Tensor tensor = normal(random, dims);
    for (float& each : tensor.mutable_data<float>()) each *= 0.2F;
    return graph.add_initializer("w", std::move(tensor));
  };
  const auto convolve = [&](Value* value, const Dims& w, std::int64_t group, std::int64_t stride) {
    ir::Node& conv = graph.insert("Conv", {value, weights(w)}, 1);
    conv.set_attribute("group", group);
    conv.set_attribute("strides", std::vector<std::int64_t>{stride, 1});
    conv.set_attribute("pads", std::vector<std::int64_t>(4, w[2] / 2));
    return conv.output(0);
  };
  Value* value = graph.insert("HardSwish", {convolve(x, {16, 3, 3, 3}, 1, 2)}, 1).output(0);
  Value* wide = convolve(convolve(value, {16, 1, 5, 5}, 16, 1), {32, 16, 1, 1}, 1, 1);
  Value* gate = graph.insert("GlobalAveragePool", {wide}, 1).output(0);
  gate = graph.insert("Sigmoid", {graph.insert("Conv", {gate, weights({32, 32, 1, 1})}, 1).output(0)}, 1).output(0);
  wide = graph.insert("Mul", {wide, gate}, 1).output(0);
  wide = convolve(wide, {32, 32, 3, 3}, 1, 1);
  ir::Node& pool = graph.insert("AveragePool", {wide}, 1);
  pool.set_attribute("kernel_shape", std::vector<std::int64_t>{12, 2});
  pool.set_attribute("strides", std::vector<std::int64_t>{12, 2});
  Value* line =
      graph.insert("Squeeze", {pool.output(0), graph.add_initializer("axes", Tensor::vector<std::int64_t>({2}))}, 1)
          .output(0);
  ir::Node& turn = graph.insert("Transpose", {line}, 1);
  turn.set_attribute("perm", std::vector<std::int64_t>{0, 2, 1});
  Value* scores = graph.insert("MatMul", {turn.output(0), weights({32, 45})}, 1).output(0);
  graph.add_output(graph.insert("Softmax", {scores}, 1).output(0));
  Session session(model);
  for (int round = 0; round < 12; ++round) {
    const std::vector<ir::NamedDatum> feed = {{"x", normal(random, {1, 3, 24, between(random, 8, 70)})}};
    const auto expected = Session(model).run(feed);
    const auto got = session.run(feed);
    CHECK(got[0].tensor()->to_floats() == expected[0].tensor()->to_floats());
    compare_runs(model, feed, 1e-4);
  }
}

}  // namespace hone::exec
