// Weights beside the model: in, out, in pieces, and larger than one file may be.
#include <catch2/catch.hpp>
#include <filesystem>

#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "models.h"
#include "temporary_folder.h"

namespace hone {
namespace {

ir::Model with_weights() {
  ir::Model model = onnx::read_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1000] x) => (float[1000] y) <float[1000] a, float[1000] b, float[1000] c, float[2] small> {
  s = Add(x, a) t = Add(s, b) y = Add(t, c) })");
  float next = 0;
  for (ir::Value* value : model.graph->initializers()) {
    std::vector<float> values(static_cast<std::size_t>(value->initializer()->element_count()));
    for (float& each : values) each = next++;
    const ir::Dims dims = value->initializer()->dims();
    model.graph->set_initializer(*value, ir::Tensor::of<float>(dims, values));
  }
  return model;
}

}  // namespace

TEST_CASE("weights go out, into shards and back in, bit for bit") {
  const testing::TemporaryFolder folder;
  const ir::Model model = with_weights();
  const std::string bytes = onnx::to_bytes(model);
  onnx::WriteOptions options;
  options.external_data = onnx::ExternalData::external;
  onnx::write(model, folder.path("out.onnx"), options);
  CHECK(std::filesystem::file_size(folder.path("out.onnx")) < 2000);
  CHECK(folder.list().size() == 2);

  const ir::Model out = onnx::read(folder.path("out.onnx"));
  options.shard_size = 8000;  // two weights of 4,000 bytes; the alignment takes some
  options.external_alignment = 1;
  std::filesystem::create_directory(folder.path("shards"));
  onnx::write(out, folder.path("shards/m.onnx"), options);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path("shards")), {}) == 3);
  std::uintmax_t largest = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("shards"))) {
    largest = std::max(largest, entry.file_size());
  }
  CHECK(largest == 8000);

  const ir::Model shards = onnx::read(folder.path("shards/m.onnx"));
  options = {};
  options.external_data = onnx::ExternalData::inline_;
  onnx::write(shards, folder.path("in.onnx"), options);
  CHECK(folder.read("in.onnx") == bytes);
}

TEST_CASE("five gigabytes of weights: untouched where they are, refused inside") {
  const testing::TemporaryFolder folder;
  folder.write("w.bin", "");
  constexpr std::uint64_t kSize = std::uint64_t{5} << 30;
  std::filesystem::resize_file(folder.path("w.bin"), kSize);  // a hole: no disk is used
  ::onnx::ModelProto proto = testing::small_model();
  auto* weight = proto.mutable_graph()->add_initializer();
  weight->set_name("w");
  weight->set_data_type(::onnx::TensorProto::FLOAT);
  weight->add_dims(static_cast<std::int64_t>(kSize / 4));
  weight->set_data_location(::onnx::TensorProto::EXTERNAL);
  auto* entry = weight->add_external_data();
  entry->set_key("location");
  entry->set_value("w.bin");
  folder.write("m.onnx", testing::serialize(proto));

  const ir::Model model = onnx::read(folder.path("m.onnx"));
  onnx::write(model, folder.path("kept.onnx"));
  CHECK(std::filesystem::file_size(folder.path("kept.onnx")) < 1000);
  CHECK(folder.list() == std::vector<std::string>{"kept.onnx", "m.onnx", "w.bin"});
  CHECK(onnx::read(folder.path("kept.onnx")).graph->initializers()[0]->initializer()->byte_size() == kSize);

  onnx::WriteOptions options;
  options.external_data = onnx::ExternalData::inline_;
  CHECK_THROWS_WITH(onnx::write(model, folder.path("inside.onnx"), options), Catch::Contains("2 GiB"));
  CHECK_FALSE(std::filesystem::exists(folder.path("inside.onnx")));
}

}  // namespace hone
