#include "hone/ir/tensor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "hone/ir/graph.h"
#include "hone/support/error.h"

using namespace hone::ir;
using hone::Error;
using hone::ErrorKind;
using hone::File;
using hone::FileSlice;

namespace {

constexpr std::int64_t big = std::numeric_limits<std::int64_t>::max();

template <typename F>
std::string raises(ErrorKind kind, F&& f) {
  try {
    f();
  } catch (const Error& error) {
    CHECK(error.kind() == kind);
    return error.message();
  }
  FAIL("nothing was raised");
  return "";
}

FileSlice slice_of(std::string bytes, std::uint64_t skip = 0) {
  const std::uint64_t length = bytes.size() - skip;
  return {File::from_memory(std::move(bytes), "test"), skip, length};
}

template <typename T>
std::string bytes_of(const std::vector<T>& values, std::size_t padding = 0) {
  std::string bytes(padding, 'x');
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  return bytes;
}

// Byte i is i mod 251, counted in requests.
class Pattern : public DeferredBytes {
 public:
  void produce(std::uint64_t offset, std::span<std::byte> out) const override {
    largest = std::max(largest, out.size());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>((offset + i) % 251);
  }
  double cost_per_byte() const override { return 1; }
  mutable std::size_t largest = 0;
};

std::vector<std::uint8_t> raw(const Tensor& tensor) {
  std::vector<std::uint8_t> out(tensor.byte_size());
  tensor.read(0, std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace

TEST_CASE("a default tensor is nothing") {
  const Tensor tensor;
  CHECK(tensor.type() == ElementType::undefined);
  CHECK(tensor.element_count() == 0);
  CHECK(tensor.byte_size() == 0);
  CHECK(tensor.is_loaded());
  CHECK(tensor.bytes().empty());
}

TEST_CASE("sizes are checked when a tensor is made") {
  CHECK(Tensor::zeros(ElementType::float32, {2, 3}).byte_size() == 24);
  CHECK(Tensor::zeros(ElementType::int4, {3}).byte_size() == 2);
  CHECK(Tensor::zeros(ElementType::uint2, {5}).byte_size() == 2);
  CHECK(Tensor::zeros(ElementType::float32, {}).element_count() == 1);
  CHECK(Tensor::zeros(ElementType::float32, {big, 0}).element_count() == 0);
  CHECK(Tensor::zeros(ElementType::float32, {0, big}).byte_size() == 0);
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::float32, {0, big, big}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::float32, {-1}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::float32, {0, -1}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::float32, {big, 2}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::uint8, {big, 2}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::float64, {big}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::undefined, {1}); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(static_cast<ElementType>(99), {1}); });
  raises(ErrorKind::resource_limit, [] { Tensor::allocate(ElementType::uint8, {big}); });
  raises(ErrorKind::bad_input, [] { Tensor::of<float>({3}, {1, 2}); });
  raises(ErrorKind::bad_input, [] { Tensor::strings({3}, {"a"}); });
  raises(ErrorKind::bad_input, [] { Tensor::from_file(ElementType::string, {1}, slice_of("a")); });
  raises(ErrorKind::internal, [] { Tensor::deferred(ElementType::float32, {1}, nullptr); });
  const auto message = raises(ErrorKind::bad_input, [] {
    Tensor::from_file(ElementType::float32, {2, 2}, slice_of("too short"));
  });
  CHECK(message == "9 bytes of data where float[2,2] needs 16");
  FileSlice outside = slice_of("12345678");
  outside.offset = 4;
  raises(ErrorKind::bad_input, [&] { Tensor::from_file(ElementType::float32, {2}, outside); });
  outside.offset = std::numeric_limits<std::uint64_t>::max() - 3;
  raises(ErrorKind::bad_input, [&] { Tensor::from_file(ElementType::float32, {2}, outside); });
  raises(ErrorKind::bad_input,
         [] { Tensor::from_buffer(ElementType::float32, {2}, std::make_shared<hone::Buffer>(8), 4); });
}

TEST_CASE("bytes come from memory, files and computation") {
  const std::vector<float> values = {1, 2, 3, 4, 5};
  const Tensor memory = Tensor::vector(values);
  const Tensor file = Tensor::from_file(ElementType::float32, {5}, slice_of(bytes_of(values, 3), 3));
  CHECK_FALSE(file.is_loaded());
  CHECK(file.file_slice() != nullptr);
  CHECK(raw(file) == raw(memory));
  float third = 0;
  file.read(8, std::as_writable_bytes(std::span(&third, 1)));
  CHECK(third == 3);
  raises(ErrorKind::internal, [&] { file.bytes(); });
  raises(ErrorKind::internal, [&] { file.read(17, std::as_writable_bytes(std::span(&third, 1))); });

  const Tensor loaded = file.loaded();
  CHECK(loaded.is_loaded());
  CHECK(loaded.file_slice() == nullptr);
  CHECK(std::equal(values.begin(), values.end(), loaded.data<float>().begin()));
  CHECK(memory.loaded().buffer() == memory.buffer());

  const auto pattern = std::make_shared<Pattern>();
  const Tensor deferred = Tensor::deferred(ElementType::uint8, {5000000}, pattern);
  CHECK(deferred.is_deferred());
  CHECK(deferred.loaded().data<std::uint8_t>()[4999999] == 4999999 % 251);
  CHECK(pattern->largest <= 1 << 20);
}

TEST_CASE("copies share, clones don't") {
  Tensor tensor = Tensor::vector<std::int64_t>({1, 2, 3, 4});
  const Tensor copy = tensor;
  Tensor clone = tensor.clone();
  CHECK(copy.buffer() == tensor.buffer());
  clone.mutable_data<std::int64_t>()[0] = 9;
  CHECK(tensor.data<std::int64_t>()[0] == 1);
  const Tensor square = tensor.reshaped({2, 2});
  CHECK(square.dims() == Dims{2, 2});
  CHECK(square.buffer() == tensor.buffer());
  raises(ErrorKind::bad_input, [&] { tensor.reshaped({3}); });
  raises(ErrorKind::bad_input, [&] { tensor.reshaped({-2, -2}); });
  const Tensor strings = Tensor::strings({2}, {"a", "b"});
  CHECK(*strings.clone().string_values() == std::vector<std::string>{"a", "b"});
  CHECK(strings.is_loaded());
}

TEST_CASE("typed views must fit") {
  const Tensor tensor = Tensor::vector<float>({1, 2});
  CHECK(tensor.data<std::int32_t>().size() == 2);
  raises(ErrorKind::internal, [&] { tensor.data<double>(); });
  raises(ErrorKind::internal, [&] { tensor.data<std::uint8_t>(); });
  CHECK(Tensor::zeros(ElementType::int4, {3}).data<std::uint8_t>().size() == 2);
  const Tensor shifted = Tensor::from_buffer(ElementType::float32, {1}, std::make_shared<hone::Buffer>(8), 2);
  raises(ErrorKind::internal, [&] { shifted.data<float>(); });
  CHECK(Tensor::zeros(ElementType::float32, {0}).data<float>().empty());
}

TEST_CASE("elements convert") {
  CHECK(Tensor::vector<std::int8_t>({-1, 2}).to_ints() == std::vector<std::int64_t>{-1, 2});
  CHECK(Tensor::vector<std::uint16_t>({65535}).to_ints() == std::vector<std::int64_t>{65535});
  CHECK(Tensor::vector<bool>({true, false}).to_ints() == std::vector<std::int64_t>{1, 0});
  CHECK(Tensor::vector<std::uint64_t>({7}).to_ints() == std::vector<std::int64_t>{7});
  CHECK(Tensor::vector<double>({0.5, -2}).to_floats() == std::vector<float>{0.5f, -2});
  CHECK(Tensor::vector<std::int32_t>({-3}).to_doubles() == std::vector<double>{-3});
  CHECK(Tensor::vector<hone::float16>({hone::to_float16(1.5f)}).to_doubles() == std::vector<double>{1.5});
  CHECK(Tensor::vector<hone::bfloat16>({hone::to_bfloat16(-2.f)}).to_floats() == std::vector<float>{-2});
  CHECK(Tensor::vector<hone::float8e4m3fn>({{0x38}}).to_floats() == std::vector<float>{1});
  CHECK(Tensor::vector<hone::float8e5m2>({{0x3C}}).to_floats() == std::vector<float>{1});
  CHECK(Tensor::vector<hone::float8e4m3fnuz>({{0x40}}).to_floats() == std::vector<float>{1});
  CHECK(Tensor::vector<hone::float8e5m2fnuz>({{0x40}}).to_floats() == std::vector<float>{1});
  CHECK(Tensor::vector<hone::float8e8m0>({{127}}).to_floats() == std::vector<float>{1});
  CHECK(Tensor::zeros(ElementType::float32, {0}).to_floats().empty());

  const auto packed = [](ElementType type, std::int64_t count, std::string bytes) {
    return Tensor::from_file(type, {count}, slice_of(std::move(bytes)));
  };
  CHECK(packed(ElementType::int4, 3, "\x8F\xF7").to_ints() == std::vector<std::int64_t>{-1, -8, 7});
  CHECK(packed(ElementType::uint4, 3, "\x8F\xF7").to_ints() == std::vector<std::int64_t>{15, 8, 7});
  CHECK(packed(ElementType::int2, 5, "\xE4\x02").to_ints() == std::vector<std::int64_t>{0, 1, -2, -1, -2});
  CHECK(packed(ElementType::uint2, 5, "\xE4\x02").to_ints() == std::vector<std::int64_t>{0, 1, 2, 3, 2});
  CHECK(packed(ElementType::float4e2m1, 3, "\x21\x0F").to_floats() == std::vector<float>{0.5f, 1, -6});

  raises(ErrorKind::bad_input, [] { Tensor::vector<float>({1}).to_ints(); });
  raises(ErrorKind::bad_input, [] { Tensor::strings({1}, {"1"}).to_doubles(); });
  raises(ErrorKind::bad_input, [] { Tensor::zeros(ElementType::complex64, {1}).to_floats(); });
  raises(ErrorKind::bad_input, [] { Tensor().to_ints(); });
  raises(ErrorKind::bad_input, [] { Tensor::vector<std::uint64_t>({1ull << 63}).to_ints(); });

  // Many windows, whose edges must not matter.
  for (const ElementType type : {ElementType::int4, ElementType::uint2, ElementType::float16, ElementType::float64}) {
    const Tensor deferred = Tensor::deferred(type, {3000001}, std::make_shared<Pattern>());
    const auto once = deferred.to_doubles();
    const auto other = deferred.loaded().to_doubles();
    REQUIRE(once.size() == 3000001);
    CHECK(std::memcmp(once.data(), other.data(), once.size() * sizeof(double)) == 0);
  }
}

TEST_CASE("booleans from files are zero or one") {
  const Tensor tensor = Tensor::from_file(ElementType::boolean, {3}, slice_of(std::string("\0\7\1", 3)));
  const auto loaded = tensor.loaded();
  CHECK(raw(loaded) == std::vector<std::uint8_t>{0, 1, 1});
  CHECK(tensor.to_ints() == std::vector<std::int64_t>{0, 1, 1});
}

TEST_CASE("equality goes by type, shape and bytes") {
  const auto deferred = [](std::int64_t count) {
    return Tensor::deferred(ElementType::uint8, {count}, std::make_shared<Pattern>());
  };
  for (const std::int64_t size : {0, 1, 100, 4096, 4097, 3000000}) {
    CAPTURE(size);
    const Tensor a = deferred(size);
    CHECK(equal(a, deferred(size)));
    CHECK(equal(a, a.loaded()));
    CHECK(equal(a.loaded(), deferred(size).loaded()));
    CHECK(fingerprint(a) == fingerprint(a.loaded()));
    if (size == 0) continue;
    for (const std::int64_t at : {std::int64_t{0}, size / 2, size - 1}) {
      Tensor changed = a.loaded().clone();
      changed.mutable_data<std::uint8_t>()[static_cast<std::size_t>(at)] ^= 1;
      CHECK_FALSE(equal(a, changed));
      CHECK_FALSE(equal(a.loaded(), changed));
    }
  }
  const Tensor floats = Tensor::vector<float>({1, 2});
  CHECK_FALSE(equal(floats, floats.reshaped({2, 1})));
  CHECK_FALSE(equal(floats, Tensor::zeros(ElementType::int32, {2})));
  CHECK(fingerprint(floats) != fingerprint(floats.reshaped({2, 1})));
  CHECK(fingerprint(floats) != fingerprint(Tensor::vector<float>({1, 3})));
  CHECK(equal(Tensor::strings({2}, {"a", "b"}), Tensor::strings({2}, {"a", "b"})));
  CHECK_FALSE(equal(Tensor::strings({2}, {"a", "b"}), Tensor::strings({2}, {"a", "c"})));
  CHECK(fingerprint(Tensor::strings({2}, {"a", "b"})) != fingerprint(Tensor::strings({2}, {"ab", ""})));
  CHECK(equal(Tensor(), Tensor()));
}

TEST_CASE("a uniform tensor has one value") {
  const float nan = std::nanf("");
  CHECK(uniform<float>(Tensor::vector<float>({2, 2, 2})) == 2);
  CHECK_FALSE(uniform<float>(Tensor::vector<float>({2, 2, 3})));
  CHECK_FALSE(uniform<float>(Tensor::vector<float>({0.f, -0.f})));
  CHECK(std::isnan(uniform<float>(Tensor::vector<float>({nan, nan})).value()));
  CHECK_FALSE(uniform<double>(Tensor::vector<float>({2})));
  CHECK_FALSE(uniform<float>(Tensor::zeros(ElementType::float32, {0})));
  CHECK(uniform<bool>(Tensor::from_file(ElementType::boolean, {2}, slice_of("\7\1"))) == true);
  CHECK_FALSE(uniform<bool>(Tensor::vector<bool>({true, false})));
  CHECK(uniform<hone::float16>(Tensor::vector<hone::float16>({{7}, {7}})).value().bits == 7);
  CHECK(uniform<std::int64_t>(Tensor::scalar<std::int64_t>(5)) == 5);
  const Tensor same = Tensor::from_file(ElementType::int32, {800000}, slice_of(std::string(3200000, 'a')));
  CHECK(uniform<std::int32_t>(same) == 0x61616161);
  std::string one_off(3200000, 'a');
  one_off[2500000] = 'b';
  CHECK_FALSE(uniform<std::int32_t>(Tensor::from_file(ElementType::int32, {800000}, slice_of(one_off))));
  // Most are told apart by their first page.
  const auto pattern = std::make_shared<Pattern>();
  CHECK_FALSE(uniform<std::uint8_t>(Tensor::deferred(ElementType::uint8, {5000000}, pattern)));
  CHECK(pattern->largest == 4096);
}

TEST_CASE("element types know their names and sizes") {
  for (std::int32_t number = 1; number <= 26; ++number) {
    const auto type = static_cast<ElementType>(number);
    CAPTURE(number, name(type));
    CHECK(is_known(type));
    CHECK(parse_element_type(name(type)) == type);
  }
  CHECK_FALSE(is_known(ElementType::undefined));
  CHECK_FALSE(is_known(static_cast<ElementType>(27)));
  CHECK_FALSE(is_known(static_cast<ElementType>(-1)));
  CHECK(name(static_cast<ElementType>(27)) == "undefined");
  CHECK_FALSE(parse_element_type("undefined"));
  CHECK(parse_element_type("float32") == ElementType::float32);
  CHECK(bit_width(ElementType::boolean) == 8);
  CHECK(bit_width(ElementType::string) == 0);
  CHECK(byte_size(ElementType::int4, 5) == 3);
  CHECK(byte_size(ElementType::complex128, 2) == 32);
  CHECK_FALSE(byte_size(ElementType::float64, ~std::uint64_t{0} / 4));
  CHECK(is_float(ElementType::float4e2m1));
  CHECK_FALSE(is_integer(ElementType::boolean));
  CHECK(is_signed_integer(ElementType::int2));
  CHECK_FALSE(is_signed_integer(ElementType::uint2));
  CHECK(is_sub_byte(ElementType::float4e2m1));
}

TEST_CASE("types print and compare") {
  const Type image = Type::tensor(ElementType::float32, Shape{Dimension::symbol("batch"), 3});
  CHECK(text(image) == "float[batch,3]");
  CHECK(text(Type::tensor(ElementType::int64)) == "int64");
  CHECK(text(Type::tensor(ElementType::int64, Shape{})) == "int64[]");
  Type sequence;
  sequence.kind = Type::Kind::sequence;
  sequence.inner = std::make_shared<const Type>(Type::tensor(ElementType::int64, Shape{Dimension()}));
  CHECK(text(sequence) == "seq(int64[?])");
  CHECK(text(Type()) == "?");
  CHECK(identical(image, image));
  CHECK(identical(sequence, sequence));
  CHECK_FALSE(identical(image, Type::tensor(ElementType::float32)));
  CHECK_FALSE(identical(sequence, *sequence.inner));
}

TEST_CASE("constants of a graph") {
  Graph graph;
  const auto add = [&](const char* attribute, Attribute::Payload payload) -> Node& {
    Node& node = graph.insert("Constant", {}, 1);
    node.set_attribute(attribute, std::move(payload));
    return node;
  };
  Node& dense = add("value", Tensor::vector<std::int64_t>({1, 2}));
  CHECK(constant(dense.output()) == dense.tensor("value"));
  CHECK(constant_ints(dense.output()) == std::vector<std::int64_t>{1, 2});
  CHECK_FALSE(constant_ints(dense.output(), 1));
  CHECK_FALSE(constant_scalar(dense.output()));

  CHECK(constant_ints(add("value_int", std::int64_t{5}).output()) == std::vector<std::int64_t>{5});
  CHECK(constant_scalar(add("value_float", 0.5f).output()) == 0.5);
  CHECK(constant(add("value_floats", std::vector<float>{1, 2}).output())->dims() == Dims{2});
  CHECK(constant(add("value_string", std::string("s")).output())->string_values()->at(0) == "s");
  CHECK(constant(add("value_strings", std::vector<std::string>{"s"}).output())->dims() == Dims{1});
  CHECK(constant(add("value_ints", std::vector<std::int64_t>{}).output())->element_count() == 0);
  CHECK(constant(add("sparse_value", OpaqueAttribute{}).output()) == nullptr);
  CHECK_FALSE(constant_ints(add("value_float", 0.5f).output()));
  CHECK_FALSE(constant_ints(nullptr));

  Node& changing = add("value_ints", std::vector<std::int64_t>{1, 2});
  const Tensor* before = constant(changing.output());
  CHECK(constant(changing.output()) == before);
  changing.set_attribute("value_ints", std::vector<std::int64_t>{3});
  CHECK(constant_ints(changing.output()) == std::vector<std::int64_t>{3});

  Value* unsigned_values = graph.add_initializer("u", Tensor::vector<std::uint64_t>({3, ~0ull}));
  CHECK_FALSE(constant_ints(unsigned_values));
  CHECK(text(unsigned_values->type()) == "uint64[2]");
  CHECK(constant_scalar(graph.add_initializer("b", Tensor::scalar(true))) == 1);
  CHECK_FALSE(constant(graph.insert("Relu", {}, 1).output()));
}
