// Values of test data sets, there and back.
#include "hone/ir/datum.h"

#include <onnx/onnx-data.pb.h>
#include <onnx/onnx_pb.h>

#include <catch2/catch.hpp>

#include "hone/onnx/read.h"
#include "hone/support/error.h"
#include "temporary_folder.h"

namespace hone {
namespace {

ir::Type sequence_of(ir::Type element) {
  ir::Type type;
  type.kind = ir::Type::Kind::sequence;
  type.inner = std::make_shared<const ir::Type>(std::move(element));
  return type;
}

}  // namespace

TEST_CASE("tensors, sequences, optionals and maps come back from files") {
  const testing::TemporaryFolder folder;
  const auto back = [&](const ir::Datum& datum, const ir::Type& type) {
    return onnx::read_datum(folder.write("v.pb", onnx::write_datum(datum, "v")), type);
  };
  const ir::Type floats = ir::Type::tensor(ir::ElementType::float32);
  const ir::Tensor one = ir::Tensor::vector<float>({1, 2, 3});
  const ir::Tensor two = ir::Tensor::scalar<float>(4);
  CHECK(ir::equal(*back(one, floats).tensor(), one));
  CHECK(ir::equal(*back(one, {}).tensor(), one));
  CHECK(ir::equal(*back(ir::Tensor::strings({1}, {"a"}), {}).tensor(), ir::Tensor::strings({1}, {"a"})));

  const ir::Datum sequence = back(ir::Sequence{floats, {one, two}}, sequence_of({}));
  REQUIRE(sequence.sequence()->items.size() == 2);
  CHECK(ir::equal(*sequence.sequence()->items[1].tensor(), two));
  CHECK(ir::text(sequence.sequence()->element) == "float");
  CHECK(back(ir::Sequence{floats, {}}, sequence_of(floats)).sequence()->items.empty());

  ir::Type optional;
  optional.kind = ir::Type::Kind::optional;
  CHECK_FALSE(back(ir::Optional{}, optional).optional()->value);
  const ir::Datum held = back(ir::Optional{std::make_shared<const ir::Datum>(one)}, optional);
  CHECK(ir::equal(*held.optional()->value->tensor(), one));

  ir::Type map;
  map.kind = ir::Type::Kind::map;
  const ir::Datum by_number = back(ir::Map{ir::Tensor::vector<std::int64_t>({5, 6}), {one, two}}, map);
  CHECK(by_number.map()->keys.to_ints() == std::vector<std::int64_t>{5, 6});
  CHECK(ir::equal(*by_number.map()->values[1].tensor(), two));
  const ir::Datum by_text = back(ir::Map{ir::Tensor::strings({1}, {"k"}), {one}}, map);
  CHECK(by_text.map()->keys.string_values()->at(0) == "k");
}

TEST_CASE("values that are written are those of ONNX's classes") {
  ::onnx::TensorProto tensor;
  REQUIRE(tensor.ParseFromString(onnx::write_datum(ir::Tensor::vector<float>({1, 2}), "v")));
  CHECK(tensor.name() == "v");
  CHECK(tensor.raw_data().size() == 8);
  ::onnx::SequenceProto sequence;
  REQUIRE(sequence.ParseFromString(onnx::write_datum(ir::Sequence{{}, {ir::Tensor::scalar<float>(1)}}, "s")));
  CHECK(sequence.elem_type() == ::onnx::SequenceProto::TENSOR);
  CHECK(sequence.tensor_values_size() == 1);
}

TEST_CASE("damaged values are refused") {
  const testing::TemporaryFolder folder;
  const auto read = [&](const std::string& bytes, const ir::Type& type) {
    return onnx::read_datum(folder.write("v.pb", bytes), type);
  };
  CHECK_THROWS_AS(read("", {}), Error);
  CHECK_THROWS_AS(read("garbage", {}), Error);
  ::onnx::SequenceProto nested;
  ::onnx::SequenceProto* at = &nested;
  for (int i = 0; i < 90; ++i) at = at->add_sequence_values();
  CHECK_THROWS_WITH(read(nested.SerializeAsString(), sequence_of({})), Catch::Contains("nested"));
  CHECK_THROWS_AS(onnx::read_datum(folder.path("none.pb"), {}), Error);
}

}  // namespace hone
