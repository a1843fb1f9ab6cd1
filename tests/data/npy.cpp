// .npy and .npz: what NumPy writes is read, what is written NumPy's way reads back, and what lies is refused.
#include "hone/data/npy.h"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "error_message.h"
#include "hone/data/zip.h"
#include "sources.h"

namespace hone::data {
namespace {

using Catch::Matchers::Contains;
using ir::ElementType;
using ir::Tensor;

std::string fixture(const std::string& name) { return testing::source_path("tests/data/fixtures/" + name); }

std::vector<double> expected(double scale, double shift) {
  std::vector<double> values;
  for (int i = 0; i < 24; ++i) values.push_back(i * scale + shift);
  return values;
}

// An .npy file with this header text, padded like NumPy's, and these bytes.
std::string npy(const std::string& header, const std::string& bytes) {
  std::string text = header + "\n";
  std::string file = "\x93NUMPY";
  file += '\1';
  file += '\0';
  file += static_cast<char>(text.size() & 0xff);
  file += static_cast<char>(text.size() >> 8);
  return file + text + bytes;
}

std::string header(const std::string& descr, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
}

std::shared_ptr<const File> memory(std::string bytes) { return File::from_memory(std::move(bytes), "x.npy"); }

std::string refusal(const std::string& bytes, ErrorKind kind = ErrorKind::bad_input) {
  return testing::error_message([&] { (void)read_npy(memory(bytes)).loaded(); }, kind);
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(compressBound(text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace

TEST_CASE("npz: every type that NumPy writes") {
  const std::string file = GENERATE("types.npz", "compressed.npz");
  CAPTURE(file);
  const NpzReader npz = NpzReader::open(fixture(file));
  const ir::Dims dims{2, 3, 4};
  const auto check = [&](const char* name, ElementType type, const std::vector<double>& values) {
    CAPTURE(name);
    const Tensor tensor = npz.read(name);
    CHECK(tensor.type() == type);
    CHECK(tensor.dims() == dims);
    CHECK(tensor.to_doubles() == values);
    CHECK(tensor.loaded().to_doubles() == values);
  };
  check("u1", ElementType::uint8, expected(1, 0));
  check("i1", ElementType::int8, expected(1, -12));
  check("u2", ElementType::uint16, expected(2000, 0));
  check("i2", ElementType::int16, expected(1, -12));
  check("u4", ElementType::uint32, expected(1, 0));
  check("i4", ElementType::int32, expected(1, -12));
  check("u8", ElementType::uint64, expected(1, 0));
  check("i8", ElementType::int64, expected(1, -12));
  check("f2", ElementType::float16, expected(0.125, 0));
  check("f4", ElementType::float32, expected(0.125, 0));
  check("f8", ElementType::float64, expected(0.125, 0));
  check("big_f4", ElementType::float32, expected(0.125, 0));
  check("big_i2", ElementType::int16, expected(1, -12));
  check("fortran_f4", ElementType::float32, expected(0.125, 0));
  check("fortran_big_i8", ElementType::int64, expected(1, -12));
  std::vector<double> thirds;
  for (int i = 0; i < 24; ++i) thirds.push_back(i % 3 == 0);
  check("b1", ElementType::boolean, thirds);

  for (const char* name : {"c8", "big_c8"}) {
    const Tensor complex = npz.read(name).loaded();
    REQUIRE(complex.type() == ElementType::complex64);
    float parts[48];
    std::memcpy(parts, complex.bytes().data(), sizeof parts);
    CHECK(parts[46] == 23.0f);
    CHECK(parts[47] == 23.0f);
  }
  CHECK(npz.read("c16").type() == ElementType::complex128);
  CHECK(*npz.read("U").string_values() == std::vector<std::string>{"cat", "", "größe", "\U0001f600"});
  CHECK(*npz.read("big_U").string_values() == std::vector<std::string>{"ab", "ü"});
  CHECK(*npz.read("S").string_values() == std::vector<std::string>{"cat", "", std::string("\xff\0x", 3)});
  CHECK(npz.read("scalar").dims().empty());
  CHECK(npz.read("scalar").to_floats() == std::vector<float>{1.5f});
  CHECK(npz.read("empty").dims() == ir::Dims{0, 3});
}

TEST_CASE("npz: stored arrays stay in the file") {
  const NpzReader npz = NpzReader::open(fixture("types.npz"));
  REQUIRE(npz.read("f4").file_slice());
  CHECK(npz.read("f4").file_slice()->length == 96);
  CHECK_FALSE(npz.read("big_f4").is_loaded());
  CHECK_FALSE(NpzReader::open(fixture("compressed.npz")).read("f4").is_loaded());
}

TEST_CASE("npz: an array that isn't there") {
  const NpzReader npz = NpzReader::open(fixture("objects.npz"));
  CHECK_THAT(testing::error_message([&] { (void)npz.read("z"); }, ErrorKind::bad_input),
             Contains("no array 'z'; it has 'x', 'y'"));
}

TEST_CASE("npz: pickled and structured arrays are refused, the others read") {
  const NpzReader objects = NpzReader::open(fixture("objects.npz"));
  CHECK_THAT(testing::error_message([&] { (void)objects.read("x"); }, ErrorKind::bad_input),
             Contains("array 'x': an array of pickled"));
  CHECK(objects.read("y").to_ints() == std::vector<std::int64_t>{0, 1, 2});
  const NpzReader structured = NpzReader::open(fixture("structured.npz"));
  CHECK_THAT(testing::error_message([&] { (void)structured.read("x"); }, ErrorKind::unsupported),
             Contains("structured"));
}

TEST_CASE("npy: files") {
  CHECK(read_npy(File::open(fixture("matrix.npy"))).to_doubles() == expected(0.125, 0));
  CHECK(read_npy(File::open(fixture("fortran.npy"))).to_doubles() == expected(0.125, 0));
  const std::string bytes = npy(header("<f4", "(2,)"), std::string(8, '\0'));
  CHECK(read_npy(memory(gzip(bytes))).to_floats() == std::vector<float>{0, 0});
}

TEST_CASE("npy: headers that lie or don't parse") {
  CHECK_THAT(refusal(npy(header("<f4", "(3,)"), "12345678")),
             Contains("claims shape [3] (12 bytes), but 8 bytes follow"));
  CHECK_THAT(refusal(npy(header("<f4", "(1,)"), "12345678")), Contains("4 bytes), but 8"));
  CHECK_THAT(refusal(npy(header("<f4", "(4611686018427387904, 4)"), "12345678")), Contains("more bytes than 64 bits"));
  CHECK_THAT(refusal(npy(header("<f4", "(9223372036854775807,)"), "")), Contains("more bytes than 64 bits"));
  CHECK_THAT(refusal(npy(header("<f4", "(99999999999999999999,)"), "")), Contains("no number"));
  CHECK_THAT(refusal(npy(header("<f4", "(-1,)"), "")), Contains("negative"));
  CHECK_THAT(refusal(npy(header("|O", "(1,)"), "12345678")), Contains("pickled"));
  CHECK_THAT(refusal(npy(header("<U0", "(1000000000000,)"), "")), Contains("width"));
  CHECK_THAT(refusal(npy(header("<f3", "(1,)"), "123"), ErrorKind::unsupported), Contains("'<f3'"));
  CHECK_THAT(refusal(npy(header("<M8[ns]", "(1,)"), "12345678"), ErrorKind::unsupported), Contains("M8"));
  CHECK_THAT(refusal(npy("{'descr': '<f4', 'fortran_order': False, }", "")), Contains("not descr"));
  CHECK_THAT(refusal(npy("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (), }", "1234")),
             Contains("repeated"));
  CHECK_THAT(refusal(npy("{'descr': '<f4'", "")), Contains("no '}'"));
  CHECK_THAT(refusal("\x93NUMPY"), Contains("ends after"));
  CHECK_THAT(refusal("version https://git-lfs.github.com/spec/v1"), Contains("not an .npy file"));
  CHECK_THAT(refusal(gzip(npy(header("<f4", "(1000000000000,)"), ""))), Contains("more than"));
  CHECK_THAT(refusal(gzip(npy(header("<f4", "(4,)"), "12345678"))), Contains("ends after 8 of 16"));
  const std::string whole = gzip(npy(header("<f4", "(2,)"), "12345678"));
  CHECK_THAT(refusal(whole.substr(0, whole.size() - 9)), Contains("cut short"));
}

TEST_CASE("npz: damaged archives") {
  std::string bytes;
  {
    const auto output = Output::to_string(bytes);
    NpzWriter writer(*output);
    writer.add("x", Tensor::vector<float>({1, 2, 3}));
    writer.finish();
    output->commit();
  }
  const auto open = [](std::string archive) { return NpzReader(File::from_memory(std::move(archive), "a.npz")); };
  CHECK(open(bytes).read("x").to_floats() == std::vector<float>{1, 2, 3});
  for (const std::size_t length : {std::size_t{0}, std::size_t{4}, bytes.size() / 2, bytes.size() - 22}) {
    CHECK_THAT(testing::error_message([&] { (void)open(bytes.substr(0, length)); }, ErrorKind::bad_input),
               Contains("'a.npz'"));
  }
  // Any one byte changed, or the end cut off: an error or a tensor, never a crash.
  const auto survive = [&](const std::string& damaged) {
    try {
      const NpzReader reader = open(damaged);
      for (const std::string& name : reader.names()) (void)reader.read(name).to_floats();
    } catch (const Error& error) {
      CHECK((error.kind() == ErrorKind::bad_input || error.kind() == ErrorKind::unsupported));
    }
  };
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    for (const char change : {'\x01', '\x80', '\xff'}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ change);
      survive(damaged);
    }
    survive(bytes.substr(0, at));
  }
}

TEST_CASE("npz: written arrays read back, with the same bytes each time") {
  const std::vector<std::pair<std::string, Tensor>> arrays = {
      {"float", Tensor::of<float>({2, 2}, {1, 2, 3, 4})},
      {"bool", Tensor::of<bool>({2}, {true, false})},
      {"half", Tensor::vector<float16>({to_float16(0.5f)})},
      {"brain", Tensor::vector<bfloat16>({to_bfloat16(0.5f)})},
      {"text/größe:0", Tensor::strings({3}, {"a", "größe", "\U0001f600"})},
      {"bytes", Tensor::strings({2}, {"a", "\xff"})},
      {"scalar", Tensor::scalar<std::int64_t>(-7)},
      {"empty", Tensor::zeros(ElementType::float32, {0, 5})},
      {"deferred", NpzReader::open(fixture("compressed.npz")).read("fortran_f4")},
  };
  const auto write = [&] {
    std::string bytes;
    const auto output = Output::to_string(bytes);
    NpzWriter writer(*output);
    for (const auto& [name, tensor] : arrays) writer.add(name, tensor);
    CHECK_THROWS_WITH(writer.add("bool", arrays[1].second), Contains("two arrays"));
    writer.finish();
    output->commit();
    return bytes;
  };
  const std::string bytes = write();
  CHECK(bytes == write());
  // Arrays are read where they lie; other readers compare checksums, as this one does at a member's end.
  const ZipReader zip(File::from_memory(bytes, "a.npz"));
  for (const ZipMember& member : zip.members()) {
    CAPTURE(member.name);
    const auto reader = zip.open(member);
    std::vector<std::byte> contents(member.size);
    read_exactly(*reader, contents, "the member");
    CHECK_NOTHROW(expect_end(*reader, "the member"));
  }
  const NpzReader npz(File::from_memory(bytes, "a.npz"));
  for (const auto& [name, tensor] : arrays) {
    CAPTURE(name);
    const Tensor read = npz.read(name);
    CHECK(read.dims() == tensor.dims());
    if (tensor.is_string()) {
      CHECK(*read.string_values() == *tensor.string_values());
    } else {
      CHECK(read.to_doubles() == tensor.to_doubles());
      CHECK(read.type() == (name == "brain" ? ElementType::float32 : tensor.type()));
    }
  }
}

TEST_CASE("npz: sub-byte integers are widened") {
  Tensor packed = Tensor::allocate(ElementType::int4, {3});
  packed.mutable_bytes()[0] = std::byte{0xf1};  // 1, -1
  packed.mutable_bytes()[1] = std::byte{0x08};  // -8
  std::string bytes;
  const auto output = Output::to_string(bytes);
  write_npy(*output, packed);
  const Tensor read = read_npy(memory(bytes));
  CHECK(read.type() == ElementType::int8);
  CHECK(read.to_ints() == std::vector<std::int64_t>{1, -1, -8});
}

}  // namespace hone::data
