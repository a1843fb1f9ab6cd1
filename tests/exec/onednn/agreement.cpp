// oneDNN kernels and reference kernels agree, on random shapes and attributes.
#include "agreement.h"

#include "exec/onednn/runtime.h"
#include "hone/support/threads.h"

namespace hone::exec {
TEST_CASE("onednn: Conv agrees with the reference") {
  Random random(1);
  for (int round = 0; round < 150; ++round) {
    const std::int64_t rank = between(random, 1, 3);
    std::int64_t group = 1, in = between(random, 1, 40), out = between(random, 1, 40);
    switch (random.below(3)) {
      case 0:
        group = in = out;
        break;  // depthwise
      case 1:
        group = between(random, 1, 4), in = group * between(random, 1, 9), out = group * between(random, 1, 9);
        break;
      default:
        break;
    }
    Dims x = {between(random, 1, 3), in}, w = {out, in / group};
    std::vector<std::int64_t> strides, dilations, pads(static_cast<std::size_t>(2 * rank));
    for (std::int64_t i = 0; i < rank; ++i) {
      w.push_back(between(random, 1, 4));
      strides.push_back(between(random, 1, 3));
      dilations.push_back(between(random, 1, 2));
      pads[static_cast<std::size_t>(i)] = between(random, 0, 3);
      pads[static_cast<std::size_t>(i + rank)] = between(random, 0, 3);
      x.push_back(between(random, 7, 14));
      if (i == 1 && rank == 2 && round % 3 == 0) {  // nothing along the last dimension
        x.back() = w.back() = 1;
        pads[1] = pads[3] = 0;
      }
    }
    const bool constant = random.below(4) != 0, bias = random.below(2) == 0;
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    std::vector<Value*> inputs = {input(model, feed, "x", normal(random, x))};
    inputs.push_back(constant ? graph.add_initializer("w", normal(random, w))
                              : input(model, feed, "w", normal(random, w)));
    if (bias)
      inputs.push_back(constant ? graph.add_initializer("b", normal(random, {out}))
                                : input(model, feed, "b", normal(random, {out})));
    ir::Node& conv = graph.insert("Conv", inputs, 1);
    conv.set_attribute("group", group);
    conv.set_attribute("strides", strides);
    conv.set_attribute("dilations", dilations);
    std::string what =
        fmt::format("x {} w {} group {} strides {} dilations {} pads {} constant {}", ir::text(x), ir::text(w), group,
                    ir::text(strides), ir::text(dilations), ir::text(pads), constant);
    switch (random.below(4)) {
      case 0:
        conv.set_attribute("auto_pad", std::string("SAME_UPPER"));
        what += " same upper";
        pads.clear();
        break;
      case 1:
        conv.set_attribute("auto_pad", std::string("SAME_LOWER"));
        what += " same lower";
        pads.clear();
        break;
      default:
        conv.set_attribute("pads", pads);
        break;
    }
    Dims result = {x[0], out};
    for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
      const std::int64_t span = (w[2 + i] - 1) * dilations[i] + 1;
      result.push_back(pads.empty()
                           ? (x[2 + i] + strides[i] - 1) / strides[i]
                           : (x[2 + i] + pads[i] + pads[i + static_cast<std::size_t>(rank)] - span) / strides[i] + 1);
    }
    graph.add_output(tail(random, model, feed, conv.output(0), result, what));
    compare(model, feed, what);
  }
}

TEST_CASE("onednn: Winograd's convolutions agree with the reference, whatever the pads, tails and threads") {
  Random random(21);
  for (int round = 0; round < 80; ++round) {
    Model model = empty_model();
    std::vector<ir::NamedDatum> feed;
    const std::int64_t in = 8 * between(random, 1, 8), out = 8 * between(random, 1, 8);
    const Dims x = {between(random, 1, 3), in, between(random, 8, 19), between(random, 12, 19)};
    Value* value = input(model, feed, "x", normal(random, x));
    const std::vector<std::int64_t> pads = {between(random, 0, 2), between(random, 0, 2), between(random, 0, 2),
                                            between(random, 0, 2)};
    Tensor kernel = normal(random, {out, in, 3, 3});
    // What a Clip cuts off counts in errors, too: outputs of about 1.
    for (float& each : kernel.mutable_data<float>()) each /= std::sqrt(9.0F * static_cast<float>(in));
    Value* weights = model.graph->add_initializer("w", std::move(kernel));
    std::vector<Value*> inputs = {value, weights};
    if (random.below(2) == 0) inputs.push_back(model.graph->add_initializer("b", normal(random, {out})));
    ir::Node& node = model.graph->insert("Conv", inputs, 1);
    node.set_attribute("pads", pads);
    const Dims result = {x[0], out, x[2] + pads[0] + pads[2] - 2, x[3] + pads[1] + pads[3] - 2};
    std::string what = fmt::format("{} to {} channels, pads {}", ir::text(x), out, ir::text(pads));
    value = tail(random, model, feed, node.output(0), result, what);
    model.graph->add_output(value);
    set_threads(static_cast<int>(between(random, 1, 3)));
    compare(model, feed, what);
  }
  set_threads(0);
}

TEST_CASE("onednn: ConvTranspose agrees with the reference") {
  Random random(2);
  for (int round = 0; round < 100; ++round) {
    const std::int64_t rank = between(random, 1, 3);
    const std::int64_t group = random.below(2) == 0 ? 1 : between(random, 2, 4);
    const std::int64_t in = group * between(random, 1, 9), out = group * between(random, 1, 9);
    // Cut by pads, to a given size, or to a multiple of the input's.
    const auto cut = random.below(3);
    const std::string auto_pad = cut == 0 || random.below(3) == 0 ? "NOTSET"
                                 : random.below(2) == 0           ? "SAME_UPPER"
                                                                  : "SAME_LOWER";
    Dims x = {between(random, 1, 2), in}, w = {in, out / group}, result = {x[0], out};
    std::vector<std::int64_t> strides, dilations, pads(static_cast<std::size_t>(2 * rank)), extra, sizes;
    for (std::int64_t i = 0; i < rank; ++i) {
      x.push_back(between(random, 3, 8));
      w.push_back(between(random, 2, 4));
      strides.push_back(between(random, 1, 3));
      dilations.push_back(between(random, 1, 2));
      extra.push_back(random.below(2) == 0 ? 0 : between(random, 0, std::max(strides.back(), dilations.back()) - 1));
      const std::int64_t full = (x.back() - 1) * strides.back() + (w.back() - 1) * dilations.back() + 1 + extra.back();
      if (cut == 0) {
        pads[static_cast<std::size_t>(i)] = between(random, 0, 1);
        pads[static_cast<std::size_t>(i + rank)] = between(random, 0, 1);
        result.push_back(full - pads[static_cast<std::size_t>(i)] - pads[static_cast<std::size_t>(i + rank)]);
      } else {
        sizes.push_back(between(random, std::max<std::int64_t>(1, full - 3), full));
        const bool same = cut == 2 && auto_pad != "NOTSET";
        result.push_back(same ? std::min(full, x.back() * strides.back()) : cut == 1 ? sizes.back() : full);
      }
    }
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    std::vector<Value*> inputs = {input(model, feed, "x", normal(random, x)),
                                  graph.add_initializer("w", normal(random, w))};
    if (random.below(2) == 0) inputs.push_back(graph.add_initializer("b", normal(random, {out})));
    ir::Node& node = graph.insert("ConvTranspose", inputs, 1);
    node.set_attribute("group", group);
    node.set_attribute("strides", strides);
    node.set_attribute("dilations", dilations);
    if (cut == 0) node.set_attribute("pads", pads);
    if (cut == 1) node.set_attribute("output_shape", sizes);
    if (auto_pad != "NOTSET") node.set_attribute("auto_pad", auto_pad);
    node.set_attribute("output_padding", extra);
    std::string what =
        fmt::format("x {} w {} group {} strides {} dilations {} pads {} extra {}", ir::text(x), ir::text(w), group,
                    ir::text(strides), ir::text(dilations), ir::text(pads), ir::text(extra));
    graph.add_output(tail(random, model, feed, node.output(0), result, what));
    compare(model, feed, what);
  }
}

TEST_CASE("onednn: pooling agrees with the reference, after a Conv and alone") {
  Random random(3);
  for (int round = 0; round < 150; ++round) {
    const std::int64_t rank = between(random, 1, 3), channels = between(random, 1, 33);
    Dims x = {between(random, 1, 2), channels};
    std::vector<std::int64_t> window, strides, dilations, pads(static_cast<std::size_t>(2 * rank));
    for (std::int64_t i = 0; i < rank; ++i) {
      x.push_back(between(random, 5, 12));
      window.push_back(between(random, 1, 4));
      strides.push_back(between(random, 1, 3));
      dilations.push_back(random.below(3) == 0 ? 2 : 1);
      pads[static_cast<std::size_t>(i)] = between(random, 0, window.back() - 1);
      pads[static_cast<std::size_t>(i + rank)] = between(random, 0, window.back() - 1);
    }
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    Value* value = input(model, feed, "x", normal(random, x));
    if (random.below(2) == 0) {  // a blocked layout
      Dims w = {channels, channels};
      for (std::int64_t i = 0; i < rank; ++i) w.push_back(1);
      value = graph.insert("Conv", {value, graph.add_initializer("w", normal(random, w))}, 1).output(0);
    }
    const char* const kinds[] = {"MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool"};
    const auto kind = static_cast<std::size_t>(random.below(4));
    ir::Node& node = graph.insert(kinds[kind], {value}, 1);
    std::string what = fmt::format("{} x {}", kinds[kind], ir::text(x));
    if (kind < 2) {
      node.set_attribute("kernel_shape", window);
      node.set_attribute("strides", strides);
      node.set_attribute("dilations", dilations);
      node.set_attribute("pads", pads);
      const std::int64_t ceil = between(random, 0, 1), include = between(random, 0, 1);
      node.set_attribute("ceil_mode", ceil);
      if (kind == 1) node.set_attribute("count_include_pad", include);
      what += fmt::format(" window {} strides {} dilations {} pads {} ceil {} include {}", ir::text(window),
                          ir::text(strides), ir::text(dilations), ir::text(pads), ceil, include);
    }
    graph.add_output(node.output(0));
    compare(model, feed, what);
  }
}

TEST_CASE("onednn: PRelu agrees with the reference, after a Conv and alone") {
  Random random(6);
  for (int round = 0; round < 60; ++round) {
    const std::int64_t channels = between(random, 1, 33), rank = between(random, 1, 2);
    Dims x = {between(random, 1, 2), channels}, slope = {random.below(6) == 0 ? 1 : channels}, w = {channels, channels};
    for (std::int64_t i = 0; i < rank; ++i) {
      x.push_back(between(random, 1, 7));
      slope.push_back(random.below(6) == 0 ? x.back() : 1);
      w.push_back(1);
    }
    if (random.below(3) == 0) slope.insert(slope.begin(), 1);
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    Value* value = input(model, feed, "x", normal(random, x));
    if (random.below(2) == 0)
      value = graph.insert("Conv", {value, graph.add_initializer("w", normal(random, w))}, 1).output(0);
    value = graph.insert("PRelu", {value, graph.add_initializer("slope", normal(random, slope))}, 1).output(0);
    graph.add_output(value);
    compare(model, feed, fmt::format("PRelu {} by {}", ir::text(x), ir::text(slope)));
  }
}

TEST_CASE("onednn: MatMul and Gemm agree with the reference") {
  Random random(4);
  for (int round = 0; round < 200; ++round) {
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    const std::int64_t m = between(random, 1, 20), k = between(random, 1, 40), n = between(random, 1, 40);
    const bool constant = random.below(2) == 0;
    std::string what;
    Dims result;
    Value* value = nullptr;
    if (random.below(2) == 0) {
      const bool transpose_a = random.below(2) == 0, transpose_b = random.below(2) == 0;
      std::vector<Value*> inputs = {input(model, feed, "a", normal(random, transpose_a ? Dims{k, m} : Dims{m, k}))};
      const Tensor b = normal(random, transpose_b ? Dims{n, k} : Dims{k, n});
      inputs.push_back(constant ? graph.add_initializer("b", b) : input(model, feed, "b", b));
      if (random.below(2) == 0) {
        const Dims shapes[] = {{n}, {1, n}, {m, n}, {m, 1}, {1}, {}};
        const Tensor c = normal(random, shapes[random.below(6)]);
        inputs.push_back(random.below(2) == 0 ? graph.add_initializer("c", c) : input(model, feed, "c", c));
        what += " c " + ir::text(c.dims());
      }
      ir::Node& node = graph.insert("Gemm", inputs, 1);
      node.set_attribute("transA", std::int64_t{transpose_a});
      node.set_attribute("transB", std::int64_t{transpose_b});
      if (random.below(3) == 0) node.set_attribute("alpha", 0.5F);
      if (random.below(3) == 0) node.set_attribute("beta", 2.0F);
      value = node.output(0);
      result = {m, n};
      what += fmt::format(" Gemm {} {} {}", m, k, n);
    } else {
      Dims a = {m, k}, b = {k, n};
      const auto batch = static_cast<std::size_t>(random.below(3));
      for (std::size_t i = 0; i < batch; ++i) {
        const std::int64_t dim = between(random, 1, 4);
        a.insert(a.begin(), random.below(3) == 0 ? 1 : dim);
        if (random.below(4) != 0 && !constant && b.size() == 2 + i) b.insert(b.begin(), random.below(3) == 0 ? 1 : dim);
      }
      if (random.below(8) == 0) a = {k};
      if (random.below(8) == 0) b = {k};
      std::vector<Value*> inputs = {input(model, feed, "a", normal(random, a))};
      inputs.push_back(constant ? graph.add_initializer("b", normal(random, b))
                                : input(model, feed, "b", normal(random, b)));
      value = graph.insert("MatMul", inputs, 1).output(0);
      what += fmt::format(" MatMul {} {}", ir::text(a), ir::text(b));
      if (a.size() == 2 && b.size() == 2) result = {m, n};
    }
    if (!result.empty()) value = tail(random, model, feed, value, result, what);
    graph.add_output(value);
    compare(model, feed, what);
  }
}

TEST_CASE("onednn: convolutions and products give the same bytes on any number of threads") {
  Random random(31);
  for (int round = 0; round < 6; ++round) {
    Model model = empty_model();
    Graph& graph = *model.graph;
    std::vector<ir::NamedDatum> feed;
    // Past the size below which everything runs on one thread.
    const std::int64_t channels = 8 * between(random, 6, 12), size = between(random, 20, 40);
    Value* x = input(model, feed, "x", normal(random, {1, channels, size, size}));
    const std::int64_t kernel = round % 2 == 0 ? 1 : 5;
    ir::Node& conv =
        graph.insert("Conv", {x, graph.add_initializer("w", normal(random, {channels, channels, kernel, kernel}))}, 1);
    conv.set_attribute("pads", std::vector<std::int64_t>(4, kernel / 2));
    graph.add_output(conv.output(0));
    Value* rows = input(model, feed, "rows", normal(random, {between(random, 30, 90), 384}));
    Value* product =
        graph.insert("MatMul", {rows, graph.add_initializer("m", normal(random, {384, 520}))}, 1).output(0);
    graph.add_output(product);
    std::vector<std::vector<ir::Datum>> results;
    for (const int count : {1, 2, 3}) {
      set_threads(count);
      results.push_back(Session(model).run(feed));
    }
    for (const auto& each : results) {
      for (std::size_t i = 0; i < each.size(); ++i)
        CHECK(each[i].tensor()->to_floats() == results[0][i].tensor()->to_floats());
    }
  }
  set_threads(0);
}

TEST_CASE("onednn: values between convolutions stay in their layout") {
  Random random(5);
  Model model = empty_model();
  Graph& graph = *model.graph;
  std::vector<ir::NamedDatum> feed;
  Value* value = input(model, feed, "x", normal(random, {1, 32, 14, 14}));
  for (int i = 0; i < 6; ++i) {
    Value* w = graph.add_initializer("w", normal(random, {32, 32, 3, 3}));
    ir::Node& conv = graph.insert("Conv", {value, w}, 1);
    conv.set_attribute("pads", std::vector<std::int64_t>{1, 1, 1, 1});
    Value* sum = graph.insert("Add", {conv.output(0), value}, 1).output(0);
    value = graph.insert("Relu", {sum}, 1).output(0);
  }
  graph.add_output(value);
  compare(model, feed, "residual blocks", 1e-4);
  Session session(model);
  session.run(feed);
  const std::uint64_t before = onednn::reorder_count();
  session.run(feed);
  CHECK(onednn::reorder_count() - before <= 3);  // the input, perhaps for two uses, and the output
}

}  // namespace hone::exec
