#include <catch2/catch.hpp>

#include "check.h"

using hone::testing::check_gradients;

TEST_CASE("gradients of changes of shape") {
  check_gradients("g (double[2,6] x) => (double[3,4] y) <int64[2] d = {3,-1}> { y = Reshape (x, d) }");
  check_gradients("g (double[n,2,3] x) => (double[n,6] y) { y = Flatten (x) }");
  check_gradients("g (double[2,1,3] x) => (double[2,3] y) <int64[1] a = {1}> { y = Squeeze (x, a) }");
  check_gradients("g (double[2,1,3] x) => (double[2,3] y) { y = Squeeze <axes = [1]> (x) }", {.opset = 11});
  check_gradients("g (double[2,3] x) => (double[2,1,3] y) <int64[1] a = {1}> { y = Unsqueeze (x, a) }");
  check_gradients("g (double[2,3,4] x) => (double[4,2,3] y) { y = Transpose <perm = [2,0,1]> (x) }");
  check_gradients("g (double[2,3,4] x) => (double[4,3,2] y) { y = Transpose (x) }");
}

TEST_CASE("gradients of Concat and Split") {
  check_gradients(
      "g (double[2,3] a, double[2,1] b, double[2,2] c) => (double[2,6] y) { y = Concat <axis = 1> (a, b, c) }");
  check_gradients("g (double[2,3] a, double[1,3] b) => (double[3,3] y) { y = Concat <axis = -2> (a, b) }");
  check_gradients("g (double[2,3] a) => (double[2,6] y) { y = Concat <axis = 1> (a, a) }");
  check_gradients(
      "g (double[2,6] x) => (double[2,2] a, double[2,4] b) <int64[2] s = {2,4}> { a, b = Split <axis = 1> (x, s) }");
  check_gradients(
      "g (double[2,6] x) => (double[2,3] c) { a, b = Split <axis = 1, num_outputs = 2> (x) c = Mul(b, b) }");
  check_gradients("g (double[2,6] x) => (double[2,2] c) { a, b, d = Split <axis = 1> (x) c = Mul(b, d) }",
                  {.opset = 11});
}

TEST_CASE("gradients of Slice") {
  const auto with = [](const std::string& arguments, const std::string& call) {
    check_gradients("g (double[4,5] x) => (double[?,?] y) <" + arguments + "> { y = " + call + " }");
  };
  with("int64[2] s = {1,0}, int64[2] e = {3,4}", "Slice (x, s, e)");
  with("int64[1] s = {-3}, int64[1] e = {100}, int64[1] a = {1}", "Slice (x, s, e, a)");
  with("int64[1] s = {4}, int64[1] e = {-100}, int64[1] a = {-1}, int64[1] t = {-2}", "Slice (x, s, e, a, t)");
  with("int64[2] s = {0,1}, int64[2] e = {4,5}, int64[2] a = {0,1}, int64[2] t = {2,3}", "Slice (x, s, e, a, t)");
  check_gradients("g (double[4,5] x) => (double[2,5] y) { y = Slice <starts = [1], ends = [3], axes = [0]> (x) }",
                  {.opset = 9});
}

TEST_CASE("gradients of Pad") {
  check_gradients("g (double[2,3] x) => (double[?,?] y) <int64[4] p = {1,0,0,2}> { y = Pad (x, p) }");
  check_gradients("g (double[2,3] x) => (double[?,?] y) <int64[4] p = {0,-1,1,0}> { y = Pad (x, p) }");
  check_gradients(
      "g (double[3,4] x) => (double[?,?] y) <int64[4] p = {1,2,2,1}> { y = Pad <mode = \"reflect\"> (x, p) }");
  check_gradients("g (double[3,4] x) => (double[?,?] y) <int64[4] p = {1,2,2,1}> { y = Pad <mode = \"edge\"> (x, p) }");
  check_gradients(
      "g (double[3,4] x) => (double[?,?] y) <int64[2] p = {2,1}, int64[1] a = {1}> { y = Pad (x, p, , a) }");
  check_gradients("g (double[2,3] x) => (double[?,?] y) { y = Pad <pads = [0,1,1,0]> (x) }", {.opset = 8});
}

TEST_CASE("gradients of reading by index") {
  check_gradients("g (double[4,3] x) => (double[?,?,?] y) <int64[2,2] i = {0,3,3,-2}> { y = Gather (x, i) }");
  check_gradients("g (double[4,3] x) => (double[?,?] y) <int64[4] i = {0,2,2,1}> { y = Gather <axis = 1> (x, i) }");
  check_gradients("g (double[4,3] x) => (double[?] y) <int64 i = {1}> { y = Gather <axis = 1> (x, i) }");
  check_gradients(
      "g (double[3,3] x) => (double[2,3] y) <int64[2,3] i = {0,2,2,1,0,2}> { y = GatherElements <axis = 0> (x, i) }");
  check_gradients(
      "g (double[3,4] x) => (double[3,2] y) <int64[3,2] i = {0,-1,3,3,1,0}> { y = GatherElements <axis = 1> (x, i) }");
  check_gradients("g (double[3,4] x) => (double[?] y) <int64[3,2] i = {0,1,2,3,0,1}> { y = GatherND (x, i) }");
  check_gradients(
      "g (double[2,3,4] x) => (double[?,?] y) <int64[2,1] i = {1,2}> { y = GatherND <batch_dims = 1> (x, i) }");
  check_gradients("g (double[3,4] x) => (double[3,2] y) <int64[1] k = {2}> { y, i = TopK <axis = 1> (x, k) }");
}

TEST_CASE("gradients of writing by index") {
  check_gradients(
      "g (double[3,3] x, double[2,2] u) => (double[3,3] y) <int64[2,2] i = {0,2,1,0}> { y = ScatterElements <axis = 0> "
      "(x, "
      "i, u) }");
  check_gradients(
      "g (double[4,3] x, double[2,3] u) => (double[4,3] y) <int64[2,1] i = {3,1}> { y = ScatterND (x, i, u) }");
}

TEST_CASE("gradients of other movements") {
  check_gradients("g (double[2,3] x) => (double[4,9] y) <int64[2] r = {2,3}> { y = Tile (x, r) }");
  check_gradients("g (double[3,4] x) => (double[3,4] y) { y = Trilu <upper = 0> (x) }");
  check_gradients("g (double[1,2,4,4] x) => (double[1,8,2,2] y) { y = SpaceToDepth <blocksize = 2> (x) }");
  check_gradients("g (double[1,8,2,2] x) => (double[1,2,4,4] y) { y = DepthToSpace <blocksize = 2> (x) }");
  check_gradients(
      "g (double[1,8,2,3] x) => (double[1,2,4,6] y) { y = DepthToSpace <blocksize = 2, mode = \"CRD\"> (x) }");
}

TEST_CASE("gradients of reductions") {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2", "ReduceSumSquare",
                         "ReduceLogSum", "ReduceLogSumExp", "ReduceProd"}) {
    const std::string name = op;
    const auto with = [&](const std::string& arguments, const std::string& call) {
      check_gradients("g (double[2,3,4] x) => (double[] y) <" + arguments + "> { y = " + name + call + " }",
                      {.low = 0.3});
    };
    with("int64[1] a = {1}", " (x, a)");
    with("int64[2] a = {0,-1}", " (x, a)");
    with("int64[2] a = {0,2}", " <keepdims = 0> (x, a)");
    with("int64[1] unused = {0}", " (x)");
    with("int64[1] unused = {0}", " <keepdims = 0> (x)");
    check_gradients("g (double[2,3,4] x) => (double[] y) { y = " + name + " <axes = [1], keepdims = 0> (x) }",
                    {.opset = 11, .low = 0.3});
  }
  for (const char* attributes : {"", "<reverse = 1>", "<exclusive = 1>", "<exclusive = 1, reverse = 1>"}) {
    check_gradients("g (double[2,4] x) => (double[2,4] y) <int64 a = {1}> { y = CumSum " + std::string(attributes) +
                    " (x, a) }");
  }
}
