#include "hone/ir/dimension.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <random>

using namespace hone::ir;

namespace {

const Dimension n = Dimension::symbol("n");
const Dimension m = Dimension::symbol("m");
const Dimension h = Dimension::symbol("h");

std::string read(std::string_view text) { return Dimension::parse(text).text(); }

}  // namespace

TEST_CASE("numbers, unknowns and symbols are told apart") {
  CHECK(Dimension().is_unknown());
  CHECK(Dimension().text() == "?");
  CHECK(Dimension(7).number() == 7);
  CHECK(Dimension(7).text() == "7");
  CHECK(n.symbol_name() == "n");
  CHECK_FALSE(n.is_unknown());
  CHECK_FALSE(n.number());
  CHECK_FALSE((n + 1).symbol_name());
  CHECK((n * m + n + 2).symbols() == std::vector<std::string>{"m", "n"});
  CHECK(floor_div(n, 2).symbols() == std::vector<std::string>{"n"});
}

TEST_CASE("an unknown is not equal to itself") {
  CHECK_FALSE(provably_equal(Dimension(), Dimension()));
  CHECK(identical(Dimension(), Dimension()));
  CHECK_FALSE(provably_different(Dimension(), Dimension(3)));
  CHECK((Dimension() + 1).is_unknown());
  CHECK(identical(Dimension() * 0, 0));
}

TEST_CASE("sums and products have one form") {
  CHECK((n + n).text() == "2*n");
  CHECK(provably_equal(n + n, 2 * n));
  CHECK(provably_equal((n + 1) * (m + 2), m * n + 2 * n + m + 2));
  CHECK(provably_equal(n - n, 0));
  CHECK((n * n * 3 - m + 5).text() == "3*n*n - m + 5");
  CHECK((1 - n).text() == "-n + 1");
}

TEST_CASE("divisions simplify") {
  CHECK(provably_equal(floor_div(4 * n + 8, 4), n + 2));
  CHECK(provably_equal(floor_div(4 * n + 7, 4), n + 1));
  CHECK(floor_div(n + 1, 2).text() == "floor((n + 1)/2)");
  CHECK(provably_equal(floor_div(floor_div(h + 1, 2) + 1, 2), floor_div(h + 3, 4)));
  CHECK(provably_equal(floor_div(floor_div(h, 3), 5), floor_div(h, 15)));
  CHECK(provably_equal(floor_div(6 * n, 4), floor_div(3 * n, 2)));
  CHECK(provably_equal(ceil_div(n, 2), floor_div(n + 1, 2)));
  CHECK(provably_equal(floor_div(-7, 2), -4));
  CHECK(provably_equal(floor_div(7, -2), -4));
  CHECK(provably_equal(ceil_div(-7, 2), -3));
  CHECK(provably_equal(floor_div(modulus(n, 4), 4), 0));
  CHECK(floor_div(n, 0).is_unknown());
  CHECK(floor_div(n, m).is_unknown());
  CHECK(floor_div(n, m - 1).is_unknown());
  CHECK(floor_div(n, m + 1).text() == "floor(n/(m + 1))");
  CHECK(provably_equal(floor_div(n * (m + 1), m + 1), n));
  CHECK(floor_div(n, maximum(m, 1)).text() == "floor(n/max(1, m))");
  CHECK(provably_equal(floor_div(n * maximum(m, 1), 2 * maximum(m, 1)), floor_div(n, 2)));
}

TEST_CASE("exact division") {
  CHECK(identical(*exact_div(12 * n * m, 4 * n), 3 * m));
  CHECK(identical(*exact_div(n * m, n), m));
  CHECK(identical(*exact_div(n * n - 1, n + 1), n - 1));
  CHECK(identical(*exact_div(0, n), 0));
  CHECK_FALSE(exact_div(n + 1, n));
  CHECK_FALSE(exact_div(3 * n, 2));
  CHECK_FALSE(exact_div(n, 0));
  CHECK_FALSE(exact_div(Dimension(), 2));
}

TEST_CASE("moduli simplify") {
  CHECK(provably_equal(modulus(n, 1), 0));
  CHECK(provably_equal(modulus(4 * n + 7, 4), 3));
  CHECK(modulus(n + 9, 4).text() == "mod(n + 1, 4)");
  CHECK(provably_equal(modulus(modulus(n, 12), 4), modulus(n, 4)));
  CHECK(provably_equal(modulus(modulus(n, 4), 12), modulus(n, 4)));
  CHECK(provably_equal(modulus(6 * n, 4), 2 * modulus(n, 2) + 0 * n));
  CHECK(provably_equal(modulus(-7, 4), 1));
  CHECK(provably_equal(modulus(7, -4), -1));
  CHECK(modulus(n, m).is_unknown());
}

TEST_CASE("minimum and maximum drop what can't be the result") {
  CHECK(provably_equal(maximum(n, 0), n));
  CHECK(provably_equal(minimum(n, n + 3), n));
  CHECK(provably_equal(maximum(h, floor_div(h + 1, 2)), h));
  CHECK(maximum(n, m).text() == "max(m, n)");
  CHECK(provably_equal(maximum(n, m), maximum(m, n)));
  CHECK(provably_equal(maximum(maximum(n, m), h), maximum(n, maximum(h, m))));
  CHECK(provably_equal(maximum(maximum(n, m), n + 1), maximum(m, n + 1)));
  CHECK(minimum(n, 5).lower_bound() == 0);
}

TEST_CASE("bounds and differences") {
  CHECK((n + 3).lower_bound() == 3);
  CHECK((n * m * 2).lower_bound() == 0);
  CHECK_FALSE((3 - n).lower_bound());
  CHECK((h - floor_div(h, 2)).lower_bound() == 0);
  CHECK((h - floor_div(h + 1, 2)).lower_bound() == 0);
  CHECK((3 - modulus(n, 3)).lower_bound() == 1);
  CHECK((maximum(n, m) - n).lower_bound() == 0);
  CHECK(provably_different(n, n + 1));
  CHECK(provably_different(2 * n, 2 * m + 1));
  CHECK(provably_different(n + 1, 0));
  CHECK_FALSE(provably_different(n, 1));
  CHECK_FALSE(provably_different(n, m));
}

TEST_CASE("substitution evaluates") {
  const Dimension expression = floor_div(n * m + 3, 4) + maximum(n, m) + modulus(n, 3);
  const auto value = [](std::string_view name) -> std::optional<Dimension> {
    if (name == "n") return 5;
    return std::nullopt;
  };
  CHECK(provably_equal(expression.substitute(value), floor_div(5 * m + 3, 4) + maximum(5, m) + 2));
  CHECK(provably_equal((n + m).substitute([](std::string_view) { return std::optional(Dimension::symbol("k")); }),
                       2 * Dimension::symbol("k")));
  CHECK((n + m).substitute([](std::string_view) { return std::optional(Dimension()); }).is_unknown());
}

TEST_CASE("dim_params of exporters are read") {
  CHECK(identical(Dimension::parse("batch*12"), 12 * Dimension::symbol("batch")));
  CHECK(read("past_sequence_length + 1") == "past_sequence_length + 1");
  CHECK(identical(Dimension::parse("floor(h/2 + 1/2)"), floor_div(h + 1, 2)));
  CHECK(identical(Dimension::parse("floor(h/2) + 1"), floor_div(h, 2) + 1));
  CHECK(identical(Dimension::parse("(h + 1)/2"), floor_div(h + 1, 2)));
  CHECK(identical(Dimension::parse("((h - 1)//2) + 1"), floor_div(h + 1, 2)));
  CHECK(identical(Dimension::parse("ceiling(h/2)"), floor_div(h + 1, 2)));
  CHECK(identical(Dimension::parse("Max(n, Min(m, 4))"), maximum(n, minimum(m, 4))));
  CHECK(identical(Dimension::parse("n**2"), n * n));
  CHECK(identical(Dimension::parse("n % 4"), modulus(n, 4)));
  CHECK(identical(Dimension::parse("FloorDiv(h, 2)*Mod(n, 3)"), floor_div(h, 2) * modulus(n, 3)));
  CHECK(identical(Dimension::parse(" 2 * ( n + 1 ) "), 2 * n + 2));
  CHECK(identical(Dimension::parse("-n + 4"), 4 - n));
  CHECK(identical(Dimension::parse("224"), 224));
  CHECK(identical(Dimension::parse("-1"), -1));
  CHECK(Dimension::parse("").is_unknown());
  CHECK(Dimension::parse("?").is_unknown());
}

TEST_CASE("what is no expression is one symbol") {
  for (const char* name : {"DynamicDimension.0",
                           "unk__12",
                           "Conv_0_dim-1",
                           "my dim",
                           "0_dim",
                           "n +",
                           "(n",
                           "n)",
                           "f(n)",
                           "n/m",
                           "n//0",
                           "1 2",
                           "a`b",
                           "*",
                           "max()",
                           "99999999999999999999",
                           "n/0",
                           "x:0",
                           "None-2-b",
                           "n**99",
                           "`",
                           "``"}) {
    CAPTURE(name);
    const Dimension read = Dimension::parse(name);
    CHECK(read.symbol_name() == name);
    CHECK(read.text() == name);
    CHECK(identical(Dimension::parse(read.text()), read));
    const Dimension twice = 2 * read + 1;
    CHECK(identical(Dimension::parse(twice.text()), twice));
  }
  // Symbols with names that would read as something else.
  for (const char* name : {"n + 1", "7", "-1", "?", "`n`", "floor(n/2)"}) {
    CAPTURE(name);
    const Dimension symbol = Dimension::symbol(name);
    CHECK(symbol.symbol_name() == name);
    CHECK(identical(Dimension::parse(symbol.text()), symbol));
    CHECK_FALSE(provably_equal(symbol, Dimension::parse(name)));
  }
}

TEST_CASE("overflow and growth end in unknown") {
  const std::int64_t big = std::numeric_limits<std::int64_t>::max();
  CHECK((Dimension(big) + 1).is_unknown());
  CHECK((big * n * 2).is_unknown());
  CHECK((Dimension(std::numeric_limits<std::int64_t>::min()) - 1).is_unknown());
  CHECK(floor_div(std::numeric_limits<std::int64_t>::min(), -1).is_unknown());
  CHECK(Dimension(std::numeric_limits<std::int64_t>::min()).text() == "-9223372036854775808");
  CHECK(identical(Dimension::parse("-9223372036854775808"), std::numeric_limits<std::int64_t>::min()));
  Dimension total = 0;
  for (int i = 0; i < 40; ++i) total = total + Dimension::symbol("s" + std::to_string(i));
  CHECK(total.is_unknown());
  Dimension nested = n;
  for (int i = 0; i < 1000; ++i) nested = maximum(floor_div(nested * n, 3), m + i);
  CHECK(nested.is_unknown());
  std::string deep(100000, '(');
  CHECK(Dimension::parse(deep).symbol_name() == deep);
  deep.assign(100000, '-');
  CHECK(Dimension::parse(deep += 'n').symbol_name());
}

TEST_CASE("shapes") {
  CHECK(text(Shape{n, 3, Dimension()}) == "[n,3,?]");
  CHECK(text(std::vector<std::int64_t>{2, 3}) == "[2,3]");
  CHECK(static_dims({2, 3}) == std::vector<std::int64_t>{2, 3});
  CHECK_FALSE(static_dims({n, 3}));
  CHECK(identical(element_count({n, 3, 4}), 12 * n));
  CHECK(identical(element_count({}), 1));
  CHECK(identical(element_count({Dimension(), 0}), 0));
  CHECK(provably_same_shape({n, 2}, {n, 2}));
  CHECK_FALSE(provably_same_shape({n, 2}, {n}));
  CHECK_FALSE(provably_same_shape({Dimension()}, {Dimension()}));
}

namespace {

// A random expression, as a dimension, as text, and as a function of the symbols' values.
struct Sample {
  Dimension dimension;
  std::string text;
  std::vector<std::optional<__int128>> values;  // one for each assignment; none: undefined there
};

constexpr int assignments = 24;

struct Generator {
  std::mt19937 random;
  std::map<std::string, std::vector<std::int64_t>> symbols;

  explicit Generator(unsigned seed) : random(seed) {
    for (const char* name : {"a", "b", "odd-name", "c.0"}) {
      auto& values = symbols[name];
      values = {0, 1};
      while (values.size() < assignments) values.push_back(static_cast<std::int64_t>(random() % 40));
      std::shuffle(values.begin(), values.end(), random);
    }
  }

  static __int128 floor_of(__int128 a, __int128 b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

  Sample make(int depth) {
    Sample result;
    if (depth == 0 || random() % 6 == 0) {
      if (random() % 2) {
        auto it = symbols.begin();
        std::advance(it, random() % symbols.size());
        result.dimension = Dimension::symbol(it->first);
        result.text = it->first == "odd-name" ? "`odd-name`" : it->first;
        for (const auto value : it->second) result.values.push_back(value);
      } else {
        const int value = static_cast<int>(random() % 16) - 5;
        result.dimension = value;
        result.text = value < 0 ? "(" + std::to_string(value) + ")" : std::to_string(value);
        result.values.assign(assignments, value);
      }
      return result;
    }
    const Sample a = make(depth - 1);
    Sample b = make(depth - 1);
    const unsigned choice = random() % 9;
    if (choice >= 3 && choice <= 6 && random() % 4) {
      const int value = static_cast<int>(random() % 6) + 1;
      b.dimension = value;
      b.text = std::to_string(value);
      b.values.assign(assignments, value);
    }
    const auto apply = [&](auto&& f) {
      for (int i = 0; i < assignments; ++i) {
        const auto& x = a.values[static_cast<std::size_t>(i)];
        const auto& y = b.values[static_cast<std::size_t>(i)];
        result.values.push_back(x && y ? f(*x, *y) : std::nullopt);
      }
    };
    using Result = std::optional<__int128>;
    switch (choice) {
      case 0:
      case 7:
        result.dimension = a.dimension + b.dimension;
        result.text = "(" + a.text + " + " + b.text + ")";
        apply([](__int128 x, __int128 y) { return Result(x + y); });
        break;
      case 1:
        result.dimension = a.dimension - b.dimension;
        result.text = "(" + a.text + " - " + b.text + ")";
        apply([](__int128 x, __int128 y) { return Result(x - y); });
        break;
      case 2:
        result.dimension = a.dimension * b.dimension;
        result.text = "(" + a.text + "*" + b.text + ")";
        apply([](__int128 x, __int128 y) { return Result(x * y); });
        // Zero times what is undefined is zero: nobody asks for its value.
        if (a.dimension.number() == 0 || b.dimension.number() == 0) result.values.assign(assignments, 0);
        break;
      case 3:
      case 4:
        result.dimension = floor_div(a.dimension, b.dimension);
        result.text = "floor(" + a.text + "/" + b.text + ")";
        apply([](__int128 x, __int128 y) { return y == 0 ? Result() : Result(floor_of(x, y)); });
        break;
      case 5:
        result.dimension = ceil_div(a.dimension, b.dimension);
        result.text = "ceil(" + a.text + "/" + b.text + ")";
        apply([](__int128 x, __int128 y) { return y == 0 ? Result() : Result(-floor_of(-x, y)); });
        break;
      case 6:
        result.dimension = modulus(a.dimension, b.dimension);
        result.text = "(" + a.text + " % " + b.text + ")";
        apply([](__int128 x, __int128 y) { return y == 0 ? Result() : Result(x - y * floor_of(x, y)); });
        break;
      default: {
        const bool maximal = random() % 2;
        result.dimension = maximal ? maximum(a.dimension, b.dimension) : minimum(a.dimension, b.dimension);
        result.text = (maximal ? "max(" : "min(") + a.text + ", " + b.text + ")";
        apply([maximal](__int128 x, __int128 y) { return Result(maximal ? std::max(x, y) : std::min(x, y)); });
        break;
      }
    }
    return result;
  }

  // The dimension with numbers for its symbols.
  Dimension at(const Dimension& dimension, int i) const {
    return dimension.substitute([&](std::string_view name) {
      return std::optional(Dimension(symbols.at(std::string(name))[static_cast<std::size_t>(i)]));
    });
  }
};

}  // namespace

TEST_CASE("random expressions keep their value, their text and their bounds") {
  int known = 0;
  for (unsigned seed = 0; seed < 4000; ++seed) {
    Generator generator(seed);
    const Sample sample = generator.make(static_cast<int>(seed % 5) + 1);
    const Sample other = generator.make(static_cast<int>(seed % 3) + 1);
    CAPTURE(seed, sample.text, sample.dimension.text(), other.text);
    if (sample.dimension.is_unknown()) continue;
    ++known;
    REQUIRE(identical(Dimension::parse(sample.dimension.text()), sample.dimension));
    const auto low = sample.dimension.lower_bound();
    const bool different = provably_different(sample.dimension, other.dimension);
    const bool equal = provably_equal(sample.dimension, other.dimension);
    const Dimension read = Dimension::parse(sample.text);
    for (int i = 0; i < assignments; ++i) {
      const auto value = sample.values[static_cast<std::size_t>(i)];
      REQUIRE(value);  // what may be undefined is unknown
      const auto number = generator.at(sample.dimension, i).number();
      REQUIRE(number);
      REQUIRE(*number == static_cast<std::int64_t>(*value));
      if (low) REQUIRE(*number >= *low);
      if (!read.symbol_name()) REQUIRE(generator.at(read, i).number() == number);
      if (const auto second = other.values[static_cast<std::size_t>(i)]; second && !other.dimension.is_unknown()) {
        if (different) REQUIRE(*value != *second);
        if (equal) REQUIRE(*value == *second);
      }
    }
  }
  CHECK(known > 2000);
}

TEST_CASE("symbols may be anything and text still reads back") {
  std::mt19937 random(7);
  const std::string_view alphabet = "ab0.-+*/%()`, ?_";
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (unsigned length = random() % 9 + 1; length > 0; --length) text += alphabet[random() % alphabet.size()];
    CAPTURE(text);
    const Dimension read = Dimension::parse(text);
    REQUIRE(identical(Dimension::parse(read.text()), read));
    const Dimension symbol = Dimension::symbol(text);
    REQUIRE(identical(Dimension::parse(symbol.text()), symbol));
    const Dimension inside = floor_div(symbol + read, 3);
    REQUIRE(identical(Dimension::parse(inside.text()), inside));
  }
}
