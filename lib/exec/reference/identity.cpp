// Identity and Constant.
#include "exec/reference/list.h"

namespace hone::exec {
namespace {

void identity(Context& context) {
  if (context.is_tensor(0)) {
    context.forward(0, 0, context.raw_input(0).dims);
  } else {
    context.set_output(0, context.datum(0));
  }
}

// Where ir::constant() knows the value, a Session never gets here.
void constant(Context& context) {
  const ir::Node& node = context.node();
  if (const ir::Tensor* tensor = ir::constant(node.output(0))) {
    context.set_output(0, *tensor);
    return;
  }
  if (const ir::Tensor* tensor = node.tensor("value")) {
    context.set_output(0, *tensor);
  } else if (node.has_attribute("value_float")) {
    context.set_output(0, ir::Tensor::scalar(node.float_or("value_float", 0)));
  } else if (node.has_attribute("value_int")) {
    context.set_output(0, ir::Tensor::scalar(node.int_or("value_int", 0)));
  } else if (node.has_attribute("value_floats")) {
    context.set_output(0, ir::Tensor::vector(node.floats_or("value_floats", {})));
  } else if (node.has_attribute("value_ints")) {
    context.set_output(0, ir::Tensor::vector(node.ints_or("value_ints", {})));
  } else if (node.has_attribute("value_string")) {
    context.set_output(0, ir::Tensor::strings({}, {node.string_or("value_string", "")}));
  } else if (const ir::Attribute* strings = node.attribute("value_strings");
             strings && strings->get<std::vector<std::string>>()) {
    const auto& values = *strings->get<std::vector<std::string>>();
    context.set_output(0, ir::Tensor::strings({static_cast<std::int64_t>(values.size())}, values));
  } else {
    unsupported("a Constant without a dense value");
  }
}

}  // namespace

std::span<const KernelEntry> identity_kernels() {
  static constexpr KernelEntry entries[] = {
      {"Identity", 1, stateless<identity>},
      {"Constant", 1, stateless<constant>},
  };
  return entries;
}

}  // namespace hone::exec
