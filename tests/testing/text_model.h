// Small models as text, with weights drawn from a seed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hone/exec/session.h"
#include "hone/onnx/read.h"
#include "hone/support/random.h"

namespace hone::testing {

// "g (float[N,3] x) => (float[N,2] y) <float[3,2] w> { y = MatMul(x, w) }" with header and opset.
inline ir::Model text_model(std::string_view graph, int opset = 17) {
  return onnx::read_text("<ir_version: 9, opset_import: [\"\" : " + std::to_string(opset) + "]>\n" +
                         std::string(graph));
}

// Every float initializer of zeros gets numbers: vectors (biases, scales, variances) in [0.5, 1.5), the others in
// [-1, 1). All numbers differ with near certainty.
inline void draw_weights(ir::Model& model, std::uint64_t seed = 1) {
  std::uint64_t stream = 0;
  for (ir::Value* value : model.graph->initializers()) {
    const ir::Tensor& old = *value->initializer();
    if (old.type() != ir::ElementType::float32 || old.rank() == 0) continue;
    Random random(seed, stream++);
    const std::vector<float> given = old.to_floats();
    std::vector<float> numbers(given.size());
    bool zeros = true;
    for (std::size_t i = 0; i < given.size(); ++i) zeros &= given[i] == 0;
    if (!zeros) continue;
    for (float& number : numbers) {
      number = static_cast<float>(old.rank() <= 1 ? 0.5 + random.uniform() : 2 * random.uniform() - 1);
    }
    model.graph->set_initializer(*value, ir::Tensor::of<float>(old.dims(), numbers));
  }
}

inline ir::Tensor drawn(const ir::Dims& dims, std::uint64_t seed = 7) {
  Random random(seed);
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) count *= dim;
  std::vector<float> numbers(static_cast<std::size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.normal());
  return ir::Tensor::of<float>(dims, numbers);
}

// The first output of the model, for one input.
inline std::vector<float> output_of(const ir::Model& model, const ir::Tensor& input) {
  exec::Session session(model);
  return session.run({{session.required_inputs().at(0), input}}).at(0).tensor()->to_floats();
}

inline const ir::Node* find_node(const ir::Model& model, std::string_view op_type, std::size_t which = 0) {
  for (const ir::Node& node : model.graph->nodes()) {
    if (node.op_type() == op_type && which-- == 0) return &node;
  }
  return nullptr;
}
inline std::size_t count_nodes(const ir::Model& model, std::string_view op_type) {
  std::size_t count = 0;
  for (const ir::Node& node : model.graph->nodes()) count += node.op_type() == op_type;
  return count;
}

}  // namespace hone::testing
