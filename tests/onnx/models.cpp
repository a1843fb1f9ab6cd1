#include "models.h"

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <set>
#include <vector>

namespace hone::testing {
namespace {

using namespace ::onnx;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Fields that decide what a model means or whether it is valid: decorate() leaves them to those who know.
const std::set<std::string> meaningful = {
    "onnx.ModelProto.ir_version",
    "onnx.ModelProto.graph",
    "onnx.ModelProto.opset_import",
    "onnx.ModelProto.functions",
    "onnx.GraphProto.node",
    "onnx.GraphProto.initializer",
    "onnx.GraphProto.sparse_initializer",
    "onnx.GraphProto.input",
    "onnx.GraphProto.output",
    "onnx.GraphProto.value_info",
    "onnx.NodeProto.input",
    "onnx.NodeProto.output",
    "onnx.NodeProto.op_type",
    "onnx.NodeProto.domain",
    "onnx.NodeProto.overload",
    "onnx.NodeProto.attribute",
    "onnx.AttributeProto.name",
    "onnx.AttributeProto.type",
    "onnx.AttributeProto.ref_attr_name",
    "onnx.AttributeProto.f",
    "onnx.AttributeProto.i",
    "onnx.AttributeProto.s",
    "onnx.AttributeProto.t",
    "onnx.AttributeProto.g",
    "onnx.AttributeProto.sparse_tensor",
    "onnx.AttributeProto.tp",
    "onnx.AttributeProto.floats",
    "onnx.AttributeProto.ints",
    "onnx.AttributeProto.strings",
    "onnx.AttributeProto.tensors",
    "onnx.AttributeProto.graphs",
    "onnx.AttributeProto.sparse_tensors",
    "onnx.AttributeProto.type_protos",
    "onnx.TensorProto.dims",
    "onnx.TensorProto.data_type",
    "onnx.TensorProto.float_data",
    "onnx.TensorProto.int32_data",
    "onnx.TensorProto.string_data",
    "onnx.TensorProto.int64_data",
    "onnx.TensorProto.raw_data",
    "onnx.TensorProto.external_data",
    "onnx.TensorProto.data_location",
    "onnx.TensorProto.double_data",
    "onnx.TensorProto.uint64_data",
    "onnx.TensorProto.name",
    "onnx.SparseTensorProto.values",
    "onnx.SparseTensorProto.indices",
    "onnx.SparseTensorProto.dims",
    "onnx.ValueInfoProto.name",
    "onnx.ValueInfoProto.type",
    "onnx.FunctionProto.name",
    "onnx.FunctionProto.domain",
    "onnx.FunctionProto.overload",
    "onnx.FunctionProto.input",
    "onnx.FunctionProto.output",
    "onnx.FunctionProto.attribute",
    "onnx.FunctionProto.attribute_proto",
    "onnx.FunctionProto.node",
    "onnx.FunctionProto.opset_import",
    "onnx.FunctionProto.value_info",
    "onnx.OperatorSetIdProto.domain",
    "onnx.OperatorSetIdProto.version",
    "onnx.TypeProto.tensor_type",
    "onnx.TypeProto.sequence_type",
    "onnx.TypeProto.map_type",
    "onnx.TypeProto.optional_type",
    "onnx.TypeProto.sparse_tensor_type",
    "onnx.TypeProto.opaque_type",
    "onnx.TypeProto.Tensor.elem_type",
    "onnx.TypeProto.Tensor.shape",
    "onnx.TypeProto.SparseTensor.elem_type",
    "onnx.TypeProto.SparseTensor.shape",
    "onnx.TypeProto.Sequence.elem_type",
    "onnx.TypeProto.Optional.elem_type",
    "onnx.TypeProto.Map.key_type",
    "onnx.TypeProto.Map.value_type",
    "onnx.TensorShapeProto.dim",
    "onnx.TensorShapeProto.Dimension.dim_value",
    "onnx.TensorShapeProto.Dimension.dim_param",
};

bool chance(std::mt19937& random, int percent) { return static_cast<int>(random() % 100) < percent; }

std::string random_text(std::mt19937& random) {
  static const char* texts[] = {"",
                                "a",
                                "text with blanks",
                                "zwölf Boxkämpfer",
                                "\xe6\xbc\xa2\xe5\xad\x97",
                                "line\nbreak",
                                "::error::x",
                                "../up",
                                "a string too long for the small string optimization of the library"};
  return texts[random() % std::size(texts)];
}

void fill(Message& message, const FieldDescriptor& field, std::mt19937& random, bool everything, int depth) {
  const auto* reflection = message.GetReflection();
  const bool many = field.is_repeated();
#define HONE_FILL(Type, value)                      \
  if (many) {                                       \
    reflection->Add##Type(&message, &field, value); \
  } else {                                          \
    reflection->Set##Type(&message, &field, value); \
  }                                                 \
  break
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      HONE_FILL(Int32, static_cast<std::int32_t>(random()));
    case FieldDescriptor::CPPTYPE_INT64:
      HONE_FILL(Int64, static_cast<std::int64_t>(std::uint64_t{random()} << 32 | random()));
    case FieldDescriptor::CPPTYPE_UINT32:
      HONE_FILL(UInt32, static_cast<std::uint32_t>(random()));
    case FieldDescriptor::CPPTYPE_UINT64:
      HONE_FILL(UInt64, static_cast<std::uint64_t>(random()));
    case FieldDescriptor::CPPTYPE_FLOAT:
      HONE_FILL(Float, static_cast<float>(random() % 1000) / 8);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      HONE_FILL(Double, static_cast<double>(random() % 1000) / 8);
    case FieldDescriptor::CPPTYPE_BOOL:
      HONE_FILL(Bool, chance(random, 50));
    case FieldDescriptor::CPPTYPE_ENUM:
      HONE_FILL(EnumValue, static_cast<int>(random() % 10));
    case FieldDescriptor::CPPTYPE_STRING:
      HONE_FILL(String, random_text(random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      decorate(many ? *reflection->AddMessage(&message, &field) : *reflection->MutableMessage(&message, &field), random,
               everything, depth + 1);
      break;
  }
#undef HONE_FILL
}

void add_value_type(ValueInfoProto& value, const std::string& name, int type, const std::vector<std::string>& dims) {
  value.set_name(name);
  auto* tensor = value.mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (const std::string& dim : dims) {
    auto* added = tensor->mutable_shape()->add_dim();
    if (dim.empty()) continue;
    if (dim.find_first_not_of("-0123456789") == std::string::npos) {
      added->set_dim_value(std::stoll(dim));
    } else {
      added->set_dim_param(dim);
    }
  }
}

constexpr int tensor_types = 26;
constexpr int widths[tensor_types + 1] = {0,  32,  8,  8, 16, 16, 32, 64, 0, 8, 16, 64, 32, 64,
                                          64, 128, 16, 8, 8,  8,  8,  4,  4, 4, 8,  2,  2};

void fill_tensor(TensorProto& tensor, int type, bool raw, std::mt19937& random) {
  tensor.set_data_type(type);
  std::int64_t count = 1;
  const int rank = static_cast<int>(random() % 4);
  for (int i = 0; i < rank; ++i) {
    tensor.add_dims(chance(random, 10) ? 0 : 1 + static_cast<std::int64_t>(random() % 7));
    count *= tensor.dims(i);
  }
  const std::int64_t bytes = (count * widths[type] + 7) / 8;
  if (type == TensorProto::STRING) {
    for (std::int64_t i = 0; i < count; ++i)
      tensor.add_string_data(chance(random, 30) ? std::string("\xff\0\xfe", 3) : "text");
    return;
  }
  if (raw) {
    std::string& data = *tensor.mutable_raw_data();
    for (std::int64_t i = 0; i < bytes; ++i) data.push_back(static_cast<char>(random()));
    return;
  }
  const std::int64_t entries = widths[type] < 8 ? bytes : count;
  for (std::int64_t i = 0; i < entries; ++i) {
    const auto bits = static_cast<std::int32_t>(random());
    switch (type) {
      case TensorProto::FLOAT:
        tensor.add_float_data(static_cast<float>(bits));
        break;
      case TensorProto::COMPLEX64:
        tensor.add_float_data(1.5f);
        tensor.add_float_data(static_cast<float>(bits));
        break;
      case TensorProto::DOUBLE:
        tensor.add_double_data(bits);
        break;
      case TensorProto::COMPLEX128:
        tensor.add_double_data(bits);
        tensor.add_double_data(-0.0);
        break;
      case TensorProto::INT64:
        tensor.add_int64_data(chance(random, 50) ? bits : std::int64_t{bits} << 30);
        break;
      case TensorProto::UINT32:
        tensor.add_uint64_data(static_cast<std::uint32_t>(bits));
        break;
      case TensorProto::UINT64:
        tensor.add_uint64_data(std::uint64_t(bits) << 20);
        break;
      case TensorProto::INT32:
        tensor.add_int32_data(bits);
        break;
      case TensorProto::INT16:
        tensor.add_int32_data(static_cast<std::int16_t>(bits));
        break;
      case TensorProto::INT8:
        tensor.add_int32_data(static_cast<std::int8_t>(bits));
        break;
      case TensorProto::UINT16:
      case TensorProto::FLOAT16:
      case TensorProto::BFLOAT16:
        tensor.add_int32_data(bits & 0xffff);
        break;
      default:
        tensor.add_int32_data(bits & 0xff);
        break;
    }
  }
}

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  ModelProto model() {
    ModelProto model;
    model.set_ir_version(10);
    auto* opset = model.add_opset_import();
    if (chance(50)) opset->set_domain(chance(50) ? "ai.onnx" : "");
    opset->set_version(20);
    opset = model.add_opset_import();
    opset->set_domain("test.domain");
    opset->set_version(3);
    graph(*model.mutable_graph(), {}, 0);
    const int functions = static_cast<int>(random_() % 3);
    for (int i = 0; i < functions; ++i) function(*model.add_functions(), "f" + std::to_string(i));
    for (int i = static_cast<int>(random_() % 4); i > 0; --i) {
      auto* entry = model.add_metadata_props();
      entry->set_key("key " + std::to_string(i));
      if (chance(80)) entry->set_value(random_text(random_));
    }
    decorate(model, random_, false);
    return model;
  }

 private:
  bool chance(int percent) { return testing::chance(random_, percent); }
  std::string fresh() { return "v" + std::to_string(++names_); }

  void type(TypeProto& proto, int depth = 0) {
    switch (depth > 3 ? 0 : random_() % 8) {
      default: {
        auto* tensor = proto.mutable_tensor_type();
        tensor->set_elem_type(1 + static_cast<int>(random_() % 16));
        if (chance(70)) {
          auto* shape = tensor->mutable_shape();
          for (int i = static_cast<int>(random_() % 4); i > 0; --i) {
            auto* dim = shape->add_dim();
            if (chance(40))
              dim->set_dim_value(static_cast<std::int64_t>(random_() % 9) - 1);
            else if (chance(60))
              dim->set_dim_param(chance(20) ? "" : "n*2 + m");
          }
        }
        break;
      }
      case 4:
        type(*proto.mutable_sequence_type()->mutable_elem_type(), depth + 1);
        break;
      case 5:
        type(*proto.mutable_optional_type()->mutable_elem_type(), depth + 1);
        break;
      case 6:
        proto.mutable_map_type()->set_key_type(TensorProto::STRING);
        type(*proto.mutable_map_type()->mutable_value_type(), depth + 1);
        break;
      case 7:
        if (chance(50)) {
          proto.mutable_sparse_tensor_type()->set_elem_type(1);
        } else {
          proto.mutable_opaque_type()->set_name("x");
        }
        break;
    }
  }

  void declare(ValueInfoProto& value, const std::string& name) {
    value.set_name(name);
    type(*value.mutable_type());
  }

  void attribute(AttributeProto& proto, const std::vector<std::string>& scope, int depth) {
    using A = AttributeProto;
    const int kind = 1 + static_cast<int>(random_() % 14);
    proto.set_name("attribute" + std::to_string(++names_));
    proto.set_type(static_cast<A::AttributeType>(kind));
    const int count = static_cast<int>(random_() % 4);
    switch (kind) {
      case A::FLOAT:
        if (chance(80)) proto.set_f(chance(30) ? 0.0f : -2.5f);
        break;
      case A::INT:
        if (chance(80)) proto.set_i(chance(30) ? 0 : -static_cast<std::int64_t>(random_()));
        break;
      case A::STRING:
        if (chance(80)) proto.set_s(chance(30) ? std::string() : std::string("\0\xff", 2));
        break;
      case A::TENSOR:
        tensor(*proto.mutable_t(), true);
        break;
      case A::GRAPH:
        if (depth < 3) {
          graph(*proto.mutable_g(), scope, depth + 1);
        } else {
          proto.set_type(A::INTS);
        }
        break;
      case A::SPARSE_TENSOR:
        sparse(*proto.mutable_sparse_tensor());
        break;
      case A::TYPE_PROTO:
        type(*proto.mutable_tp());
        break;
      case A::FLOATS:
        for (int i = 0; i < count; ++i) proto.add_floats(0.5f * static_cast<float>(i));
        break;
      case A::INTS:
        for (int i = 0; i < count; ++i) proto.add_ints(i - 1);
        break;
      case A::STRINGS:
        for (int i = 0; i < count; ++i) proto.add_strings(random_text(random_));
        break;
      case A::TENSORS:
        for (int i = 0; i < count; ++i) tensor(*proto.add_tensors(), true);
        break;
      case A::GRAPHS:
        for (int i = 0; i < count && depth < 2; ++i) graph(*proto.add_graphs(), scope, depth + 1);
        break;
      case A::SPARSE_TENSORS:
        for (int i = 0; i < count; ++i) sparse(*proto.add_sparse_tensors());
        break;
      default:
        for (int i = 0; i < count; ++i) type(*proto.add_type_protos());
        break;
    }
  }

  void tensor(TensorProto& proto, bool named) {
    fill_tensor(proto, 1 + static_cast<int>(random_() % tensor_types), chance(50), random_);
    if (named && chance(50)) proto.set_name(random_text(random_));
    if (chance(10)) proto.set_data_location(TensorProto::DEFAULT);
  }

  void sparse(SparseTensorProto& proto) {
    proto.mutable_values()->set_data_type(TensorProto::FLOAT);
    proto.mutable_values()->add_dims(2);
    proto.mutable_values()->add_float_data(1);
    proto.mutable_values()->add_float_data(2);
    proto.mutable_indices()->set_data_type(TensorProto::INT64);
    proto.mutable_indices()->add_dims(2);
    proto.mutable_indices()->add_int64_data(1);
    proto.mutable_indices()->add_int64_data(4);
    proto.add_dims(2);
    proto.add_dims(3);
  }

  void node(NodeProto& proto, std::vector<std::string>& scope, int depth) {
    for (int i = static_cast<int>(random_() % 4); i > 0; --i) {
      proto.add_input(chance(15) || scope.empty() ? "" : scope[random_() % scope.size()]);
    }
    proto.set_op_type(chance(50) ? "Another" : "Whatever");
    if (chance(40)) proto.set_domain(chance(50) ? "test.domain" : chance(50) ? "ai.onnx" : "");
    if (chance(20)) proto.set_overload(chance(50) ? "" : "o");
    for (int i = static_cast<int>(random_() % 3); i > 0; --i) attribute(*proto.add_attribute(), scope, depth);
    for (int i = static_cast<int>(random_() % 3); i > 0; --i) {
      proto.add_output(chance(15) ? "" : fresh());
      if (!proto.output().rbegin()->empty()) scope.push_back(*proto.output().rbegin());
    }
  }

  void graph(GraphProto& proto, std::vector<std::string> scope, int depth) {
    std::vector<std::string> own;
    const auto add = [&](const std::string& name) {
      scope.push_back(name);
      own.push_back(name);
    };
    for (int i = static_cast<int>(random_() % 3); i > 0; --i) {
      const std::string name = fresh();
      if (depth > 0 && chance(30)) {
        proto.add_input()->set_name(name);
      } else {
        declare(*proto.add_input(), name);
      }
      add(name);
    }
    for (int i = static_cast<int>(random_() % 5); i > 0; --i) {
      std::string name = fresh();
      if (depth == 0 && chance(20)) declare(*proto.add_input(), name);
      tensor(*proto.add_initializer(), false);
      proto.mutable_initializer()->rbegin()->set_name(name);
      add(name);
    }
    if (chance(30)) {
      const std::string name = fresh();
      sparse(*proto.add_sparse_initializer());
      proto.mutable_sparse_initializer()->rbegin()->mutable_values()->set_name(name);
      add(name);
    }
    const std::size_t before = scope.size();
    for (int i = static_cast<int>(random_() % 6); i > 0; --i) node(*proto.add_node(), scope, depth);
    own.insert(own.end(), scope.begin() + static_cast<std::ptrdiff_t>(before), scope.end());
    if (own.empty()) {
      const std::string name = fresh();
      declare(*proto.add_input(), name);
      own.push_back(name);
    }
    for (int i = 1 + static_cast<int>(random_() % 3); i > 0; --i) {
      const std::vector<std::string>& from = depth > 0 && chance(20) && !scope.empty() ? scope : own;
      declare(*proto.add_output(), from[random_() % from.size()]);
    }
    for (int i = static_cast<int>(random_() % 5); i > 0; --i) {
      declare(*proto.add_value_info(), chance(20) ? "nobody" : own[random_() % own.size()]);
    }
  }

  void function(FunctionProto& proto, const std::string& name) {
    proto.set_name(name);
    if (chance(80)) proto.set_domain(chance(80) ? "test.domain" : "");
    if (chance(30)) proto.set_overload(chance(50) ? "" : "o");
    auto* opset = proto.add_opset_import();
    opset->set_domain("");
    opset->set_version(20);
    opset = proto.add_opset_import();
    opset->set_domain("test.domain");
    opset->set_version(3);
    proto.add_attribute("a");
    attribute(*proto.add_attribute_proto(), {}, 9);
    if (proto.attribute_proto(0).type() == AttributeProto::GRAPHS) proto.clear_attribute_proto();
    std::vector<std::string> scope;
    for (int i = static_cast<int>(random_() % 3); i > 0; --i) {
      scope.push_back(fresh());
      proto.add_input(scope.back());
    }
    for (int i = 1 + static_cast<int>(random_() % 3); i > 0; --i) {
      node(*proto.add_node(), scope, 1);
      auto* reference = proto.mutable_node(proto.node_size() - 1)->add_attribute();
      reference->set_name("referring");
      reference->set_ref_attr_name("a");
      reference->set_type(AttributeProto::INT);
    }
    if (scope.empty()) return;
    for (int i = static_cast<int>(random_() % 3); i > 0; --i) proto.add_output(scope[random_() % scope.size()]);
    for (int i = static_cast<int>(random_() % 4); i > 0; --i) {
      declare(*proto.add_value_info(), chance(20) ? "nobody" : scope[random_() % scope.size()]);
    }
  }

  std::mt19937 random_;
  int names_ = 0;
};

}  // namespace

void decorate(Message& message, std::mt19937& random, bool everything, int depth) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  // A whole model costs little to decorate, and messages that hold themselves have to end somewhere.
  const int percent = depth > 4 ? 5 : 20;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor& field = *descriptor->field(i);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {  // what is there already
      if (field.is_repeated()) {
        for (int k = 0; k < reflection->FieldSize(message, &field); ++k) {
          decorate(*reflection->MutableRepeatedMessage(&message, &field, k), random, everything, depth + 1);
        }
      } else if (reflection->HasField(message, &field)) {
        decorate(*reflection->MutableMessage(&message, &field), random, everything, depth + 1);
      }
    }
    if ((!everything && meaningful.contains(std::string(field.full_name()))) || !chance(random, percent)) continue;
    if (!field.is_repeated() && (reflection->HasField(message, &field) || field.containing_oneof())) continue;
    // What is not meaningful is kept as bytes, with all that is in it.
    if (depth < 8) fill(message, field, random, true, depth);
  }
  if (!chance(random, percent)) return;
  auto* unknown = reflection->MutableUnknownFields(&message);
  unknown->AddVarint(1000, random());
  if (chance(random, 50)) unknown->AddLengthDelimited(31, std::string("\x00\xff not a message", 16));
  if (chance(random, 50)) unknown->AddFixed32(30, 7);
  if (chance(random, 50)) unknown->AddFixed64(536870911, 8);
}

ModelProto small_model() {
  ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  GraphProto& graph = *model.mutable_graph();
  graph.set_name("g");
  add_value_type(*graph.add_input(), "x", TensorProto::FLOAT, {"N", "4"});
  add_value_type(*graph.add_output(), "y", TensorProto::FLOAT, {"N", "4"});
  NodeProto& node = *graph.add_node();
  node.set_name("relu");
  node.set_op_type("Relu");
  node.add_input("x");
  node.add_output("y");
  return model;
}

ModelProto random_model(std::uint32_t seed) { return Generator(seed).model(); }

std::string serialize(const Message& message) { return message.SerializeAsString(); }

}  // namespace hone::testing
