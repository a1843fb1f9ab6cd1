// Which array goes to which input, in which shape and type.
#include "hone/data/feed.h"

#include <catch2/catch.hpp>
#include <limits>

#include "data/convert.h"
#include "error_message.h"

namespace hone::data {
namespace {

using Catch::Matchers::Contains;
using ir::Dimension;
using ir::ElementType;
using ir::Tensor;
using testing::error_message;
using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

ModelInput input(const std::string& name, ElementType type, const std::vector<std::string>& dims) {
  ir::Shape shape;
  for (const std::string& dim : dims) shape.push_back(Dimension::parse(dim));
  return {name, ir::Type::tensor(type, shape)};
}

Dataset one(const std::string& name, Tensor values) { return Dataset::of({{name, std::move(values), false, ""}}); }

Tensor counting(ElementType type, ir::Dims dims) {
  std::int64_t count = 1;
  for (const std::int64_t dim : dims) count *= dim;
  std::vector<std::uint8_t> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(static_cast<std::uint8_t>(i));
  std::optional<std::size_t> changed;
  return convert(Tensor::of<std::uint8_t>(std::move(dims), values), type, Rounding::none, changed);
}

Tensor only(const Feed& feed, const Ints& rows) {
  auto read = feed.read(rows);
  REQUIRE(read.size() == 1);
  return *read[0].datum.tensor();
}

}  // namespace

TEST_CASE("feed: by name, or the only one") {
  const Dataset data = Dataset::of(
      {{"a", counting(ElementType::float32, {2, 3}), false, ""}, {"b", counting(ElementType::int64, {2}), false, ""}});
  const Feed feed(data, {input("b", ElementType::int64, {"N"}), input("a", ElementType::float32, {"N", "3"})});
  const auto read = feed.read(Ints{1});
  CHECK(read[0].name == "b");
  CHECK(read[0].datum.tensor()->to_ints() == Ints{1});
  CHECK(read[1].datum.tensor()->to_floats() == Floats{3, 4, 5});
  CHECK_FALSE(feed.fixed_batch());

  CHECK(only(Feed(one("anything", counting(ElementType::float32, {2, 3})),
                  {input("x", ElementType::float32, {"N", "3"})}),
             {0})
            .to_floats() == Floats{0, 1, 2});
  CHECK_THAT(error_message([&] {
               Feed(data, {input("x", ElementType::float32, {"N", "3"})});
             }),
             Contains("for input 'x': no array of this name; array 'a' is float[2,3], array 'b' is int64[2]"));
  CHECK(only(Feed(data, {input("x", ElementType::float32, {"N", "3"})}, {.arrays = {{"x", "a"}}}), {0}).to_floats() ==
        Floats{0, 1, 2});
}

TEST_CASE("feed: shapes") {
  const auto dims = [](ir::Dims data, const std::vector<std::string>& wanted) {
    return only(Feed(one("x", counting(ElementType::float32, std::move(data))),
                     {input("x", ElementType::float32, wanted)}),
                {0})
        .dims();
  };
  CHECK(dims({2, 4, 4}, {"N", "1", "4", "4"}) == ir::Dims{1, 1, 4, 4});
  CHECK(dims({2, 4, 4, 1}, {"N", "1", "4", "4"}) == ir::Dims{1, 1, 4, 4});
  CHECK(dims({2, 4, 4}, {"N", "16"}) == ir::Dims{1, 16});
  CHECK(dims({2, 1, 3}, {"N", "3"}) == ir::Dims{1, 3});
  CHECK(dims({2}, {"N", "1"}) == ir::Dims{1, 1});
  CHECK(dims({2, 5}, {"N", "length"}) == ir::Dims{1, 5});
  CHECK(dims({2, 1}, {"N", "length"}) == ir::Dims{1, 1});
  CHECK_THAT(error_message([&] {
               dims({2, 3}, {"N", "4"});
             }),
             Contains("the model wants float[N,4]; array 'x' is float[2,3]"));
  CHECK_THAT(error_message([&] { dims({2, 4, 4, 3}, {"N", "3", "4", "4"}); }), Contains("layout=nhwc-nchw"));
  CHECK_THAT(error_message([&] { dims({2, 3}, {}); }, ErrorKind::unsupported), Contains("one number"));
  // Many dimensions of 1 on both sides take no time.
  ir::Dims ones(30, 1);
  ones[0] = 2;
  ones.back() = 7;
  CHECK_THAT(error_message([&] { dims(ones, std::vector<std::string>(30, "1")); }), Contains("wants"));

  const Feed fixed(one("x", counting(ElementType::float32, {5, 3})), {input("x", ElementType::float32, {"2", "3"})});
  CHECK(fixed.fixed_batch() == 2);
}

TEST_CASE("feed: types change only where no value does") {
  const auto convert_to = [](const Tensor& tensor, ElementType type) {
    return only(Feed(one("x", std::move(tensor)), {input("x", type, {"N"})}), {0, 1});
  };
  CHECK(convert_to(Tensor::vector<std::uint8_t>({0, 255}), ElementType::float32).to_floats() == Floats{0, 255});
  CHECK(convert_to(Tensor::vector<std::uint8_t>({0, 255}), ElementType::float16).to_floats() == Floats{0, 255});
  CHECK(convert_to(Tensor::vector<std::int64_t>({-5, 7}), ElementType::int32).to_ints() == Ints{-5, 7});
  CHECK(convert_to(Tensor::vector<double>({0.5, std::numeric_limits<double>::infinity()}), ElementType::float32)
            .to_floats()[0] == 0.5f);
  CHECK_THAT(error_message([&] {
               convert_to(Tensor::vector<double>({0.5, 0.1}), ElementType::float32);
             }),
             Contains("array 'x', row 2: 0.1 has no equal in float") && Contains("--round"));
  CHECK_THAT(error_message([&] {
               convert_to(Tensor::vector<std::int64_t>({0, 16777217}), ElementType::float32);
             }),
             Contains("row 2: 16777217"));
  CHECK_THAT(error_message([&] {
               convert_to(Tensor::vector<std::int64_t>({-1, 0}), ElementType::uint8);
             }),
             Contains("row 1: -1"));
  CHECK_THAT(error_message([&] {
               convert_to(Tensor::vector<float>({1.5f, 0}), ElementType::int64);
             }),
             Contains("row 1: 1.5"));
  CHECK_THAT(error_message([&] {
               convert_to(Tensor::strings({2}, {"a", "b"}), ElementType::float32);
             }),
             Contains("is text"));

  const Feed rounding(one("x", Tensor::vector<double>({0.1})), {input("x", ElementType::float32, {"N"})},
                      {.round = true});
  CHECK(only(rounding, {0}).to_floats() == Floats{0.1f});
  const Feed overflow(one("x", Tensor::vector<double>({1e300})), {input("x", ElementType::float32, {"N"})},
                      {.round = true});
  CHECK_THAT(error_message([&] { (void)only(overflow, {0}); }), Contains("1e+300"));
}

TEST_CASE("exact conversion at the edges of the types") {
  const auto changed = [](const Tensor& tensor, ElementType type) {
    std::optional<std::size_t> index;
    (void)convert(tensor, type, Rounding::none, index);
    return index.has_value();
  };
  const auto largest = std::numeric_limits<std::int64_t>::max();
  CHECK(changed(Tensor::vector<std::int64_t>({largest}), ElementType::float64));
  CHECK_FALSE(changed(Tensor::vector<std::int64_t>({std::numeric_limits<std::int64_t>::min()}), ElementType::float64));
  CHECK(changed(Tensor::vector<std::uint64_t>({std::numeric_limits<std::uint64_t>::max()}), ElementType::float32));
  CHECK_FALSE(changed(Tensor::vector<std::uint64_t>({std::uint64_t{1} << 63}), ElementType::float32));
  CHECK(changed(Tensor::vector<double>({9223372036854775808.0}), ElementType::int64));
  CHECK_FALSE(changed(Tensor::vector<double>({-9223372036854775808.0}), ElementType::int64));
  CHECK(changed(Tensor::vector<float>({-1}), ElementType::uint64));
  CHECK(changed(Tensor::vector<float>({std::nanf("")}), ElementType::int32));
  CHECK_FALSE(changed(Tensor::vector<double>({std::nan("")}), ElementType::float16));
  CHECK(changed(Tensor::vector<float>({65536}), ElementType::float16));
  CHECK_FALSE(changed(Tensor::vector<std::int32_t>({2048}), ElementType::float16));
  CHECK(changed(Tensor::vector<std::int32_t>({2049}), ElementType::float16));
  CHECK(changed(Tensor::vector<std::int32_t>({257}), ElementType::bfloat16));
  CHECK(changed(Tensor::vector<std::int32_t>({2}), ElementType::boolean));
  CHECK_FALSE(changed(Tensor::vector<bool>({true}), ElementType::float32));
}

TEST_CASE("feed: the columns of a table side by side") {
  const Dataset table = Dataset::of({{"a", Tensor::vector<std::int64_t>({1, 2}), true, "column 'a'"},
                                     {"b", Tensor::vector<double>({0.1, 0.2}), true, "column 'b'"},
                                     {"y", Tensor::vector<std::int64_t>({0, 1}), true, "column 'y'"}},
                                    {.label = "y"}, true);
  CHECK(only(Feed(table, {input("x", ElementType::float32, {"N", "2"})}), {1, 0}).to_floats() ==
        Floats{2, 0.2f, 1, 0.1f});
  CHECK(only(Feed(table, {input("b", ElementType::float32, {"N", "1"})}), {0}).to_floats() == Floats{0.1f});
  CHECK_THAT(error_message([&] {
               Feed(table, {input("x", ElementType::float32, {"N", "3"})});
             }),
             Contains("2 columns"));
  const Dataset words = Dataset::of({{"a", Tensor::vector<std::int64_t>({1}), true, "column 'a'"},
                                     {"job", Tensor::strings({1}, {"clerk"}), true, "column 'job' (row 1: 'clerk')"}},
                                    {}, true);
  CHECK_THAT(error_message([&] {
               Feed(words, {input("x", ElementType::float32, {"N", "2"})});
             }),
             Contains("column 'job' (row 1: 'clerk') is text"));
}

TEST_CASE("feed: normalization and layout") {
  const Dataset images = one("x", counting(ElementType::uint8, {2, 2, 2, 3}));
  const auto model = input("x", ElementType::float32, {"N", "3", "2", "2"});
  const Tensor read = only(Feed(images, {model}, {.preprocess = {parse_normalize("imagenet layout=nhwc-nchw")}}), {1});
  CHECK(read.dims() == ir::Dims{1, 3, 2, 2});
  const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
  const auto values = read.to_floats();
  for (int c = 0; c < 3; ++c) {
    for (int p = 0; p < 4; ++p) CHECK(values[c * 4 + p] == Approx(((12 + p * 3 + c) / 255.0 - mean[c]) / std[c]));
  }
  // Channels first already.
  const Dataset planes = one("x", counting(ElementType::uint8, {1, 3, 2, 2}));
  const Tensor first = only(Feed(planes, {model}, {.preprocess = {{"x", parse_preprocess("mean=0,4,8")}}}), {0});
  CHECK(first.to_floats() == Floats{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
  // Features of a table.
  const Dataset rows = one("x", Tensor::of<float>({1, 2}, {4, 9}));
  CHECK(only(Feed(rows, {input("x", ElementType::float32, {"N", "2"})},
                  {.preprocess = {{"", parse_preprocess("mean=2,3;std=2,3")}}}),
             {0})
            .to_floats() == Floats{1, 2});
  const Dataset cube = one("x", counting(ElementType::uint8, {1, 3, 3, 3}));
  const auto cubic = input("x", ElementType::float32, {"N", "3", "3", "3"});
  CHECK_THAT(error_message(
                 [&] {
                   Feed(cube, {cubic}, {.preprocess = {{"", parse_preprocess("imagenet")}}});
                 },
                 ErrorKind::usage),
             Contains("say layout="));
  CHECK_THAT(error_message(
                 [&] {
                   Feed(rows, {input("x", ElementType::float32, {"N", "2"})},
                        {.preprocess = {{"", parse_preprocess("imagenet")}}});
                 },
                 ErrorKind::usage),
             Contains("3 means"));
  CHECK_THAT(error_message(
                 [&] {
                   Feed(images, {model}, {.preprocess = {{"z", {}}}});
                 },
                 ErrorKind::usage),
             Contains("no input 'z'"));
}

TEST_CASE("normalize: text") {
  const Preprocess p = parse_preprocess("scale=1/255;mean=.5,0.25 std=2 layout=nchw-nhwc");
  CHECK(p.scale == 1.0 / 255);
  CHECK(p.mean == std::vector<double>{0.5, 0.25});
  CHECK(p.layout == Preprocess::Layout::nchw_to_nhwc);
  CHECK(text(parse_preprocess(text(p))) == text(p));
  CHECK(parse_normalize("in:0:imagenet").first == "in:0");
  for (const char* wrong : {"", "scale", "scale=", "scale=a", "scale=1/0", "std=0", "mean=1,,2", "layout=chw", "meen=1",
                            "mean=1,2 std=1,2,3", "scale=nan"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(parse_preprocess(wrong), Error);
  }
}

TEST_CASE("batches") {
  const auto loose = batches(5, 2);
  REQUIRE(loose.size() == 3);
  CHECK(loose[2].rows == Ints{4});
  const auto filled = batches(5, 2, true);
  CHECK(filled[2].rows == Ints{4, 4});
  CHECK(filled[2].count == 1);
  CHECK(batches(0, 2).empty());
}

}  // namespace hone::data
