// Reductions over axes.
//
// Spread(v, shape, axes) is the way back of a sum: v, which has the reduced shape, repeated along the reduced axes.
#include "autodiff/backward.h"

namespace hone::autodiff {
namespace {

// `mean`: divided by the number of elements that were reduced to one.
ir::Value* spread(Backward& back, ir::Value* value, bool mean = false) {
  std::vector<ir::Value*> inputs{value, back.shape(*back.input(0))};
  if (back.input(1)) inputs.push_back(back.input(1));  // axes, since opset 13 or 18
  Attributes all = back.same_attributes();             // keepdims, noop_with_empty_axes, axes before
  all.emplace_back("mean", std::int64_t{mean});
  ir::Value* result = back.own("Spread", std::move(inputs), std::move(all));
  result->set_type(ir::Type::tensor(value->element_type(), back.input(0)->shape()));
  return result;
}

void sum(Backward& back) {
  back.give(0, [&] { return spread(back, back.gradient()); });
}

void mean(Backward& back) {
  back.give(0, [&] { return spread(back, back.gradient(), true); });
}

// In equal parts to all elements that are the extreme one.
void extreme(Backward& back) {
  back.give(0, [&] {
    std::vector<ir::Value*> inputs{back.gradient(), back.input(0), back.output()};
    if (back.input(1)) inputs.push_back(back.input(1));
    return back.own("ReduceMaxGradient", std::move(inputs), back.same_attributes());
  });
}

ir::Value* times(Backward& back, ir::Value* a, ir::Value* b) { return back.add("Mul", {a, b}); }

void sum_square(Backward& back) {  // 2 x dy
  back.give(0, [&] {
    ir::Value* x = back.input(0);
    return times(back, spread(back, back.gradient()), times(back, x, back.scalar(2, x->element_type())));
  });
}

void l1(Backward& back) {
  back.give(0, [&] { return back.own("AbsGradient", {spread(back, back.gradient()), back.input(0)}); });
}

void l2(Backward& back) {  // x dy/y, and 0 where y is 0
  back.give(0, [&] {
    ir::Value* quotient = back.own("SafeDiv", {back.gradient(), back.output()});
    return times(back, spread(back, quotient), back.input(0));
  });
}

void log_sum(Backward& back) {  // dy / sum, where sum = exp(y)
  back.give(0, [&] { return spread(back, back.add("Div", {back.gradient(), back.add("Exp", {back.output()})})); });
}

void log_sum_exp(Backward& back) {  // dy exp(x - y)
  back.give(0, [&] {
    ir::Value* difference = back.add("Sub", {back.input(0), spread(back, back.output())});
    return times(back, spread(back, back.gradient()), back.add("Exp", {difference}));
  });
}

void product(Backward& back) {
  back.give(0, [&] {
    std::vector<ir::Value*> inputs{back.gradient(), back.input(0), back.output()};
    if (back.input(1)) inputs.push_back(back.input(1));
    return back.own("ReduceProdGradient", std::move(inputs), back.same_attributes());
  });
}

void cumulative_sum(Backward& back) {
  back.give(0, [&] {
    const ir::Node& node = back.node();
    return back.add("CumSum", {back.gradient(), back.input(1)},
                    attributes("exclusive", node.int_or("exclusive", 0), "reverse",
                               static_cast<std::int64_t>(node.int_or("reverse", 0) == 0)));
  });
}

}  // namespace

std::span<const Operator> reduction_rules() {
  static constexpr Operator rules[] = {
      {"ReduceSum", sum},
      {"ReduceMean", mean},
      {"ReduceMax", extreme},
      {"ReduceMin", extreme},
      {"ReduceSumSquare", sum_square},
      {"ReduceL1", l1},
      {"ReduceL2", l2},
      {"ReduceLogSum", log_sum},
      {"ReduceLogSumExp", log_sum_exp},
      {"ReduceProd", product},
      {"CumSum", cumulative_sum},
  };
  return rules;
}

}  // namespace hone::autodiff
