#include "passes/gelu.h"

#include <cmath>

#include "hone/rewrite/match.h"
#include "passes/values.h"

namespace hone::passes {

bool close_to(const ir::Value* value, double number) { return is_splat(value, number, 1e-3 * std::abs(number)); }

ir::Value* scaled_by(const ir::Node* mul, double number) {
  if (!mul) return nullptr;
  if (mul->is("Div")) return close_to(mul->input(1), 1 / number) ? mul->input(0) : nullptr;
  if (!mul->is("Mul")) return nullptr;
  for (std::size_t i = 0; i < 2; ++i) {
    if (close_to(mul->input(i), number)) return mul->input(1 - i);
  }
  return nullptr;
}

namespace {

// What erf or tanh is taken of; x.
ir::Value* gelu_argument(const ir::Node& inner) {
  ir::Node* argument = inner.input(0)->producer();
  if (!argument || !inner.input(0)->only_use()) return nullptr;
  if (inner.is("Erf")) return scaled_by(argument, 1 / std::sqrt(2.0));
  const ir::Value* sum = scaled_by(argument, std::sqrt(2 / 3.14159265358979));
  const ir::Node* add = rewrite::sole_producer(sum, "Add");
  if (!add) return nullptr;
  for (std::size_t i = 0; i < 2; ++i) {
    ir::Value* x = add->input(i);
    const ir::Value* cube = scaled_by(rewrite::sole_producer(add->input(1 - i), "Mul"), 0.044715);
    const ir::Node* power = rewrite::sole_producer(cube, "Pow");
    if (power && power->input(0) == x && is_splat(power->input(1), 3)) return x;
  }
  return nullptr;
}

}  // namespace

// `last` is the product; matches 0.5 * x * (1 + inner) in any order of the factors.
std::optional<Gelu> spelled_out_gelu(const ir::Node& last) {
  // Factors of the product of two Muls, one inside the other.
  for (std::size_t i = 0; i < 2; ++i) {
    const ir::Node* inside = rewrite::sole_producer(last.input(i), "Mul");
    if (!inside) continue;
    ir::Value* factors[3] = {last.input(1 - i), inside->input(0), inside->input(1)};
    for (std::size_t a = 0; a < 3; ++a) {
      const ir::Node* add = rewrite::sole_producer(factors[a], "Add");
      if (!add) continue;
      for (std::size_t one = 0; one < 2; ++one) {
        if (!is_splat(add->input(one), 1)) continue;
        for (const char* op : {"Erf", "Tanh"}) {
          const ir::Node* inner = rewrite::sole_producer(add->input(1 - one), op);
          ir::Value* x = inner ? gelu_argument(*inner) : nullptr;
          if (!x) continue;
          ir::Value* b = factors[(a + 1) % 3];
          ir::Value* c = factors[(a + 2) % 3];
          if ((b == x && is_splat(c, 0.5)) || (c == x && is_splat(b, 0.5))) return Gelu{x, inner->is("Tanh")};
        }
      }
    }
  }
  return std::nullopt;
}

}  // namespace hone::passes
