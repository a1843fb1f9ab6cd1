// RNN, GRU and LSTM: output_sequence until opset 6, and since 14 a layout with the batch first, which Transposes give
// before.
#include "passes/opset/rules.h"

namespace hone::passes::opset {
namespace {

// What is computed no longer depends on it: an output that is there is made.
Reason sequence_up(Step& step) {
  step.node.remove_attribute("output_sequence");
  return {};
}
Reason sequence_down(Step& step) {
  step.node.set_attribute("output_sequence", std::int64_t{step.node.output(0) ? 1 : 0});
  return {};
}

Reason layout_down(Step& step) {
  ir::Node& node = step.node;
  if (node.int_or("layout", 0) == 0) {
    node.remove_attribute("layout");
    return {};
  }
  node.remove_attribute("layout");
  const Ints batch_second{1, 0, 2};
  // x, then the initial states; in between are weights, bias and lengths.
  for (const std::size_t i : {0, 5, 6}) {
    ir::Value* input = node.input(i);
    if (input) node.set_input(i, step.add("Transpose", {input}, attributes("perm", batch_second), "turned"));
  }
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    ir::Value* output = node.output(i);
    if (!output) continue;
    ir::Type type = output->type();
    if (type.is_tensor() && type.shape) {
      const ir::Shape& shape = *type.shape;
      if (i == 0 && shape.size() == 4) type.shape = ir::Shape{shape[1], shape[2], shape[0], shape[3]};
      if (i > 0 && shape.size() == 3) type.shape = ir::Shape{shape[1], shape[0], shape[2]};
    }
    step.after(*output, "Transpose", attributes("perm", i == 0 ? Ints{2, 0, 1, 3} : batch_second), std::move(type));
  }
  return {};
}

}  // namespace

std::vector<Entry> recurrent_rules() {
  std::vector<Entry> rules;
  for (const char* op : {"RNN", "GRU", "LSTM"}) {
    rules.push_back({op, 7, sequence_up, sequence_down});
    rules.push_back({op, 14, nullptr, layout_down});
  }
  return rules;
}

}  // namespace hone::passes::opset
