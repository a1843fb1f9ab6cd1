// A model that is read and written is the same one, field by field.
#include <google/protobuf/descriptor.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "models.h"
#include "onnx/messages.h"
#include "temporary_folder.h"

namespace hone {
namespace {

using testing::serialize;

ir::Model read_model(std::string bytes) { return onnx::read(File::from_memory(std::move(bytes), "test.onnx")); }

}  // namespace

TEST_CASE("a small model keeps its bytes") {
  const std::string bytes = serialize(testing::small_model());
  const ir::Model model = read_model(bytes);
  CHECK(model.graph->node_count() == 1);
  CHECK(model.graph->first()->is("Relu"));
  CHECK(model.opset() == 17);
  CHECK(ir::text(model.graph->inputs()[0]->type()) == "float[N,4]");
  CHECK(onnx::to_bytes(model) == bytes);
  CHECK(onnx::serialized_size(model) == bytes.size());
}

TEST_CASE("random models with every field of ONNX and others keep all of them") {
  for (std::uint32_t seed = 0; seed < 600; ++seed) {
    INFO("seed " << seed);
    const ::onnx::ModelProto before = testing::random_model(seed);
    const ir::Model model = read_model(serialize(before));
    ir::verify(*model.graph);
    const std::string bytes = onnx::to_bytes(model);
    ::onnx::ModelProto after;
    REQUIRE(after.ParseFromString(bytes));
    // Protobuf writes the fields of equal messages in one order, so that equal bytes mean equal messages, presence and
    // unknown fields included.
    REQUIRE((serialize(after) == serialize(before)));
    // Written again: not one byte moves.
    REQUIRE((onnx::to_bytes(read_model(bytes)) == bytes));
    // Copies of the IR are as good.
    REQUIRE((onnx::to_bytes(model.clone()) == bytes));
  }
}

TEST_CASE("the table of messages is that of ONNX") {
  using google::protobuf::FieldDescriptor;
  const auto check = [](onnx::Message message, const google::protobuf::Descriptor& descriptor) {
    INFO(descriptor.full_name());
    const std::string& name = descriptor.full_name();
    CHECK(name.substr(5) == onnx::message_name(message));
    int known = 0;
    for (std::uint32_t number = 0; number < onnx::field_limit; ++number) {
      const onnx::FieldInfo& info = onnx::field_info(message, number);
      const FieldDescriptor* field = descriptor.FindFieldByNumber(static_cast<int>(number));
      INFO("field " << number);
      REQUIRE((info.kind != onnx::FieldKind::none) == (field != nullptr));
      if (!field) continue;
      ++known;
      CHECK(field->name() == info.name);
      onnx::FieldKind expected = onnx::FieldKind::none;
      const bool many = field->is_repeated();
      switch (field->type()) {
        case FieldDescriptor::TYPE_INT32:
        case FieldDescriptor::TYPE_INT64:
        case FieldDescriptor::TYPE_UINT64:
        case FieldDescriptor::TYPE_ENUM:
          expected = many ? onnx::FieldKind::varints : onnx::FieldKind::varint;
          break;
        case FieldDescriptor::TYPE_FLOAT:
          expected = many ? onnx::FieldKind::fixed32s : onnx::FieldKind::fixed32;
          break;
        case FieldDescriptor::TYPE_DOUBLE:
          expected = many ? onnx::FieldKind::fixed64s : onnx::FieldKind::fixed64;
          break;
        case FieldDescriptor::TYPE_STRING:
          expected = onnx::FieldKind::text;
          break;
        case FieldDescriptor::TYPE_BYTES:
          expected = onnx::FieldKind::bytes;
          break;
        case FieldDescriptor::TYPE_MESSAGE:
          expected = onnx::FieldKind::message;
          break;
        default:
          break;
      }
      CHECK(info.kind == expected);
      if (field->type() == FieldDescriptor::TYPE_MESSAGE) {
        CHECK(field->message_type()->full_name().substr(5) == onnx::message_name(info.message));
      }
    }
    CHECK(known == descriptor.field_count());
  };
  using M = onnx::Message;
  const auto* file = ::onnx::ModelProto::descriptor()->file();
  int checked = 0;
  const std::function<void(const google::protobuf::Descriptor&)> walk =
      [&](const google::protobuf::Descriptor& descriptor) {
        for (int i = 1; i <= static_cast<int>(M::optional_data); ++i) {
          if (descriptor.full_name().substr(5) != onnx::message_name(static_cast<M>(i))) continue;
          check(static_cast<M>(i), descriptor);
          ++checked;
        }
        for (int i = 0; i < descriptor.nested_type_count(); ++i) walk(*descriptor.nested_type(i));
      };
  for (int i = 0; i < file->message_type_count(); ++i) walk(*file->message_type(i));
  CHECK(checked == static_cast<int>(M::sequence_data) - 1);
}

}  // namespace hone
