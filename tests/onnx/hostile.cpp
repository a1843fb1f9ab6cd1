// Files that are damaged, made to do harm, or something else: the right kind of error, one sentence, bounded time.
// The numbers are those of the list of bad and odd inputs that this reader was built against.
#include <google/protobuf/unknown_field_set.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <random>

#include "hone/onnx/check.h"
#include "hone/onnx/read.h"
#include "hone/onnx/write.h"
#include "hone/support/error.h"
#include "models.h"
#include "onnx/wire.h"
#include "temporary_folder.h"

namespace hone {
namespace {

using namespace ::onnx;  // NOLINT: messages; our own namespace is hone::onnx
namespace ho = hone::onnx;
using testing::serialize;
using testing::small_model;
using testing::TemporaryFolder;

struct Outcome {
  std::optional<ErrorKind> kind;  // none: it was read
  std::string message;
};

Outcome outcome(const std::function<void()>& body) {
  try {
    body();
    return {};
  } catch (const Error& error) {
    return {error.kind(), error.message()};
  }
}

Outcome read_bytes(std::string bytes) {
  return outcome([&] { ho::read(File::from_memory(std::move(bytes), "m.onnx")); });
}
Outcome read_path(const std::string& path) {
  return outcome([&] { ho::read(path); });
}

void check_refused(const Outcome& result, const std::string& part, ErrorKind kind = ErrorKind::bad_input) {
  INFO(result.message);
  REQUIRE(result.kind);
  CHECK(kind_name(*result.kind) == std::string(kind_name(kind)));
  CHECK(result.message.find(part) != std::string::npos);
  CHECK(result.message.find('\n') == std::string::npos);
}

// The model with something done to it.
void refused(const char* what, const std::string& part, const std::function<void(ModelProto&)>& change,
             ErrorKind kind = ErrorKind::bad_input) {
  INFO(what);
  ModelProto model = small_model();
  change(model);
  check_refused(read_bytes(serialize(model)), part, kind);
}

void accepted(const char* what, const std::function<void(ModelProto&)>& change) {
  INFO(what);
  ModelProto model = small_model();
  change(model);
  const Outcome result = read_bytes(serialize(model));
  INFO(result.message);
  CHECK_FALSE(result.kind);
}

TensorProto& add_weight(ModelProto& model, const std::vector<std::int64_t>& dims = {2, 2}) {
  TensorProto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name("w");
  tensor.set_data_type(TensorProto::FLOAT);
  for (const std::int64_t dim : dims) tensor.add_dims(dim);
  return tensor;
}

NodeProto& add_node(GraphProto& graph, const char* op, const std::vector<std::string>& inputs,
                    const std::vector<std::string>& outputs) {
  NodeProto& node = *graph.add_node();
  node.set_op_type(op);
  node.set_name(std::string("n_") + op);
  for (const auto& name : inputs) node.add_input(name);
  for (const auto& name : outputs) node.add_output(name);
  return node;
}

AttributeProto& add_attribute(NodeProto& node, const char* name, AttributeProto::AttributeType type) {
  AttributeProto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

// A subgraph with one output, made from nothing.
void fill_branch(GraphProto& graph, const std::string& output) {
  graph.set_name("branch");
  graph.add_output()->set_name(output);
  NodeProto& node = add_node(graph, "Constant", {}, {output});
  add_attribute(node, "value_int", AttributeProto::INT).set_i(1);
}

std::string bytes_field(std::uint32_t number, const std::string& bytes) {
  std::string out;
  ho::wire::put_bytes(out, number, bytes);
  return out;
}

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("files that are no ONNX models say what they are") {  // 1, 7, 8, 9
  using namespace std::string_literals;
  const auto what = [](const std::string& bytes, const std::string& part) { check_refused(read_bytes(bytes), part); };
  what("", "empty");
  what("<!DOCTYPE html><html><head><title>404</title></head></html>", "HTML");
  what("\xef\xbb\xbf\n  <?xml version=\"1.0\"?><Error>AccessDenied</Error>", "XML");
  what("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 1\n", "git lfs pull");
  what("\x1f\x8b\x08\x00 and more"s, "gzip");
  what("\x28\xb5\x2f\xfd and more", "Zstandard");
  what("PK\x03\x04 ... archive/data.pkl ... and more", "PyTorch");
  what("PK\x03\x04 ... x.npy ... and more", "NumPy");
  what("PK\x03\x04 ... config.json model.weights.h5 ... and more", "Keras");
  what("\x89HDF\r\n\x1a\n and more", "HDF5");
  what("\x1c\x00\x00\x00TFL3 and more"s, "TFLite");
  what("\x1c\x00\x00\x00ORTM and more"s, "ONNX Runtime");
  what("\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{\"dtype\":1}} and more"s, "safetensors");
  what("\x80\x02}q\x00(X\x01\x00\x00\x00"s, "pickle");
  what("\x93NUMPY\x01\x00 and more"s, "NumPy");
  what("{\"model\": {\"layers\": []}, \"and\": \"more\"}", "JSON");
  what("Not Found, nothing is here, try another place", "text");
}

TEST_CASE("places that can't be read as a file are io errors") {  // 2, 10
  const TemporaryFolder folder;
  check_refused(read_path(folder.path("none.onnx")), "none.onnx", ErrorKind::io);
  check_refused(read_path(folder.path("")), "", ErrorKind::io);
  REQUIRE(::mkfifo(folder.path("fifo.onnx").c_str(), 0600) == 0);
  check_refused(read_path(folder.path("fifo.onnx")), "fifo.onnx", ErrorKind::io);
  check_refused(read_path("/dev/zero"), "/dev/zero", ErrorKind::io);

  folder.write("cut.onnx", serialize(small_model()));
  const auto file = File::open(folder.path("cut.onnx"));
  folder.write("cut.onnx", "short");
  check_refused(outcome([&] { ho::read(file); }), "cut.onnx", ErrorKind::io);
}

TEST_CASE("a model that was cut anywhere is refused") {  // 4, 5
  ModelProto model = small_model();
  add_weight(model).set_raw_data(std::string(16, 'x'));
  const std::string bytes = serialize(model);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    const Outcome result = read_bytes(bytes.substr(0, size));
    REQUIRE(result.kind == ErrorKind::bad_input);
  }
}

TEST_CASE("damaged bytes are refused, or read as something harmless") {  // 3, 6
  const std::string bytes = serialize(small_model());
  check_refused(read_bytes(bytes + "garbage"), "damaged");
  check_refused(read_bytes(bytes + std::string(3, '\0')), "damaged");
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    std::string noise(random() % 200, ' ');
    for (char& c : noise) c = static_cast<char>(random());
    const Outcome result = read_bytes(noise);
    INFO(result.message);
    REQUIRE(result.kind == ErrorKind::bad_input);
  }
  for (std::uint32_t seed = 0; seed < 40; ++seed) {
    const std::string whole = serialize(testing::random_model(seed));
    for (int i = 0; i < 100; ++i) {
      std::string changed = whole;
      for (int k = 0; k < 3; ++k) changed[random() % changed.size()] = static_cast<char>(random());
      const Outcome result = outcome([&] { ho::to_bytes(ho::read(File::from_memory(changed, "m.onnx"))); });
      INFO(seed << ' ' << i << ' ' << result.message);
      REQUIRE((!result.kind || result.kind == ErrorKind::bad_input || result.kind == ErrorKind::unsupported));
    }
  }
}

TEST_CASE("wire errors") {  // 11, 12, 13
  using namespace std::string_literals;
  const std::string good = serialize(small_model());
  const auto wire = [&](const std::string& more, const std::string& part) {
    check_refused(read_bytes(good + more), part);
  };
  wire("\x32\xff\xff\xff\xff\x0f"s, "cut short");                                  // doc_string of 4 GiB
  wire("\x32\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "cut short");              // of 2^64 - 1
  wire("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "more than 64 bits");  // ir_version in 11 bytes
  wire("\x08\xff"s, "cut short");
  wire("\x0a\x01x"s, "ir_version");  // as bytes
  wire("\x0b\x0c"s, "group");
  wire("\x02\x01x"s, "number 0");
  wire("\x0e"s, "encoding");
  check_refused(read_bytes("\x3a\x0a\x0a\x10xx"s), "");  // a node longer than its graph
}

TEST_CASE("nesting has an end") {  // 15
  std::string graph = bytes_field(2, "g");
  for (int i = 0; i < 5000; ++i) {
    const std::string attribute = bytes_field(1, "body") + bytes_field(6, graph) + "\xa0\x01\x05";
    graph = bytes_field(1, bytes_field(4, "If") + bytes_field(5, attribute)) + bytes_field(2, "g");
  }
  const std::string opset = bytes_field(8, "\x10\x11");
  check_refused(read_bytes("\x08\x08" + opset + bytes_field(7, graph)), "nested");
  // The same where nobody looks: in training_info.
  check_refused(read_bytes(serialize(small_model()) + bytes_field(20, "") + "\xa2\x01" +
                           [&] {
                             std::string out;
                             const std::string info = bytes_field(1, graph);
                             ho::wire::put_varint(out, info.size());
                             return out + info;
                           }()),
                "nested");
  std::string type = bytes_field(1, "\x08\x01");
  for (int i = 0; i < 10000; ++i) type = bytes_field(4, bytes_field(1, type));
  const std::string input = bytes_field(11, bytes_field(1, "x") + bytes_field(2, type));
  check_refused(read_bytes("\x08\x08" + opset + bytes_field(7, input)), "nested");
}

TEST_CASE("names are UTF-8, and otherwise what they like") {  // 16, 17
  refused("no UTF-8", "UTF-8", [](ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_name("a\xff"); });
  refused("an overlong slash", "UTF-8",
          [](ModelProto& model) { model.mutable_graph()->mutable_input(0)->set_name("\xc0\xaf"); });
  for (const std::string& name :
       {std::string("a\0b", 3), std::string("a\nb"), std::string("\x1b[31m"), std::string("::error::x"),
        std::string("</testcase>"), std::string("../../x"), std::string(8 << 20, 'n')}) {
    accepted("an odd name", [&](ModelProto& model) {
      model.mutable_graph()->mutable_input(0)->set_name(name);
      model.mutable_graph()->mutable_node(0)->set_input(0, name);
    });
  }
  // Shown harmless.
  refused("an escape sequence", "\\x1b",
          [](ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_input(0, "\x1b[31m"); });
  accepted("much metadata", [](ModelProto& model) {
    for (int i = 0; i < 1'000'000; ++i) {
      auto* entry = model.add_metadata_props();
      entry->set_key("k" + std::to_string(i % 1000));
      entry->set_value("v");
    }
  });
}

TEST_CASE("packed and unpacked numbers mix, and single fields merge") {  // 18, 19
  ModelProto model = small_model();
  const std::string bytes = serialize(model);
  // ints in both encodings: 1, 2, 3.
  std::string attribute = bytes_field(1, "ints") + "\x40\x01" + bytes_field(8, "\x02\x03") + "\xa0\x01\x07";
  std::string more =
      bytes_field(7, bytes_field(1, bytes_field(2, "z") + bytes_field(4, "Whatever") + bytes_field(5, attribute)));
  const ir::Model read = ho::read(File::from_memory(bytes + more, "m.onnx"));
  REQUIRE(read.graph->node_count() == 2);  // the graph of the second field was added to that of the first
  CHECK(read.graph->last()->ints_or("ints", {}) == std::vector<std::int64_t>{1, 2, 3});
  ModelProto merged;
  REQUIRE(merged.ParseFromString(bytes + more));
  ModelProto after;
  REQUIRE(after.ParseFromString(ho::to_bytes(read)));
  CHECK((serialize(after) == serialize(merged)));
}

TEST_CASE("tensors that lie about themselves") {  // 20 to 28
  const auto weight = [](const char* what, const std::string& part, const std::function<void(TensorProto&)>& change,
                         ErrorKind kind = ErrorKind::bad_input) {
    refused(
        what, part,
        [&](ModelProto& model) {
          TensorProto& tensor = add_weight(model);
          tensor.set_raw_data(std::string(16, 'x'));
          change(tensor);
        },
        kind);
  };
  const auto dims = [](const std::vector<std::int64_t>& values) {
    return [values](TensorProto& tensor) {
      tensor.clear_dims();
      for (const std::int64_t value : values) tensor.add_dims(value);
    };
  };
  weight("overflow", "64 bits", dims({1LL << 32, 1LL << 32}));
  weight("overflow of bytes", "64 bits", dims({1LL << 62, 1}));
  weight("negative", "negative", dims({-1, 4}));
  weight("negative beside zero", "negative", dims({0, -4}));
  weight("huge", "16 bytes of data", dims({1 << 30, 1 << 10}));
  weight("huge without data", "no data", [&](TensorProto& tensor) {
    dims({1 << 30, 1 << 10})(tensor);
    tensor.clear_raw_data();
  });
  weight("short", "12 bytes of data where float[2,2] needs 16",
         [](TensorProto& tensor) { tensor.set_raw_data(std::string(12, 'x')); });
  weight("long", "20 bytes of data", [](TensorProto& tensor) { tensor.set_raw_data(std::string(20, 'x')); });
  weight("data where there is none to be", "16 bytes", dims({0, 2}));
  weight("two kinds of data", "both", [](TensorProto& tensor) { tensor.add_float_data(1); });
  weight("no type", "no element type", [](TensorProto& tensor) { tensor.clear_data_type(); });
  weight("type 0", "no element type", [](TensorProto& tensor) { tensor.set_data_type(0); });
  weight("type 999", "999", [](TensorProto& tensor) { tensor.set_data_type(999); });
  weight(
      "6-bit floats", "6 bits", [](TensorProto& tensor) { tensor.set_data_type(27); }, ErrorKind::unsupported);
  weight("strings as bytes", "strings in raw_data",
         [](TensorProto& tensor) { tensor.set_data_type(TensorProto::STRING); });
  weight("another typed field", "int32_data", [](TensorProto& tensor) {
    tensor.clear_raw_data();
    for (int i = 0; i < 4; ++i) tensor.add_int32_data(i);
  });
  weight("two typed fields", "both", [](TensorProto& tensor) {
    tensor.clear_raw_data();
    for (int i = 0; i < 4; ++i) tensor.add_float_data(0);
    tensor.add_int64_data(1);
  });
  weight("too few", "12 bytes in float_data", [](TensorProto& tensor) {
    tensor.clear_raw_data();
    for (int i = 0; i < 3; ++i) tensor.add_float_data(0);
  });
  weight("too many", "5 values in int64_data", [](TensorProto& tensor) {
    tensor.set_data_type(TensorProto::INT64);
    tensor.clear_raw_data();
    for (int i = 0; i < 5; ++i) tensor.add_int64_data(0);
  });
  weight("a location that is none", "data_location", [](TensorProto& tensor) {
    tensor.set_data_location(TensorProto::DEFAULT);
    tensor.mutable_unknown_fields();  // an enum value that protobuf does not know is an unknown field to it
    TensorProto::GetReflection()->MutableUnknownFields(&tensor)->AddVarint(14, 7);
  });
  const auto out_of_range = [&](int type, std::int32_t value) {
    weight("out of range", "no value of type", [&](TensorProto& tensor) {
      tensor.set_data_type(type);
      tensor.clear_raw_data();
      for (int i = 0; i < 3; ++i) tensor.add_int32_data(0);
      tensor.add_int32_data(value);
    });
  };
  out_of_range(TensorProto::INT8, 128);
  out_of_range(TensorProto::INT8, -129);
  out_of_range(TensorProto::UINT8, -1);
  out_of_range(TensorProto::BOOL, 256);
  out_of_range(TensorProto::FLOAT16, 65536);
  out_of_range(TensorProto::FLOAT8E5M2, -1);
  // Odd counts of packed types (27) are as ONNX has them.
  for (const auto& [type, count, bytes] : {std::tuple(TensorProto::INT4, 5, 3), std::tuple(TensorProto::UINT2, 5, 2),
                                           std::tuple(TensorProto::FLOAT4E2M1, 1, 1)}) {
    accepted("packed", [&, type = type, count = count, bytes = bytes](ModelProto& model) {
      TensorProto& tensor = add_weight(model, {count});
      tensor.set_data_type(type);
      tensor.set_raw_data(std::string(static_cast<std::size_t>(bytes), '\x11'));
    });
  }
}

TEST_CASE("sparse tensors have their indices in order and inside") {  // 29
  const auto sparse = [](const std::string& part, std::vector<std::int64_t> dims,
                         std::vector<std::int64_t> shape_of_indices, std::vector<std::int64_t> indices) {
    refused("sparse", part, [&](ModelProto& model) {
      SparseTensorProto& tensor = *model.mutable_graph()->add_sparse_initializer();
      tensor.mutable_values()->set_name("s");
      tensor.mutable_values()->set_data_type(TensorProto::FLOAT);
      tensor.mutable_values()->add_dims(2);
      tensor.mutable_values()->add_float_data(1);
      tensor.mutable_values()->add_float_data(2);
      tensor.mutable_indices()->set_data_type(TensorProto::INT64);
      for (const std::int64_t dim : shape_of_indices) tensor.mutable_indices()->add_dims(dim);
      for (const std::int64_t index : indices) tensor.mutable_indices()->add_int64_data(index);
      for (const std::int64_t dim : dims) tensor.add_dims(dim);
    });
  };
  sparse("outside", {3, 3}, {2}, {1, 9});
  sparse("outside", {3, 3}, {2}, {-1, 8});
  sparse("outside", {3, 3}, {2, 2}, {0, 1, 0, 3});
  sparse("smaller", {3, 3}, {2}, {4, 2});
  sparse("the same", {3, 3}, {2}, {4, 4});
  sparse("indices of shape", {3, 3}, {3}, {1, 2, 3});
  sparse("indices of shape", {3, 3}, {2, 3}, {1, 1, 1, 2, 2, 2});
  sparse("sparse tensor can't have", {1LL << 40, 1LL << 40}, {2}, {1, 2});
}

TEST_CASE("external data stays below the folder of the model") {  // 31 to 39
  const TemporaryFolder folder;
  folder.write("secret.bin", std::string(64, 's'));
  folder.write("m/w.bin", std::string(64, 'w'));
  const std::string path = folder.path("m/model.onnx");
  using Entries = std::vector<std::pair<std::string, std::string>>;
  const auto with = [&](const Entries& entries, const std::function<void(ModelProto&)>& change = {}) {
    ModelProto model = small_model();
    TensorProto& tensor = add_weight(model);
    tensor.set_data_location(TensorProto::EXTERNAL);
    for (const auto& [key, value] : entries) {
      auto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
    if (change) change(model);
    folder.write("m/model.onnx", serialize(model));
    return read_path(path);
  };
  const Outcome good = with({{"location", "w.bin"}, {"offset", "16"}, {"length", "16"}});
  INFO(good.message);
  CHECK_FALSE(good.kind);
  CHECK_FALSE(with({{"location", "w.bin"}}).kind);  // offset 0, length as the shape says

  for (const char* location :
       {"../secret.bin", "/etc/passwd", "C:\\w.bin", "\\\\host\\w.bin", "file:w.bin", "file:///w.bin", "~/w.bin",
        "a\\..\\w.bin", "http://host/w.bin", "", "x/../../secret.bin"}) {
    INFO(location);
    const Outcome result = with({{"location", location}});
    INFO(result.message);
    CHECK((result.kind == ErrorKind::bad_input || result.kind == ErrorKind::io));
  }
  check_refused(with({{"location", "../secret.bin"}}), "secret.bin");

  // Symbolic links: out of the folder never, inside it yes.
  std::filesystem::create_symlink(folder.path("secret.bin"), folder.path("m/link.bin"));
  check_refused(with({{"location", "link.bin"}}), "link.bin");
  std::filesystem::create_directory_symlink(folder.path(""), folder.path("m/up"));
  check_refused(with({{"location", "up/secret.bin"}}), "secret.bin");
  std::filesystem::create_symlink("w.bin", folder.path("m/near.bin"));
  CHECK_FALSE(with({{"location", "near.bin"}}).kind);

  std::filesystem::create_directory(folder.path("m/folder.bin"));
  check_refused(with({{"location", "folder.bin"}}), "folder.bin", ErrorKind::io);
  REQUIRE(::mkfifo(folder.path("m/fifo.bin").c_str(), 0600) == 0);
  check_refused(with({{"location", "fifo.bin"}}), "fifo.bin", ErrorKind::io);
  check_refused(with({{"location", "none.bin"}}), "none.bin", ErrorKind::io);

  check_refused(with({{"location", "w.bin"}, {"offset", "56"}}), "w.bin");
  check_refused(with({{"location", "w.bin"}, {"offset", "9223372036854775807"}}), "w.bin");
  for (const char* offset : {"-1", "x", "0x10", "", " 1", "1e3", "99999999999999999999", "18446744073709551615"}) {
    INFO(offset);
    check_refused(with({{"location", "w.bin"}, {"offset", offset}}), "offset");
  }
  check_refused(with({{"location", "w.bin"}, {"length", "15"}}), "length 15");
  check_refused(with({{"location", "w.bin"}, {"length", "18446744073709551615"}}), "length");
  check_refused(with({}), "no location");
  check_refused(with({{"location", "w.bin"}, {"location", "w.bin"}}), "twice");
  check_refused(with({{"location", "w.bin"}, {"__class__", "x"}}), "unknown key");
  check_refused(with({{"location", "w.bin"}, {"checksum", std::string(40, '0')}}), "checksum");
  check_refused(with({{"location", "w.bin"}},
                     [](ModelProto& model) { model.mutable_graph()->mutable_initializer(0)->set_raw_data("x"); }),
                "both");
  check_refused(with({{"location", "w.bin"}},
                     [](ModelProto& model) {
                       model.mutable_graph()->mutable_initializer(0)->set_data_type(TensorProto::STRING);
                     }),
                "strings");

  // Ranges that overlap in part; whole ones may be shared, within reason.
  const auto second = [](const char* offset) {
    return [offset](ModelProto& model) {
      TensorProto& other = *model.mutable_graph()->add_initializer();
      other = model.graph().initializer(0);
      other.set_name("w2");
      auto* entry = other.add_external_data();
      entry->set_key("offset");
      entry->set_value(offset);
    };
  };
  check_refused(with({{"location", "w.bin"}}, second("8")), "more than one tensor");
  CHECK_FALSE(with({{"location", "w.bin"}}, second("0")).kind);
  folder.write("m/large.bin", std::string(1 << 20, 'l'));
  const auto many = [](ModelProto& model) {
    TensorProto tensor = model.graph().initializer(0);
    tensor.set_dims(0, 1 << 18);
    tensor.set_dims(1, 1);
    model.mutable_graph()->clear_initializer();
    for (int i = 0; i < 10000; ++i) {
      tensor.set_name("w" + std::to_string(i));
      *model.mutable_graph()->add_initializer() = tensor;
    }
  };
  check_refused(with({{"location", "large.bin"}}, many), "share");

  // On attributes and in subgraphs the same rules hold.
  const auto in_attribute = [&](const char* location) {
    ModelProto model = small_model();
    NodeProto& node = add_node(*model.mutable_graph(), "Constant", {}, {"c"});
    TensorProto& tensor = *add_attribute(node, "value", AttributeProto::TENSOR).mutable_t();
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_dims(4);
    tensor.set_data_location(TensorProto::EXTERNAL);
    tensor.add_external_data()->set_key("location");
    tensor.mutable_external_data(0)->set_value(location);
    folder.write("m/model.onnx", serialize(model));
    return read_path(path);
  };
  CHECK_FALSE(in_attribute("w.bin").kind);
  check_refused(in_attribute("../secret.bin"), "secret.bin");

  // From a pipe there is no folder.
  folder.write("m/model.onnx", serialize([&] {
                 ModelProto model = small_model();
                 TensorProto& tensor = add_weight(model);
                 tensor.set_data_location(TensorProto::EXTERNAL);
                 tensor.add_external_data()->set_key("location");
                 tensor.mutable_external_data(0)->set_value("w.bin");
                 return model;
               }()));
  const auto piped = File::from_memory(folder.read("m/model.onnx"), "-");
  check_refused(outcome([&] { ho::read(piped); }), "--external-root", ErrorKind::usage);
  ho::ReadOptions options;
  options.external_root = folder.path("m");
  CHECK(ho::read(piped, options).graph->initializers().size() == 1);
}

TEST_CASE("graphs that can't be") {  // 41 to 49
  const auto graph = [](const char* what, const std::string& part, const std::function<void(GraphProto&)>& change) {
    refused(what, part, [&](ModelProto& model) { change(*model.mutable_graph()); });
  };
  graph("cycle", "cycle", [](GraphProto& g) {
    add_node(g, "Add", {"x", "b"}, {"a"});
    add_node(g, "Mul", {"x", "a"}, {"b"});
  });
  graph("own output", "needs its own result", [](GraphProto& g) { add_node(g, "Add", {"x", "a"}, {"a"}); });
  graph("output twice", "'y'", [](GraphProto& g) { add_node(g, "Abs", {"x"}, {"y"}); });
  graph("output twice in one node", "'z'", [](GraphProto& g) { add_node(g, "Split", {"x"}, {"z", "z"}); });
  graph("output is an input", "a graph input", [](GraphProto& g) { add_node(g, "Abs", {"y"}, {"x"}); });
  graph("input twice", "'x'", [](GraphProto& g) { *g.add_input() = g.input(0); });
  graph("undefined input", "'none'", [](GraphProto& g) { add_node(g, "Abs", {"none"}, {"z"}); });
  graph("undefined output", "'none'", [](GraphProto& g) { g.add_output()->set_name("none"); });
  graph("no outputs", "no outputs", [](GraphProto& g) { g.clear_output(); });
  graph("untyped input", "no type", [](GraphProto& g) { g.mutable_input(0)->clear_type(); });
  graph("input without element type", "no type",
        [](GraphProto& g) { g.mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_elem_type(); });
  graph("unnamed input", "no name", [](GraphProto& g) { g.mutable_input(0)->clear_name(); });
  graph("no op_type", "op_type", [](GraphProto& g) { g.mutable_node(0)->clear_op_type(); });
  refused("initializer twice", "two initializers", [](ModelProto& model) {
    add_weight(model).set_raw_data(std::string(16, 'x'));
    add_weight(model).set_raw_data(std::string(16, 'x'));
  });
  refused("no graph", "no graph", [](ModelProto& model) { model.clear_graph(); });

  // Attributes.
  const auto attribute = [&](const std::string& part, const std::function<void(AttributeProto&)>& change) {
    graph("attribute", part, [&](GraphProto& g) {
      AttributeProto& added = *g.mutable_node(0)->add_attribute();
      added.set_name("a");
      change(added);
    });
  };
  attribute("no type", [](AttributeProto& a) { a.set_i(1); });
  attribute("of type INT, and holds FLOAT", [](AttributeProto& a) {
    a.set_type(AttributeProto::INT);
    a.set_f(1);
  });
  attribute("several values", [](AttributeProto& a) {
    a.set_type(AttributeProto::INT);
    a.set_i(1);
    a.add_floats(1);
  });
  attribute("not in one", [](AttributeProto& a) {
    a.set_type(AttributeProto::INT);
    a.set_ref_attr_name("b");
  });
  attribute("holds nothing", [](AttributeProto& a) { a.set_type(AttributeProto::GRAPH); });
  graph("an attribute twice", "twice", [](GraphProto& g) {
    add_attribute(*g.mutable_node(0), "a", AttributeProto::INT).set_i(1);
    add_attribute(*g.mutable_node(0), "a", AttributeProto::INT).set_i(1);
  });
}

TEST_CASE("control flow has what it needs") {  // 43, 45, 49
  const auto control = [](const char* what, const std::string& part, const std::function<void(GraphProto&)>& change) {
    refused(what, part, [&](ModelProto& model) {
      GraphProto& g = *model.mutable_graph();
      auto* condition = g.add_input();
      condition->set_name("c");
      condition->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
      change(g);
    });
  };
  const auto branches = [](GraphProto& g) -> NodeProto& {
    NodeProto& node = add_node(g, "If", {"c"}, {"z"});
    fill_branch(*add_attribute(node, "then_branch", AttributeProto::GRAPH).mutable_g(), "t");
    fill_branch(*add_attribute(node, "else_branch", AttributeProto::GRAPH).mutable_g(), "e");
    return node;
  };
  accepted("If", [&](ModelProto& model) {
    auto* condition = model.mutable_graph()->add_input();
    condition->set_name("c");
    condition->mutable_type()->mutable_tensor_type()->set_elem_type(TensorProto::BOOL);
    branches(*model.mutable_graph());
  });
  control("a branch missing", "else_branch", [&](GraphProto& g) { branches(g).mutable_attribute()->RemoveLast(); });
  control("a branch with an input", "inputs",
          [&](GraphProto& g) { branches(g).mutable_attribute(0)->mutable_g()->add_input()->set_name("i"); });
  control("outputs of branches", "outputs", [&](GraphProto& g) { branches(g).add_output("z2"); });
  control("shadowing", "around it", [&](GraphProto& g) {
    auto* branch = branches(g).mutable_attribute(0)->mutable_g();
    branch->mutable_node(0)->set_output(0, "x");
    branch->mutable_output(0)->set_name("x");
  });
  control("a cycle through a branch", "cycle", [&](GraphProto& g) {
    auto* branch = branches(g).mutable_attribute(0)->mutable_g();
    add_node(*branch, "Abs", {"z"}, {"inner"});
  });
  const auto loop = [](GraphProto& g, int inputs, int outputs) -> GraphProto& {
    NodeProto& node = add_node(g, "Loop", {"", "c", "x"}, {"z"});
    GraphProto& body = *add_attribute(node, "body", AttributeProto::GRAPH).mutable_g();
    body.set_name("body");
    for (int i = 0; i < inputs; ++i) body.add_input()->set_name("i" + std::to_string(i));
    for (int i = 0; i < outputs; ++i) body.add_output()->set_name("i1");
    return body;
  };
  control("inputs of a loop", "2 inputs", [&](GraphProto& g) { loop(g, 2, 2); });
  control("outputs of a loop", "3 outputs", [&](GraphProto& g) { loop(g, 3, 3); });
  control("no body", "body", [&](GraphProto& g) { add_node(g, "Loop", {"", "c", "x"}, {"z"}); });
  control("an input that is an initializer", "initializer", [&](GraphProto& g) {
    TensorProto& tensor = *loop(g, 3, 2).add_initializer();
    tensor.set_name("i2");
    tensor.set_data_type(TensorProto::FLOAT);
    tensor.add_float_data(1);
  });
  control("a scan without body", "body", [&](GraphProto& g) { add_node(g, "Scan", {"x"}, {"z"}); });
}

TEST_CASE("versions are said, once, and are ones that exist") {  // 47
  refused("no ir_version", "ir_version", [](ModelProto& model) { model.clear_ir_version(); });
  refused("ir_version 2^62", "ir_version", [](ModelProto& model) { model.set_ir_version(1LL << 62); });
  refused("ir_version -1", "ir_version", [](ModelProto& model) { model.set_ir_version(-1); });
  refused(
      "the next one", "ir_version", [](ModelProto& model) { model.set_ir_version(15); }, ErrorKind::unsupported);
  refused("no opset", "opset_import", [](ModelProto& model) { model.clear_opset_import(); });
  for (const std::int64_t version : {0LL, -1LL, 9999LL}) {
    refused("opset", "version", [&](ModelProto& model) { model.mutable_opset_import(0)->set_version(version); });
  }
  refused(
      "the next opset", "29", [](ModelProto& model) { model.mutable_opset_import(0)->set_version(29); },
      ErrorKind::unsupported);
  refused("no version", "no version", [](ModelProto& model) { model.mutable_opset_import(0)->clear_version(); });
  refused("twice", "twice", [](ModelProto& model) {
    auto* opset = model.add_opset_import();
    opset->set_domain("ai.onnx");
    opset->set_version(17);
  });
  refused("another domain only", "not imported",
          [](ModelProto& model) { model.mutable_opset_import(0)->set_domain("x"); });
  refused("a domain that is not imported", "not imported",
          [](ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_domain("com.example"); });
  accepted("an unknown domain", [](ModelProto& model) {
    model.mutable_graph()->mutable_node(0)->set_domain("com.example");
    auto* opset = model.add_opset_import();
    opset->set_domain("com.example");
    opset->set_version(1);
  });
  accepted("an unknown operator",
           [](ModelProto& model) { model.mutable_graph()->mutable_node(0)->set_op_type("NoSuch"); });
}

TEST_CASE("functions end") {  // 51
  const auto function = [](ModelProto& model, const std::string& name) -> FunctionProto& {
    FunctionProto& added = *model.add_functions();
    added.set_name(name);
    added.set_domain("local");
    added.add_input("a");
    added.add_output("b");
    auto* opset = added.add_opset_import();
    opset->set_version(17);
    opset = added.add_opset_import();
    opset->set_domain("local");
    opset->set_version(1);
    return added;
  };
  const auto call = [](FunctionProto& in, const std::string& name, const char* input, const char* output) {
    NodeProto& node = *in.add_node();
    node.set_domain("local");
    node.set_op_type(name);
    node.add_input(input);
    node.add_output(output);
  };
  refused("itself", "it calls", [&](ModelProto& model) { call(function(model, "f"), "f", "a", "b"); });
  refused("each other", "it calls", [&](ModelProto& model) {
    call(function(model, "f"), "g", "a", "b");
    call(function(model, "g"), "f", "a", "b");
  });
  refused("deep", "deep", [&](ModelProto& model) {
    for (int i = 0; i < 150; ++i) call(function(model, "f" + std::to_string(i)), "f" + std::to_string(i + 1), "a", "b");
    FunctionProto& last = function(model, "f150");
    last.set_output(0, "a");
  });
  refused("doubling", "nodes", [&](ModelProto& model) {
    for (int i = 0; i < 30; ++i) {
      FunctionProto& f = function(model, "f" + std::to_string(i));
      call(f, "f" + std::to_string(i + 1), "a", "c");
      call(f, "f" + std::to_string(i + 1), "c", "b");
    }
    add_node(*model.mutable_graph(), "Abs", {"x"}, {"unused"});
    FunctionProto& last = function(model, "f30");
    last.set_output(0, "a");
    NodeProto& node = *last.add_node();
    node.set_op_type("Abs");
    node.add_input("a");
    node.add_output("b");
  });
  refused("arity", "function of 1 and 1", [&](ModelProto& model) {
    function(model, "f").set_output(0, "a");
    NodeProto& node = add_node(*model.mutable_graph(), "f", {"x", "x"}, {"z"});
    node.set_domain("local");
    auto* opset = model.add_opset_import();
    opset->set_domain("local");
    opset->set_version(1);
  });
  refused("attribute", "needs attribute 'k'", [&](ModelProto& model) {
    FunctionProto& f = function(model, "f");
    f.set_output(0, "a");
    f.add_attribute("k");
    NodeProto& node = add_node(*model.mutable_graph(), "f", {"x"}, {"z"});
    node.set_domain("local");
    auto* opset = model.add_opset_import();
    opset->set_domain("local");
    opset->set_version(1);
  });
  refused("reference", "does not have", [&](ModelProto& model) {
    FunctionProto& f = function(model, "f");
    NodeProto& node = *f.add_node();
    node.set_op_type("Elu");
    node.add_input("a");
    node.add_output("b");
    AttributeProto& attribute = add_attribute(node, "alpha", AttributeProto::FLOAT);
    attribute.set_ref_attr_name("none");
  });
  refused("name of an operator", "operator of this name", [&](ModelProto& model) {
    FunctionProto& f = function(model, "Relu");
    f.set_output(0, "a");
    f.set_domain("");
  });
  refused("name twice", "two functions", [&](ModelProto& model) {
    function(model, "f").set_output(0, "a");
    function(model, "f").set_output(0, "a");
  });
  refused("output made by nobody", "made by no node", [&](ModelProto& model) { function(model, "f"); });
  refused("input made by nobody", "'none'", [&](ModelProto& model) { call(function(model, "f"), "g", "none", "b"); });
}

TEST_CASE("nodes out of order are sorted, with a warning") {  // 42
  struct Listener final : Observer {
    void message(Level level, std::string_view text) override {
      if (level == Level::warning) warnings += text;
    }
    std::string warnings;
  } listener;
  ModelProto model = small_model();
  GraphProto& g = *model.mutable_graph();
  g.mutable_node(0)->set_input(0, "late");
  add_node(g, "Abs", {"x"}, {"late"});
  ho::ReadOptions options;
  options.observer = &listener;
  const ir::Model read = ho::read(File::from_memory(serialize(model), "m.onnx"), options);
  CHECK(listener.warnings.find("order") != std::string::npos);
  CHECK(read.graph->first()->is("Abs"));
  CHECK(ho::read(File::from_memory(ho::to_bytes(read), "m.onnx")).graph->first()->is("Abs"));
}

TEST_CASE("large graphs take linear time") {  // 50
  const auto chain = [](int count) {
    ModelProto model = small_model();
    GraphProto& g = *model.mutable_graph();
    g.clear_node();
    std::string last = "x";
    for (int i = 0; i < count; ++i) {
      const std::string next = i + 1 == count ? "y" : "v" + std::to_string(i);
      add_node(g, "Relu", {last}, {next});
      last = next;
    }
    return serialize(model);
  };
  const std::string bytes = chain(200'000);
  std::string after;
  const double spent = seconds([&] { after = ho::to_bytes(ho::read(File::from_memory(bytes, "m.onnx"))); });
  CHECK((after == bytes));
  CHECK(spent < 5);  // far less on an idle machine: benchmarks say how much

  // Backwards, so that every node has to move.
  ModelProto reversed;
  REQUIRE(reversed.ParseFromString(chain(50'000)));
  std::reverse(reversed.mutable_graph()->mutable_node()->pointer_begin(),
               reversed.mutable_graph()->mutable_node()->pointer_end());
  CHECK(seconds([&] { ho::read(File::from_memory(serialize(reversed), "m.onnx")); }) < 5);

  ModelProto wide = small_model();
  NodeProto& node = *wide.mutable_graph()->mutable_node(0);
  node.set_op_type("Sum");
  for (int i = 0; i < 100'000; ++i) node.add_input("x");
  CHECK(seconds([&] { ho::read(File::from_memory(serialize(wide), "m.onnx")); }) < 5);
}

TEST_CASE("lint goes on after damage, and does not count one mistake twice") {
  const TemporaryFolder folder;
  ModelProto model = small_model();
  GraphProto& g = *model.mutable_graph();
  add_weight(model).set_raw_data(std::string(12, 'x'));  // of 16
  TensorProto& untyped = add_weight(model);
  untyped.set_name("untyped");
  untyped.clear_data_type();
  add_node(g, "Relu", {"w"}, {"a"});
  add_node(g, "Relu", {"untyped"}, {"b"});
  add_node(g, "Relu", {"none"}, {"c"});
  add_node(g, "Sigmoid", {"none"}, {"d"});
  add_node(g, "Tanh", {"late"}, {"e"});
  add_node(g, "Abs", {"x"}, {"late"});
  AttributeProto& attribute = add_attribute(add_node(g, "Elu", {"x"}, {"f"}), "alpha", AttributeProto::FLOAT);
  attribute.set_i(1);
  folder.write("m.onnx", serialize(model));
  std::map<std::string, int> counts;
  for (const ho::Problem& problem : ho::lint_file(folder.path("m.onnx"))) {
    if (problem.rule == "bad-attribute") {
      CHECK(problem.node == "node 'n_Elu' (Elu)");
    }
    ++counts[problem.rule];
  }
  CHECK(counts["bad-tensor"] == 2);
  CHECK(counts["undefined-input"] == 2);
  CHECK(counts["missing-input"] == 0);
  CHECK(counts["bad-attribute"] == 1);
  CHECK(counts["unsorted-nodes"] == 1);
}

TEST_CASE("lint of a file says everything at once") {
  const TemporaryFolder folder;
  ModelProto model = small_model();
  GraphProto& g = *model.mutable_graph();
  add_node(g, "Abs", {"x"}, {"y"});     // duplicate output
  add_node(g, "Abs", {"none"}, {"z"});  // undefined input
  add_node(g, "Conv", {"x"}, {"q"});    // missing input
  add_node(g, "NoSuch", {"x"}, {"r"});  // a warning
  add_attribute(*g.mutable_node(0), "odd", AttributeProto::INT).set_i(1);
  g.add_output()->set_name("nobody");
  folder.write("m.onnx", serialize(model));
  std::string found;
  for (const ho::Problem& problem : ho::lint_file(folder.path("m.onnx"))) {
    found += problem.rule + (problem.error ? "! " : "? ");
    const auto all = ho::rules();
    CHECK(std::any_of(all.begin(), all.end(), [&](const ho::Rule& rule) { return rule.id == problem.rule; }));
  }
  for (const char* rule : {"duplicate-output!", "undefined-input!", "missing-input!", "unknown-operator?",
                           "unknown-attribute!", "undefined-output!"}) {
    INFO(found);
    CHECK(found.find(rule) != std::string::npos);
  }
  folder.write("m.onnx", "<html></html>");
  REQUIRE(ho::lint_file(folder.path("m.onnx")).size() == 1);
  CHECK(ho::lint_file(folder.path("m.onnx"))[0].rule == "unreadable");
  CHECK_THROWS_AS(ho::lint_file(folder.path("none.onnx")), Error);
}

}  // namespace hone
