// Equations of Einsum: what belongs to which dimension, and what is none.
#include "hone/ir/einsum.h"

#include <catch2/catch.hpp>

#include "hone/support/error.h"

namespace hone::ir {
namespace {

using Ranks = std::vector<std::size_t>;
using Labels = EinsumEquation::Labels;

EinsumEquation::Labelled labelled(const char* equation, const Ranks& ranks) {
  return EinsumEquation(equation).label(ranks);
}

}  // namespace

TEST_CASE("equations of Einsum: letters are labels, an ellipsis counts from its end") {
  const auto product = labelled(" b i j , b j k -> b i k ", {3, 3});
  CHECK(product.operands == std::vector<Labels>{{'b', 'i', 'j'}, {'b', 'j', 'k'}});
  CHECK(product.result == Labels{'b', 'i', 'k'});
  const auto open = labelled("...i,i...->...", {3, 2});
  CHECK(open.operands == std::vector<Labels>{{257, 256, 'i'}, {'i', 256}});
  CHECK(open.result == Labels{257, 256});
}

TEST_CASE("equations of Einsum: without an arrow the result has what appears once, in alphabetical order") {
  CHECK(labelled("ba", {2}).result == Labels{'a', 'b'});
  CHECK(labelled("ij,jk", {2, 2}).result == Labels{'i', 'k'});
  CHECK(labelled("...ii", {3}).result == Labels{256});
  CHECK(labelled("i->", {1}).result.empty());
}

TEST_CASE("equations of Einsum: what is none, and inputs that don't fit") {
  for (const char* equation : {"i.j->i", ". . .->...", "......->...", "i-j", "i1->i", "...i...->i", "i->i,j"}) {
    INFO(equation);
    CHECK_THROWS_AS(EinsumEquation(equation), Error);
  }
  CHECK_THROWS_AS(labelled("ij->i", {1}), Error);
  CHECK_THROWS_AS(labelled("ij...->i", {1}), Error);
  CHECK_THROWS_AS(labelled("ij,jk->ik", {2}), Error);
  CHECK_THROWS_AS(labelled("ij->ii", {2}), Error);
}

}  // namespace hone::ir
