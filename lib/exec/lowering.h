// What the parts of lower_quantized.h share: patterns of Q and DQ around a node, and putting an integer operator in place.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "exec/private_graph.h"

namespace hone::exec {

// One scale and one zero point for a tensor of int8 or uint8.
struct QuantizationParameters {
  ir::Value* scale = nullptr;
  ir::Value* zero = nullptr;
  float size = 0;
  std::int32_t offset = 0;
  ir::ElementType type = ir::ElementType::undefined;
  bool same(const QuantizationParameters& other) const {
    return size == other.size && offset == other.offset && type == other.type;
  }
};
struct Codes {  // what a DequantizeLinear reads
  ir::Value* value = nullptr;
  QuantizationParameters step;
};
struct Quantizer {
  ir::Node* node = nullptr;
  QuantizationParameters step;
};
// A constant that a DequantizeLinear reads, with scales for the whole or along one axis.
struct QuantizedWeights {
  ir::Value *codes = nullptr, *scale = nullptr, *zero = nullptr;
  const ir::Tensor* tensor = nullptr;
  std::vector<float> sizes;  // one, or one a channel
  float size(std::size_t channel) const { return sizes[sizes.size() == 1 ? 0 : channel]; }
};

class Lowering {
 public:
  Lowering(PrivateGraph& graph, const std::vector<std::string>& keep);
  void run();

 private:
  // Each: whether the node became an integer operator.
  bool lower(ir::Node& node);
  bool lower_convolution(ir::Node& node);
  bool lower_gemm(ir::Node& node);
  bool lower_product(ir::Node& node);          // MatMul
  bool lower_integer_product(ir::Node& node);  // MatMulInteger, with what dynamic quantization puts behind it
  bool lower_binary(ir::Node& node);           // Add, Mul
  bool lower_unary(ir::Node& node);            // Sigmoid, LeakyRelu, Softmax
  bool lower_pool(ir::Node& node);             // AveragePool, GlobalAveragePool
  bool lower_concat(ir::Node& node);
  bool lower_mover(ir::Node& node);  // whatever gives elements of its input as they are

  std::optional<Codes> codes_of(const ir::Value* value);
  std::optional<QuantizedWeights> weights_of(const ir::Value* value, std::size_t axis);
  std::optional<Quantizer> quantizer_of(const ir::Value& value);
  // The quantizer behind `value`, past activations that it makes void; these are added to `nodes`, and it at the end.
  std::optional<Quantizer> quantizer_past_activations(const ir::Value& value, std::vector<ir::Node*>& nodes);
  // A bias as int32 in steps of input by weight; null for none, nullopt where that is not right.
  std::optional<ir::Value*> integer_bias(const ir::Value* bias, const QuantizationParameters& input,
                                         const QuantizedWeights& weights, std::int64_t channels, std::int64_t depth,
                                         std::optional<float> output_step);
  // A bias behind a product: of the Add that is the only user of `value`, with the values as float32; null if there is none.
  struct Bias {
    ir::Node* node = nullptr;
    ir::Value* value = nullptr;
  };
  Bias float_bias(const ir::Value& value, std::int64_t columns);
  ir::Node* only_user(const ir::Value& value) const;
  ir::Value* zero_of(ir::ElementType type);

  // A node in place of `nodes`, of which the last makes the value it gives; it has the attributes of the first.
  ir::Node& replace(const std::vector<ir::Node*>& nodes, std::string op_type, std::string domain,
                    std::vector<ir::Value*> inputs, ir::ElementType type);
  // The node on codes, and a DequantizeLinear behind it, in its place.
  void move_codes(ir::Node& node, const Codes& input, const std::vector<ir::Value*>& inputs);
  void sweep(ir::Graph& graph);  // DequantizeLinear that nobody reads any more

  PrivateGraph& graph_;
  std::unordered_set<const ir::Value*> kept_;
  std::unordered_set<const ir::Node*> gone_;
  std::map<ir::ElementType, ir::Value*> zeros_;
};

// The codes that a Relu or Clip leaves of a range, or nullopt if it is none or its bounds are not constant: [low, high] in
// the value's own unit.
std::optional<std::pair<float, float>> activation_bounds(const ir::Node& node);

}  // namespace hone::exec
