#include "hone/onnx/metadata.h"

#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "models.h"

namespace hone {
namespace {

void add(google::protobuf::RepeatedPtrField<::onnx::StringStringEntryProto>* list, const char* key, const char* value) {
  auto* entry = list->Add();
  entry->set_key(key);
  entry->set_value(value);
}

::onnx::ModelProto talkative() {
  ::onnx::ModelProto model = testing::small_model();
  model.set_doc_string("what the model is for");
  add(model.mutable_metadata_props(), "license", "MIT");
  auto* graph = model.mutable_graph();
  graph->set_doc_string("of the graph");
  add(graph->mutable_metadata_props(), "pkg.torch.export.graph_signature", "(...)");
  auto* node = graph->mutable_node(0);
  node->set_doc_string("File \"/home/somebody/secret.py\", line 3");
  add(node->mutable_metadata_props(), "pkg.torch.onnx.stack_trace", "File \"/home/somebody/secret.py\", line 3");
  add(node->mutable_metadata_props(), "namespace", "model.layer");
  add(node->mutable_metadata_props(), "mine", "kept");
  graph->mutable_input(0)->set_doc_string("of the input");
  return model;
}

::onnx::ModelProto after(const onnx::MetadataFilter& filter, onnx::MetadataRemoved& removed) {
  ir::Model model = onnx::read(File::from_memory(testing::serialize(talkative()), "test.onnx"));
  removed = onnx::remove_metadata(model, filter);
  ::onnx::ModelProto result;
  REQUIRE(result.ParseFromString(onnx::to_bytes(model)));
  return result;
}

}  // namespace

TEST_CASE("debug information goes, the rest stays") {
  onnx::MetadataRemoved removed;
  onnx::MetadataFilter filter;
  filter.doc_strings = true;
  filter.inner_key = onnx::is_debug_key;
  const ::onnx::ModelProto model = after(filter, removed);
  CHECK(testing::serialize(model).find("secret.py") == std::string::npos);
  CHECK(removed.doc_strings == 3);
  CHECK(removed.entries == 3);
  CHECK(removed.keys.at("namespace") == 1);
  CHECK(model.doc_string() == "what the model is for");
  REQUIRE(model.graph().node(0).metadata_props_size() == 1);
  CHECK(model.graph().node(0).metadata_props(0).key() == "mine");
  CHECK(model.metadata_props_size() == 1);
  ::onnx::ModelProto expected = talkative();
  expected.mutable_graph()->clear_doc_string();
  expected.mutable_graph()->clear_metadata_props();
  expected.mutable_graph()->mutable_node(0)->clear_doc_string();
  expected.mutable_graph()->mutable_node(0)->mutable_metadata_props()->DeleteSubrange(0, 2);
  expected.mutable_graph()->mutable_input(0)->clear_doc_string();
  CHECK(testing::serialize(model) == testing::serialize(expected));
}

TEST_CASE("metadata of the model go by key") {
  onnx::MetadataRemoved removed;
  onnx::MetadataFilter filter;
  filter.model_key = [](std::string_view key) { return key == "license"; };
  const ::onnx::ModelProto model = after(filter, removed);
  CHECK(model.metadata_props_size() == 0);
  CHECK(removed.entries == 1);
  CHECK(model.graph().node(0).metadata_props_size() == 3);
}

TEST_CASE("quantization annotations follow names") {
  ::onnx::ModelProto proto = testing::small_model();
  auto* annotation = proto.mutable_graph()->add_quantization_annotation();
  annotation->set_tensor_name("x");
  add(annotation->mutable_quant_parameter_tensor_names(), "SCALE_TENSOR", "scale");
  ir::Model model = onnx::read(File::from_memory(testing::serialize(proto), "test.onnx"));
  onnx::set_annotations(*model.graph, onnx::annotations(*model.graph, [](std::string_view name) {
    return std::optional("new_" + std::string(name));
  }));
  ::onnx::ModelProto result;
  REQUIRE(result.ParseFromString(onnx::to_bytes(model)));
  REQUIRE(result.graph().quantization_annotation_size() == 1);
  CHECK(result.graph().quantization_annotation(0).tensor_name() == "new_x");
  CHECK(result.graph().quantization_annotation(0).quant_parameter_tensor_names(0).value() == "new_scale");
  onnx::set_annotations(*model.graph,
                        onnx::annotations(*model.graph, [](std::string_view) { return std::optional<std::string>(); }));
  REQUIRE(result.ParseFromString(onnx::to_bytes(model)));
  CHECK(result.graph().quantization_annotation_size() == 0);
}

}  // namespace hone
