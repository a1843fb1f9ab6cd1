// Data sets from files of every kind, their rows and labels.
#include "hone/data/dataset.h"

#include <zlib.h>

#include <catch2/catch.hpp>
#include <numeric>
#include <set>

#include "error_message.h"
#include "hone/data/npy.h"
#include "hone/support/error.h"
#include "temporary_folder.h"

namespace hone::data {
namespace {

using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using ir::ElementType;
using ir::Tensor;
using testing::error_message;
using Ints = std::vector<std::int64_t>;
using Doubles = std::vector<double>;
using Texts = std::vector<std::string>;

struct Folder : testing::TemporaryFolder {
  // What opening a file of these contents says.
  std::string refusal(const std::string& name, const std::string& contents, ErrorKind kind = ErrorKind::bad_input) {
    const std::string path = write(name, contents);
    return error_message([&] { (void)Dataset::open(path); }, kind);
  }
  Dataset open(const std::string& name, const std::string& contents, const DatasetOptions& options = {}) {
    return Dataset::open(write(name, contents), options);
  }
  void gzip(const std::string& name, const std::string& contents) {
    gzFile file = gzopen(path(name).c_str(), "wb");
    REQUIRE(gzwrite(file, contents.data(), static_cast<unsigned>(contents.size())) ==
            static_cast<int>(contents.size()));
    gzclose(file);
  }
};

std::string idx(char type, const Ints& dims, const std::string& bytes) {
  std::string file{'\0', '\0', type, static_cast<char>(dims.size())};
  for (const std::int64_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(dim >> shift & 0xff);
  }
  return file + bytes;
}

std::string npz(const std::vector<std::pair<std::string, Tensor>>& arrays) {
  std::string bytes;
  const auto output = Output::to_string(bytes);
  NpzWriter writer(*output);
  for (const auto& [name, tensor] : arrays) writer.add(name, tensor);
  writer.finish();
  return bytes;
}

}  // namespace

TEST_CASE("csv: types of columns") {
  Folder folder;
  const Dataset data =
      folder.open("t.csv",
                  "\xef\xbb\xbf"
                  "id,x,flag,job,label\r\n1, 0.5,true,\"a, \"\"b\"\"\",1\r\n-2,1e3,False,\"two\nlines\",0\r\n"
                  "+3,nan,TRUE,,1",
                  {.label = "label"});
  CHECK(data.rows() == 3);
  CHECK(data.is_table());
  REQUIRE(data.arrays().size() == 4);
  CHECK(data.find("id")->values.to_ints() == Ints{1, -2, 3});
  CHECK(data.find("id")->values.type() == ElementType::int64);
  CHECK(data.find("x")->values.type() == ElementType::float64);
  CHECK(data.find("x")->values.to_doubles()[1] == 1000);
  CHECK(std::isnan(data.find("x")->values.to_doubles()[2]));
  CHECK(data.find("flag")->values.type() == ElementType::boolean);
  CHECK(data.find("flag")->values.to_ints() == Ints{1, 0, 1});
  CHECK(*data.find("job")->values.string_values() == Texts{"a, \"b\"", "two\nlines", ""});
  CHECK(data.labels().to_ints() == Ints{1, 0, 1});
}

TEST_CASE("csv: what is wrong, and where") {
  Folder folder;
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,2\n3\n"), EndsWith("row 2 (line 3) has 1 fields, the header 2"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,2\n3,4,5\n"), EndsWith("row 2 (line 3) has 3 fields, the header 2"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,2\n\n3,4\n"), Contains("line 3: a blank line"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,2\n3, \n"), Contains("row 2 (line 3), column 'y': empty"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,\"2\n3,4\n"), Contains("line 2, column 2: the quote is never closed"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,\"2\"3\n"), Contains("line 2, column 2: text after the closing quote"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1,2\"3\n"), Contains("line 2, column 2: a quote inside"));
  CHECK_THAT(folder.refusal("a.csv", "1,2\n3,4\n"), Contains("first line must name the columns"));
  CHECK_THAT(folder.refusal("a.csv", ",x\n0,1\n"), Contains("column 1 has no name"));
  CHECK_THAT(folder.refusal("a.csv", "x,x\n0,1\n"), Contains("two columns are called 'x'"));
  CHECK_THAT(folder.refusal("a.csv", "x;y\n0;1\n"), Contains("separated by commas"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n"), Contains("no rows"));
  CHECK_THAT(folder.refusal("a.csv", ""), Contains("empty"));
  CHECK_THAT(folder.refusal("a.csv", "x,y\n1," + std::string(2 << 20, '7') + "\n"), Contains("a field of more than"));
  CHECK_THAT(folder.refusal("a.csv", "x\n" + std::string(4 << 20, '\"')), Contains("a field of more than"));
  CHECK_THAT(folder.refusal("a.bin", "x,y\n1,2\n"), Contains("not a data file"));
}

TEST_CASE("csv: tabs, gzip, blank lines at the end, one column") {
  Folder folder;
  CHECK(folder.open("t.tsv", "x\ty\n1\t2\n").find("y")->values.to_ints() == Ints{2});
  CHECK(folder.open("t.csv", "x\n1\n2\n\n\n").find("x")->values.to_ints() == Ints{1, 2});
  CHECK(folder.open("t.csv", "x,y\r\n1,2\r\n\r\n").rows() == 1);
  folder.gzip("t.csv.gz", "x,y\n1,2\n");
  CHECK(Dataset::open(folder.path("t.csv.gz")).find("x")->values.to_ints() == Ints{1});
  const std::string bytes = folder.read("t.csv.gz");
  CHECK_THAT(folder.refusal("cut.csv.gz", bytes.substr(0, bytes.size() - 4)), Contains("cut short"));
  std::string damaged = bytes;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  CHECK_THAT(folder.refusal("bad.csv.gz", damaged), Contains("damaged"));
}

TEST_CASE("labels that are text become classes") {
  Folder folder;
  const std::string text = "x,y\n1,dog\n2,cat\n3,dog\n";
  const Dataset sorted = folder.open("t.csv", text, {.label = "y"});
  CHECK(sorted.classes() == Texts{"cat", "dog"});
  CHECK(sorted.labels().to_ints() == Ints{1, 0, 1});
  CHECK(folder.open("t.csv", text, {.label = "y", .classes = {"dog", "cat"}}).labels().to_ints() == Ints{0, 1, 0});
  const std::string path = folder.path("t.csv");
  CHECK_THAT(error_message([&] {
               (void)Dataset::open(path, {.label = "y", .classes = {"dog", "fox"}});
             }),
             EndsWith("label 'y', row 2: 'cat' is none of the classes 'dog', 'fox'"));
  folder.write("t.csv", "x,label\n1,2\n");
  CHECK_THAT(error_message([&] { (void)Dataset::open(path, {.label = "lable"}); }, ErrorKind::usage),
             Contains("no label 'lable' (did you mean 'label'?); there are 'x', 'label'"));
}

TEST_CASE("jsonl: values and lists") {
  Folder folder;
  const Dataset data = folder.open("t.jsonl", R"({"x": [[1, 2], [3, 4]], "n": 1, "name": "ä", "ok": true}
{"name": "b", "ok": false, "x": [[5, 6], [7, 8.5]], "n": -2}

)");
  CHECK(data.rows() == 2);
  CHECK(data.find("x")->values.dims() == ir::Dims{2, 2, 2});
  CHECK(data.find("x")->values.to_doubles() == Doubles{1, 2, 3, 4, 5, 6, 7, 8.5});
  CHECK(data.find("n")->values.to_ints() == Ints{1, -2});
  CHECK(*data.find("name")->values.string_values() == Texts{"ä", "b"});
  CHECK(data.find("ok")->values.type() == ElementType::boolean);
}

TEST_CASE("jsonl: what is wrong, and where") {
  Folder folder;
  const auto refusal = [&](const std::string& text) { return folder.refusal("t.jsonl", text); };
  CHECK_THAT(refusal("{\"x\": 1}\n{\"x\": 2"), Contains("line 2: character"));
  CHECK_THAT(refusal("{\"x\": 1, \"x\": 2}\n"), Contains("line 1: key 'x' is there twice"));
  CHECK_THAT(refusal("{\"x\": 1}\n{\"y\": 2}\n"), Contains("line 2: key 'y' is not in the first line"));
  CHECK_THAT(refusal("{\"x\": 1, \"y\": 1}\n{\"y\": 2}\n"), Contains("line 2: key 'x' is missing"));
  CHECK_THAT(refusal("{\"x\": 1e400}\n"), Contains("line 1"));
  CHECK_THAT(refusal("{\"x\": null}\n"), Contains("null"));
  CHECK_THAT(refusal("{\"x\": {\"a\": 1}}\n"), Contains("an object inside an object"));
  CHECK_THAT(refusal("[1]\n"), Contains("not an object"));
  CHECK_THAT(refusal("1\n"), Contains("not an object"));
  CHECK_THAT(refusal("{\"x\": [1, [2]]}\n"), Contains("side by side"));
  CHECK_THAT(refusal("{\"x\": [[1], 2]}\n"), Contains("side by side"));
  CHECK_THAT(refusal("{\"x\": [[], 2]}\n"), Contains("side by side"));
  CHECK_THAT(refusal("{\"x\": [[1, 2], [3]]}\n"), Contains("lists of 2 and of 1"));
  CHECK_THAT(refusal("{\"x\": [1]}\n{\"x\": [1, 2]}\n"), Contains("line 2: key 'x': shape [2], in the first line [1]"));
  CHECK_THAT(refusal("{\"x\": 1}\n{\"x\": \"a\"}\n"), Contains("text among numbers"));
  CHECK_THAT(refusal("{\"x\": \"\\ud800\"}\n"), Contains("line 1"));
  CHECK_THAT(refusal("{\"x\": " + std::string(100, '[') + "1" + std::string(100, ']') + "}\n"), Contains("nested"));
}

TEST_CASE("idx, also zipped, with the labels in a file of their own") {
  Folder folder;
  folder.write("images-idx3-ubyte", idx(8, {2, 2, 2}, "\1\2\3\4\5\6\7\x80"));
  folder.gzip("images-idx3-ubyte.gz", idx(8, {2, 2, 2}, "\1\2\3\4\5\6\7\x80"));
  folder.gzip("labels-idx1-ubyte.gz", idx(8, {2}, "\1\2"));
  for (const char* name : {"images-idx3-ubyte", "images-idx3-ubyte.gz"}) {
    const Dataset data = Dataset::open(folder.path(name), {.label = folder.path("labels-idx1-ubyte.gz")});
    CHECK(data.arrays()[0].name == "images-idx3-ubyte");
    CHECK(data.arrays()[0].values.to_ints() == Ints{1, 2, 3, 4, 5, 6, 7, 128});
    CHECK(data.labels().to_ints() == Ints{1, 2});
  }
  const Dataset named = Dataset::open(
      {"x=" + folder.path("images-idx3-ubyte"), "y=" + folder.path("labels-idx1-ubyte.gz")}, {.label = "y"});
  CHECK(named.find("x"));
  CHECK(named.label()->name == "y");
  CHECK(folder.open("short", idx(0x0b, {2}, std::string("\1\2\xff\xfe", 4))).arrays()[0].values.to_ints() ==
        Ints{258, -2});
  CHECK_THAT(folder.refusal("lie", idx(8, {3}, "\1\2")), Contains("claims shape [3]"));
  CHECK_THAT(folder.refusal("lie", idx(8, {1}, "\1\2")), Contains("claims shape [1]"));
  CHECK_THAT(folder.refusal("lie", idx(14, {0x7fffffff, 0x7fffffff, 0x7fffffff}, "")), Contains("claims shape"));
}

TEST_CASE("npz: arrays of different lengths, numbers, no arrays") {
  Folder folder;
  CHECK_THAT(folder.refusal("a.npz", npz({{"x", Tensor::vector<float>({1, 2})}, {"y", Tensor::vector<float>({1})}})),
             Contains("array 'x' has 2 rows, array 'y' has 1"));
  CHECK_THAT(folder.refusal("a.npz", npz({{"x", Tensor::scalar<float>(1)}})), Contains("one number"));
  CHECK_THAT(folder.refusal("a.npz", npz({})), Contains("no arrays"));
  CHECK_THAT(error_message([&] { (void)Dataset::open(folder.path("missing.npz")); }, ErrorKind::io),
             Contains("missing.npz"));
}

TEST_CASE("rows are taken in any order, from memory, files and selections") {
  Folder folder;
  std::vector<float> values(20);
  std::iota(values.begin(), values.end(), 0.0f);
  const std::string path = folder.write(
      "a.npz", npz({{"x", Tensor::of<float>({10, 2}, values)}, {"t", Tensor::strings({10}, Texts(10, "a"))}}));
  const Dataset data = Dataset::open(path);
  const auto take = [&](const Dataset& from, const Ints& rows) {
    return from.take(*from.find("x"), rows).to_doubles();
  };
  CHECK(data.find("x")->values.file_slice());
  CHECK(take(data, {1, 2, 9, 0, 0}) == Doubles{2, 3, 4, 5, 18, 19, 0, 1, 0, 1});
  CHECK(data.take(*data.find("t"), Ints{3, 4}).dims() == ir::Dims{2});
  const Dataset selected = data.select({9, 8, 7});
  CHECK(selected.rows() == 3);
  CHECK(take(selected, {0, 2}) == Doubles{18, 19, 14, 15});
  CHECK(take(selected.select({2}), {0}) == Doubles{14, 15});
  CHECK(take(Dataset::open(path, {.rows = "-2:"}), {0, 1}) == Doubles{16, 17, 18, 19});
}

TEST_CASE("selections of rows") {
  CHECK(parse_rows("0:3", 10) == Ints{0, 1, 2});
  CHECK(parse_rows("8:", 10) == Ints{8, 9});
  CHECK(parse_rows(":-8,5", 10) == Ints{0, 1, 5});
  CHECK(parse_rows(":", 2) == Ints{0, 1});
  for (const char* wrong : {"", "a", "3:3", "5:4", "0:11", "10", "1:2,", "-11"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_rows(wrong, 10), Error);
  }
}

TEST_CASE("shuffling depends on seed and epoch alone") {
  const Ints order = shuffled(1000, 7, 3);
  CHECK(order == shuffled(1000, 7, 3));
  CHECK(order != shuffled(1000, 7, 4));
  CHECK(order != shuffled(1000, 8, 3));
  CHECK(std::set<std::int64_t>(order.begin(), order.end()).size() == 1000);
  CHECK(shuffled(0, 1).empty());
  CHECK(shuffled(1, 1) == Ints{0});
}

TEST_CASE("a part held out keeps the share of every class") {
  Ints classes;
  for (int i = 0; i < 100; ++i) classes.push_back(i < 70 ? 0 : i < 97 ? 1 : 2);
  const Dataset data = Dataset::of({{"x", Tensor::vector<std::int64_t>(Ints(100, 1)), false, ""},
                                    {"y", Tensor::vector<std::int64_t>(classes), false, ""}},
                                   {.label = "y"});
  const auto [rest, part] = hold_out(data, 0.2, 5);
  CHECK(rest.rows() == 80);
  CHECK(part.rows() == 20);
  const Ints labels = part.labels().to_ints();
  CHECK(std::count(labels.begin(), labels.end(), 0) == 14);
  CHECK(std::count(labels.begin(), labels.end(), 1) == 5);
  CHECK(std::count(labels.begin(), labels.end(), 2) == 1);
  std::set<std::int64_t> rows;
  for (std::int64_t i = 0; i < 80; ++i) rows.insert(rest.source_row(i));
  for (std::int64_t i = 0; i < 20; ++i) rows.insert(part.source_row(i));
  CHECK(rows.size() == 100);
  CHECK(hold_out(data, 0.2, 5).second.labels().to_ints() == labels);
  CHECK(hold_out(data, 0.001, 5).second.rows() == 1);
  CHECK_THROWS_AS(hold_out(data, 1.0, 5), Error);
  CHECK_THROWS_AS(hold_out(data, std::nan(""), 5), Error);
}

}  // namespace hone::data
