// The operators of ONNX Runtime's own domain that hone knows, as their documentation gives them. Newer versions of the runtime
// add inputs and attributes at the end: what is not listed here is no error.
#include "onnx/microsoft.h"

#include <algorithm>
#include <climits>
#include <map>

#include "hone/support/text.h"

namespace hone::onnx {
namespace {

// Inputs: s needed, o optional, v any number. Attributes: name:type, f float, i int, s string, capitals lists; ! needed.
struct Entry {
  const char* op_type;
  const char* inputs;
  int outputs;
  const char* attributes;
};
constexpr Entry entries[] = {
    {"Attention", "ssooooo", 1,
     "do_rotary:i mask_filter_value:f num_heads:i! past_present_share_buffer:i qkv_hidden_sizes:I "
     "rotary_embedding_dim:i scale:f unidirectional:i"},
    {"BiasGelu", "ss", 1, ""},
    {"DynamicQuantizeLSTM", "sssooooossss", 0,
     "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i input_forget:i"},
    {"DynamicQuantizeMatMul", "sssoo", 1, ""},
    {"EmbedLayerNormalization", "sossossoo", 1, "epsilon:f mask_index_type:i"},
    {"FastGelu", "so", 1, ""},
    {"FusedConv", "ssoo", 1,
     "activation:s activation_params:F auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I"},
    {"FusedMatMul", "ss", 1, "alpha:f transA:i transB:i transBatchA:i transBatchB:i"},
    {"GatherBlockQuantized", "ssso", 1, "bits:i block_size:i gather_axis:i quantize_axis:i"},
    {"Gelu", "s", 1, ""},
    {"GroupQueryAttention", "soooossoooooooooo", 1,
     "causal:i do_rotary:i k_norm_epsilon:f k_quant_type:s kv_cache_bit_width:i kv_num_heads:i! "
     "local_window_size:i num_heads:i! q_norm_epsilon:f qk_norm_epsilon:f qk_output:i "
     "rotary_interleaved:i scale:f sliding_window_cache:i smooth_softmax:i softcap:f v_quant_type:s"},
    {"MatMulIntegerToFloat", "ssssooo", 1, ""},
    {"MatMulNBits", "sssooo", 1, "K:i! N:i! accuracy_level:i bits:i block_size:i! weight_prepacked:i"},
    {"MultiHeadAttention", "sooooooooo", 1, "mask_filter_value:f num_heads:i! scale:f unidirectional:i"},
    {"QGemm", "ssssssooo", 1, "alpha:f transA:i transB:i"},
    {"QLinearAdd", "ssossoso", 1, ""},
    {"QLinearAveragePool", "ssoso", 1,
     "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i kernel_shape:I! pads:I strides:I"},
    {"QLinearConcat", "ssv", 1, "axis:i!"},
    {"QLinearGlobalAveragePool", "sssss", 1, "channels_last:i"},
    {"QLinearLeakyRelu", "ssoso", 1, "alpha:f"},
    {"QLinearMul", "ssossoso", 1, ""},
    {"QLinearSigmoid", "ssoso", 1, ""},
    {"QLinearSoftmax", "ssoss", 1, "axis:i opset:i!"},
    {"QLinearWhere", "sssssssss", 1, ""},
    {"QuickGelu", "s", 1, "alpha:f"},
    {"RotaryEmbedding", "ssss", 1, "interleaved:i is_packed_batching:i num_heads:i rotary_embedding_dim:i scale:f"},
    {"SimplifiedLayerNormalization", "ss", 1, "axis:i epsilon:f stash_type:i"},
    {"SkipLayerNormalization", "sssoo", 1, "epsilon:f"},
    {"SkipSimplifiedLayerNormalization", "ssso", 1, "epsilon:f"},
};

int attribute_type(char letter) {  // AttributeProto.AttributeType
  switch (letter) {
    case 'f':
      return 1;
    case 'i':
      return 2;
    case 's':
      return 3;
    case 'F':
      return 6;
    case 'I':
      return 7;
    default:
      return 8;
  }
}

Schema schema_of(const Entry& entry) {
  Schema schema;
  schema.name = entry.op_type;
  schema.domain = "com.microsoft";
  schema.since_version = 1;
  schema.max_inputs = schema.max_outputs = INT_MAX;
  schema.min_outputs = entry.outputs;
  for (const char letter : std::string_view(entry.inputs)) {
    Parameter parameter;
    parameter.option = letter == 's'   ? Parameter::Option::single
                       : letter == 'o' ? Parameter::Option::optional
                                       : Parameter::Option::variadic;
    schema.inputs.push_back(std::move(parameter));
    if (letter != 'o') schema.min_inputs = static_cast<int>(schema.inputs.size());
  }
  for (std::string_view item : split(entry.attributes, ' ')) {
    if (item.empty()) continue;
    AttributeSchema attribute;
    const std::size_t colon = item.find(':');
    attribute.name = item.substr(0, colon);
    attribute.type = attribute_type(item[colon + 1]);
    attribute.required = item.ends_with('!');
    schema.attributes.push_back(std::move(attribute));
  }
  return schema;
}

}  // namespace

const Schema* find_microsoft_schema(std::string_view op_type, std::string_view domain) {
  if (domain != (op_type == "SimplifiedLayerNormalization" ? "" : "com.microsoft")) return nullptr;
  static const auto table = [] {
    std::map<std::string_view, Schema> result;
    for (const Entry& entry : entries) result.emplace(entry.op_type, schema_of(entry));
    return result;
  }();
  const auto found = table.find(op_type);
  return found == table.end() ? nullptr : &found->second;
}

}  // namespace hone::onnx
