#include "train/head.h"

namespace hone::train {

Head find_head(ir::Value& output) {
  Head head;
  head.logits = &output;
  ir::Value* value = &output;
  while (value->producer() && value->producer()->is("Identity")) value = value->producer()->input(0);
  const ir::Node* node = value->producer();
  if (!node) return head;
  if (node->is("Softmax")) head.kind = Head::Kind::softmax;
  if (node->is("LogSoftmax")) head.kind = Head::Kind::log_softmax;
  if (node->is("Sigmoid")) head.kind = Head::Kind::sigmoid;
  if (head.kind == Head::Kind::plain) return head;
  head.logits = node->input(0);
  if (head.kind == Head::Kind::sigmoid || !value->shape()) return head;
  // The default is 1 before opset 13 and -1 since: the same for the two dimensions that most classifiers have.
  const auto rank = static_cast<std::int64_t>(value->shape()->size());
  if (rank == 2) {
    head.axis = 1;
  } else if (node->has_attribute("axis")) {
    const std::int64_t axis = node->int_or("axis", -1);
    head.axis = axis < 0 ? axis + rank : axis;
  }
  return head;
}

}  // namespace hone::train
