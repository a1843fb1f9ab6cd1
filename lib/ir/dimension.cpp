// Dimensions: a canonical form for integer expressions, and reading and printing them.
//
// An expression is a sum of terms; a term is a coefficient and a product of atoms; an atom is a symbol, or a floor
// division, modulus, minimum or maximum of expressions. Terms are sorted by degree (highest first) and then by their atoms,
// atoms by their text, so that equal expressions have equal text and equal text means the same expression. Rules that an
// atom's maker applies (k a number > 0, all rounding down):
//   (k*p + r)/k = p + r/k        (c*p)/(c*q) = p/q           (x/a + r)/k = (x + a*r)/(a*k)
//   p/k = m if m*k <= p < (m+1)*k                            (k*p + r) % k = r % k
//   (c*p) % (c*q) = c*(p % q)    (x % (a*k)) % k = x % k     p % k = p if 0 <= p < k
//   max and min drop operands that are never the result, and flatten
//
// Not handled: identities that join several atoms (n/2 + (n + 1)/2 = n), divisors that may be 0.
#include "hone/ir/dimension.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <numeric>
#include <utility>

namespace hone::ir {
namespace {

// Real shapes have a few terms; what grows past these is the product of a rewrite or of a hostile file.
constexpr std::size_t max_terms = 16;
constexpr std::size_t max_degree = 16;
constexpr std::size_t max_operands = 8;
constexpr std::size_t max_text = 1000;
constexpr int max_depth = 30;               // of atoms in atoms
constexpr int max_nesting = 3 * max_depth;  // of parentheses and signs in text: an atom's takes up to two
constexpr int bound_depth = 2;              // atoms replaced by their bounds at once

struct Unknown {};  // thrown inside this file where no result can be held

// The least int64 counts as overflow, so that every number in here has a negative.
constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();

std::int64_t add(std::int64_t a, std::int64_t b) {
  std::int64_t sum;
  if (__builtin_add_overflow(a, b, &sum) || sum == least) throw Unknown{};
  return sum;
}

std::int64_t multiply(std::int64_t a, std::int64_t b) {
  std::int64_t product;
  if (__builtin_mul_overflow(a, b, &product) || product == least) throw Unknown{};
  return product;
}

std::int64_t divide_down(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

// What an expression can be; an end that is not there is infinite.
struct Interval {
  std::optional<std::int64_t> low, high;
};

// The sum or product, or an infinite end where it does not fit.
std::optional<std::int64_t> sum(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  std::int64_t result = 0;
  if (!a || !b) return std::nullopt;
  if (__builtin_add_overflow(*a, *b, &result) || result == least) return std::nullopt;
  return result;
}

std::optional<std::int64_t> product(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
  std::int64_t result = 0;
  if (a == 0 || b == 0) return 0;
  if (!a || !b) return std::nullopt;
  if (__builtin_mul_overflow(*a, *b, &result) || result == least) return std::nullopt;
  return result;
}

Interval times(const Interval& a, const Interval& b) {
  const bool positive = a.low && b.low && *a.low >= 0 && *b.low >= 0;
  if (positive) {
    const auto low = product(a.low, b.low);
    return {low ? low : std::numeric_limits<std::int64_t>::max(), product(a.high, b.high)};
  }
  if (!a.low || !a.high || !b.low || !b.high) return {};
  const std::optional<std::int64_t> corners[] = {product(a.low, b.low), product(a.low, b.high), product(a.high, b.low),
                                                 product(a.high, b.high)};
  if (!std::all_of(std::begin(corners), std::end(corners), [](const auto& corner) { return corner.has_value(); }))
    return {};
  return {*std::min_element(std::begin(corners), std::end(corners)),
          *std::max_element(std::begin(corners), std::end(corners))};
}

Interval times(const Interval& a, std::int64_t factor) {
  Interval result{product(a.low, factor), product(a.high, factor)};
  if (factor < 0) std::swap(result.low, result.high);
  return result;
}

struct Atom;
using AtomPointer = std::shared_ptr<const Atom>;
using Monomial = std::vector<AtomPointer>;  // sorted by text

struct Term {
  Monomial atoms;  // none: the constant
  std::int64_t coefficient = 0;
};

using Terms = std::vector<Term>;  // sorted, coefficients not 0; none: zero

struct Atom {
  enum class Kind { symbol, floor_div, modulus, minimum, maximum };
  Kind kind = Kind::symbol;
  std::string name;             // a symbol's
  std::vector<Terms> operands;  // the others'
  std::string text;
  Interval range;
  int depth = 0;
};

int compare(const Monomial& a, const Monomial& b) {
  if (a.size() != b.size()) return a.size() > b.size() ? -1 : 1;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] == b[i]) continue;
    if (const int order = a[i]->text.compare(b[i]->text)) return order;
  }
  return 0;
}

bool same(const Terms& a, const Terms& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Term& left, const Term& right) {
    return left.coefficient == right.coefficient && compare(left.atoms, right.atoms) == 0;
  });
}

Terms constant_terms(std::int64_t value) {
  if (value == least) throw Unknown{};
  if (value == 0) return {};
  return {Term{{}, value}};
}

std::optional<std::int64_t> as_number(const Terms& terms) {
  if (terms.empty()) return 0;
  if (terms.size() == 1 && terms[0].atoms.empty()) return terms[0].coefficient;
  return std::nullopt;
}

std::int64_t constant_of(const Terms& terms) {
  return !terms.empty() && terms.back().atoms.empty() ? terms.back().coefficient : 0;
}

// a + factor*b
Terms add(const Terms& a, const Terms& b, std::int64_t factor = 1) {
  Terms result;
  result.reserve(a.size() + b.size());
  auto left = a.begin();
  auto right = b.begin();
  while (left != a.end() || right != b.end()) {
    const int order = left == a.end() ? 1 : right == b.end() ? -1 : compare(left->atoms, right->atoms);
    if (order < 0) {
      result.push_back(*left++);
    } else if (order > 0) {
      result.push_back({right->atoms, multiply(right->coefficient, factor)});
      ++right;
    } else {
      const std::int64_t coefficient = add(left->coefficient, multiply(right->coefficient, factor));
      if (coefficient != 0) result.push_back({left->atoms, coefficient});
      ++left;
      ++right;
    }
  }
  if (result.size() > max_terms) throw Unknown{};
  return result;
}

Terms scale(const Terms& terms, std::int64_t factor) {
  if (factor == 0) return {};
  Terms result = terms;
  for (Term& term : result) term.coefficient = multiply(term.coefficient, factor);
  return result;
}

Terms multiply(const Terms& a, const Terms& b) {
  Terms result;
  for (const Term& left : a) {
    Terms row;
    for (const Term& right : b) {
      if (left.atoms.size() + right.atoms.size() > max_degree) throw Unknown{};
      Monomial atoms;
      std::merge(left.atoms.begin(), left.atoms.end(), right.atoms.begin(), right.atoms.end(),
                 std::back_inserter(atoms),
                 [](const AtomPointer& x, const AtomPointer& y) { return x->text < y->text; });
      row.push_back({std::move(atoms), multiply(left.coefficient, right.coefficient)});
    }
    // Multiplying by one monomial keeps the order of terms.
    result = add(result, row);
  }
  return result;
}

Terms only(const AtomPointer& atom) { return {Term{{atom}, 1}}; }

// The factors of `atoms` that are left without those of `divisor`; nullopt if some are missing.
std::optional<Monomial> without(const Monomial& atoms, const Monomial& divisor) {
  Monomial rest;
  std::size_t taken = 0;
  for (const AtomPointer& atom : atoms) {
    if (taken < divisor.size() && (atom == divisor[taken] || atom->text == divisor[taken]->text)) {
      ++taken;
    } else {
      rest.push_back(atom);
    }
  }
  if (taken != divisor.size()) return std::nullopt;
  return rest;
}

// The quotient of a polynomial division that leaves nothing.
std::optional<Terms> divide_exactly(const Terms& a, const Terms& b) {
  if (b.empty()) return std::nullopt;
  Terms quotient;
  Terms rest = a;
  // Each step lowers the leading term; only hostile input takes many.
  for (int steps = 0; !rest.empty(); ++steps) {
    const auto atoms = without(rest[0].atoms, b[0].atoms);
    if (!atoms || rest[0].coefficient % b[0].coefficient != 0 || steps > 64) return std::nullopt;
    const Terms part = {Term{*atoms, divide_down(rest[0].coefficient, b[0].coefficient)}};
    quotient = add(quotient, part);
    rest = add(rest, multiply(part, b), -1);
  }
  return quotient;
}

std::int64_t content(const Terms& terms) {
  std::int64_t divisor = 0;
  for (const Term& term : terms) divisor = std::gcd(divisor, term.coefficient);
  return divisor;
}

// Atoms that every term of both has.
Monomial common_atoms(const Terms& a, const Terms& b) {
  Monomial common = a.empty() ? Monomial() : a[0].atoms;
  for (const Terms* terms : {&a, &b}) {
    for (const Term& term : *terms) {
      Monomial both;
      std::set_intersection(common.begin(), common.end(), term.atoms.begin(), term.atoms.end(),
                            std::back_inserter(both),
                            [](const AtomPointer& x, const AtomPointer& y) { return x->text < y->text; });
      common = std::move(both);
    }
  }
  return common;
}

// Bounds.

Interval range(const Terms& terms) {
  Interval total{0, 0};
  for (const Term& term : terms) {
    Interval each{1, 1};
    for (const AtomPointer& atom : term.atoms) each = times(each, atom->range);
    each = times(each, term.coefficient);
    total = {sum(total.low, each.low), sum(total.high, each.high)};
  }
  return total;
}

void raise_to(std::optional<std::int64_t>& best, std::optional<std::int64_t> other) {
  if (other && (!best || *other > *best)) best = other;
}

// A number that `terms` is never below: the sum of the bounds of terms, or better, with an atom replaced by what bounds it,
// so that it may cancel: n - n/2 >= n - n*(1/2).
std::optional<std::int64_t> lower(const Terms& terms, int depth = bound_depth) {
  std::optional<std::int64_t> best = range(terms).low;
  if (depth == 0) return best;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const Term& term = terms[i];
    if (term.atoms.size() != 1 || term.atoms[0]->kind == Atom::Kind::symbol) continue;
    const Atom& atom = *term.atoms[0];
    try {
      Terms rest = terms;
      rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(i));
      const std::int64_t factor = term.coefficient;
      const auto with = [&](const Terms& operand) { return lower(add(rest, operand, factor), depth - 1); };
      switch (atom.kind) {
        case Atom::Kind::symbol:
          break;
        case Atom::Kind::floor_div:
          if (const auto divisor = as_number(atom.operands[1])) {
            // p/k lies between (p - k + 1)/k and p/k.
            Terms bound = atom.operands[0];
            if (factor > 0) bound = add(bound, constant_terms(add(1, -*divisor)));
            if (const auto low = lower(add(scale(rest, *divisor), bound, factor), depth - 1)) {
              raise_to(best, -divide_down(multiply(*low, -1), *divisor));
            }
          }
          break;
        case Atom::Kind::modulus:
          if (factor < 0 && lower(atom.operands[0], 0).value_or(-1) >= 0) raise_to(best, with(atom.operands[0]));
          break;
        case Atom::Kind::minimum:
        case Atom::Kind::maximum:
          if ((atom.kind == Atom::Kind::minimum) == (factor < 0)) {
            // Bounded by any operand.
            for (const Terms& operand : atom.operands) raise_to(best, with(operand));
          } else {
            // One of the operands, whichever it is.
            std::optional<std::int64_t> lowest = with(atom.operands[0]);
            for (std::size_t j = 1; j < atom.operands.size() && lowest; ++j) {
              const auto low = with(atom.operands[j]);
              lowest = low ? std::optional(std::min(*low, *lowest)) : std::nullopt;
            }
            raise_to(best, lowest);
          }
          break;
      }
    } catch (const Unknown&) {
      // This way leads past int64; others may not.
    }
  }
  return best;
}

// Text.

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_part(char c) { return is_name_start(c) || is_digit(c) || c == '.'; }

bool is_plain_name(std::string_view name) {
  return !name.empty() && is_name_start(name[0]) && std::all_of(name.begin(), name.end(), is_name_part);
}

// "Conv_0_dim-1": a name with a number or word after a dash, no spaces.
bool is_dashed_name(std::string_view name) {
  const std::size_t dash = name.find('-');
  if (dash == std::string_view::npos || !is_plain_name(name.substr(0, dash))) return false;
  for (std::size_t i = dash; i < name.size(); ++i) {
    if (!is_name_part(name[i]) && (name[i] != '-' || i + 1 == name.size() || name[i + 1] == '-')) return false;
  }
  return true;
}

std::string in_backquotes(std::string_view name) {
  std::string result = "`";
  for (const char c : name) result.append(c == '`' ? 2 : 1, c);
  return result + '`';
}

std::string text_of(const Terms& terms) {
  if (terms.empty()) return "0";
  std::string result;
  for (const Term& term : terms) {
    const bool negative = term.coefficient < 0;
    if (result.empty()) {
      result = negative ? "-" : "";
    } else {
      result += negative ? " - " : " + ";
    }
    const std::int64_t absolute = negative ? -term.coefficient : term.coefficient;
    if (absolute != 1 || term.atoms.empty()) result += std::to_string(absolute);
    bool first = absolute == 1;
    for (const AtomPointer& atom : term.atoms) {
      if (!first) result += '*';
      result += atom->text;
      first = false;
    }
  }
  return result;
}

std::string in_parentheses(const Terms& terms, bool simple) {
  return simple ? text_of(terms) : '(' + text_of(terms) + ')';
}

// Atoms.

AtomPointer make_symbol(std::string_view name) {
  auto atom = std::make_shared<Atom>();
  atom->name = name;
  atom->text = is_plain_name(name) ? std::string(name) : in_backquotes(name);
  atom->range = {0, std::nullopt};
  return atom;
}

AtomPointer make_atom(Atom::Kind kind, std::vector<Terms> operands, Interval bounds) {
  auto atom = std::make_shared<Atom>();
  atom->kind = kind;
  if (kind == Atom::Kind::floor_div) {
    const Terms& divisor = operands[1];
    const bool simple =
        as_number(divisor) || (divisor.size() == 1 && divisor[0].coefficient == 1 && divisor[0].atoms.size() == 1);
    atom->text =
        "floor(" + in_parentheses(operands[0], operands[0].size() == 1) + '/' + in_parentheses(divisor, simple) + ')';
  } else {
    atom->text = kind == Atom::Kind::modulus ? "mod(" : kind == Atom::Kind::minimum ? "min(" : "max(";
    for (std::size_t i = 0; i < operands.size(); ++i) atom->text += (i ? ", " : "") + text_of(operands[i]);
    atom->text += ')';
  }
  for (const Terms& operand : operands) {
    for (const Term& term : operand) {
      for (const AtomPointer& inner : term.atoms) atom->depth = std::max(atom->depth, inner->depth + 1);
    }
  }
  if (atom->text.size() > max_text || atom->depth > max_depth) throw Unknown{};
  atom->operands = std::move(operands);
  atom->range = bounds;
  return atom;
}

// Both over what they have in common, if that leaves b > 0 for certain.
bool cancel(Terms& a, Terms& b, Terms& common) {
  common = {Term{common_atoms(a, b), std::gcd(content(a), content(b))}};
  if (common[0].coefficient == 1 && common[0].atoms.empty()) return false;
  Terms divisor = *divide_exactly(b, common);
  if (lower(divisor).value_or(0) < 1) return false;
  a = *divide_exactly(a, common);
  b = std::move(divisor);
  return true;
}

Terms rounded_down(Terms a, Terms b) {
  Terms whole;  // of the quotient, split off already
  for (;;) {
    if (const auto number = as_number(b); number && *number < 0) {
      a = scale(a, -1);
      b = scale(b, -1);
    }
    if (lower(b).value_or(0) < 1) throw Unknown{};
    if (auto exact = divide_exactly(a, b)) return add(whole, *exact);
    Terms common;
    cancel(a, b, common);
    const auto divisor = as_number(b);
    if (!divisor) {
      const auto low = lower(a);
      if (low && *low >= 0 && lower(add(b, a, -1)).value_or(0) >= 1) return whole;
      Interval bounds;
      if (low) bounds.low = *low >= 0 ? 0 : *low;
      if (const auto high = range(a).high) bounds.high = std::max<std::int64_t>(*high, -1);
      return add(whole, only(make_atom(Atom::Kind::floor_div, {a, b}, bounds)));
    }

    // Whole multiples of the divisor in coefficients; the constant ends up in [0, divisor).
    Terms rest;
    for (const Term& term : a) {
      const std::int64_t quotient =
          term.atoms.empty() ? divide_down(term.coefficient, *divisor) : term.coefficient / *divisor;
      const std::int64_t left = term.coefficient - quotient * *divisor;
      if (quotient != 0) whole = add(whole, {Term{term.atoms, quotient}});
      if (left != 0) rest.push_back({term.atoms, left});
    }
    const auto low = lower(rest);
    const auto low_of_negative = lower(scale(rest, -1));
    Interval bounds;
    if (low) bounds.low = divide_down(*low, *divisor);
    if (low_of_negative) bounds.high = divide_down(-*low_of_negative, *divisor);
    if (bounds.low && bounds.low == bounds.high) return add(whole, constant_terms(*bounds.low));

    // (x/c + r)/k = (x + c*r)/(c*k)
    bool joined = false;
    for (std::size_t i = 0; i < rest.size() && !joined; ++i) {
      if (rest[i].coefficient != 1 || rest[i].atoms.size() != 1) continue;
      const Atom& inner = *rest[i].atoms[0];
      if (inner.kind != Atom::Kind::floor_div || !as_number(inner.operands[1])) continue;
      Terms others = rest;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      a = add(inner.operands[0], scale(others, *as_number(inner.operands[1])));
      b = scale(inner.operands[1], *divisor);
      joined = true;
    }
    if (joined) continue;
    // What was split off may have left a common divisor.
    if (std::gcd(content(rest), *divisor) > 1) {
      a = std::move(rest);
      continue;
    }
    return add(whole, only(make_atom(Atom::Kind::floor_div, {std::move(rest), b}, bounds)));
  }
}

Terms remainder(Terms a, Terms b) {
  if (const auto number = as_number(b); number && *number < 0) {
    // As Python has it: the sign of the divisor.
    return scale(remainder(scale(a, -1), scale(b, -1)), -1);
  }
  if (lower(b).value_or(0) < 1) throw Unknown{};
  if (divide_exactly(a, b)) return {};
  if (Terms common; cancel(a, b, common)) return multiply(common, remainder(std::move(a), std::move(b)));
  const auto divisor = as_number(b);
  if (divisor) {
    Terms rest;
    for (const Term& term : a) {
      const std::int64_t left = term.coefficient - divide_down(term.coefficient, *divisor) * *divisor;
      if (left != 0) rest.push_back({term.atoms, left});
    }
    if (!same(rest, a)) return remainder(std::move(rest), std::move(b));
    // (c*(x % (m*k)) + r) % k = (c*x + r) % k
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i].atoms.size() != 1) continue;
      const Atom& inner = *a[i].atoms[0];
      if (inner.kind != Atom::Kind::modulus || !as_number(inner.operands[1])) continue;
      if (*as_number(inner.operands[1]) % *divisor != 0) continue;
      const std::int64_t factor = a[i].coefficient;
      a.erase(a.begin() + static_cast<std::ptrdiff_t>(i));
      return remainder(add(a, inner.operands[0], factor), std::move(b));
    }
  }
  const auto low = lower(a);
  if (low && *low >= 0 && lower(add(b, a, -1)).value_or(0) >= 1) return a;
  Interval bounds{0, std::nullopt};
  if (const auto high = range(b).high) bounds.high = *high - 1;  // high is at least 1
  if (const auto high = range(a).high; high && low && *low >= 0 && (!bounds.high || *high < *bounds.high))
    bounds.high = high;
  return only(make_atom(Atom::Kind::modulus, {std::move(a), std::move(b)}, bounds));
}

Terms rounded_up(Terms a, Terms b) {
  if (const auto number = as_number(b); number && *number < 0) {
    a = scale(a, -1);
    b = scale(b, -1);
  }
  a = add(add(a, b), constant_terms(-1));
  return rounded_down(std::move(a), std::move(b));
}

// The minimum or maximum, by kind.
Terms extremum(Atom::Kind kind, const std::vector<Terms>& given) {
  std::vector<Terms> operands;
  for (const Terms& terms : given) {
    const bool nested =
        terms.size() == 1 && terms[0].coefficient == 1 && terms[0].atoms.size() == 1 && terms[0].atoms[0]->kind == kind;
    if (nested) {
      const auto& inner = terms[0].atoms[0]->operands;
      operands.insert(operands.end(), inner.begin(), inner.end());
    } else {
      operands.push_back(terms);
    }
  }
  // Drops what another is never on the wrong side of. Of equal ones the first stays.
  const auto never_needed = [&](const Terms& a, const Terms& b) {
    try {
      const Terms difference = kind == Atom::Kind::maximum ? add(b, a, -1) : add(a, b, -1);
      return lower(difference).value_or(-1) >= 0;
    } catch (const Unknown&) {
      return false;
    }
  };
  std::vector<Terms> kept;
  for (const Terms& operand : operands) {
    if (std::any_of(kept.begin(), kept.end(), [&](const Terms& other) { return never_needed(operand, other); }))
      continue;
    std::erase_if(kept, [&](const Terms& other) { return never_needed(other, operand); });
    kept.push_back(operand);
  }
  if (kept.size() == 1) return kept[0];
  if (kept.size() > max_operands) throw Unknown{};
  std::sort(kept.begin(), kept.end(), [](const Terms& a, const Terms& b) { return text_of(a) < text_of(b); });

  // The near end of the range is bounded by every operand, the far end only if all are.
  const auto better = [&](std::int64_t a, std::int64_t b) {
    return kind == Atom::Kind::maximum ? std::max(a, b) : std::min(a, b);
  };
  std::optional<std::int64_t> near, far;
  bool far_known = true;
  for (const Terms& operand : kept) {
    const Interval each = range(operand);
    const auto& this_near = kind == Atom::Kind::maximum ? each.low : each.high;
    const auto& this_far = kind == Atom::Kind::maximum ? each.high : each.low;
    if (this_near) near = near ? better(*near, *this_near) : *this_near;
    if (!this_far) far_known = false;
    if (this_far) far = far ? better(*far, *this_far) : *this_far;
  }
  if (!far_known) far = std::nullopt;
  const Interval bounds = kind == Atom::Kind::maximum ? Interval{near, far} : Interval{far, near};
  return only(make_atom(kind, std::move(kept), bounds));
}

}  // namespace

struct Dimension::Expression {
  Terms terms;
};

struct Dimension::Algebra {
  static Terms terms(const Dimension& dimension) {
    if (dimension.known_) return constant_terms(dimension.value_);
    if (!dimension.expression_) throw Unknown{};
    return dimension.expression_->terms;
  }
  static Dimension make(Terms terms) {
    if (const auto number = as_number(terms)) return *number;
    if (terms.size() > 1 && text_of(terms).size() > max_text) throw Unknown{};
    return Dimension(std::make_shared<const Expression>(Expression{std::move(terms)}));
  }
  // f() as a dimension; unknown where there is none.
  template <typename F>
  static Dimension attempt(F&& f) {
    try {
      return make(f());
    } catch (const Unknown&) {
      return {};
    }
  }
  template <typename F>
  static Dimension combine(const Dimension& a, const Dimension& b, F&& f) {
    if (a.is_unknown() || b.is_unknown()) return {};  // common, and a throw is slow
    return attempt([&] { return f(terms(a), terms(b)); });
  }
  static void collect(const Terms& terms, std::vector<std::string>& names) {
    for (const Term& term : terms) {
      for (const AtomPointer& atom : term.atoms) {
        if (atom->kind == Atom::Kind::symbol) names.push_back(atom->name);
        for (const Terms& operand : atom->operands) collect(operand, names);
      }
    }
  }
  template <typename Lookup>
  static Terms substitute(const Terms& from, Lookup&& lookup) {
    Terms total;
    for (const Term& term : from) {
      Terms part = constant_terms(term.coefficient);
      for (const AtomPointer& atom : term.atoms) part = multiply(part, substitute(atom, lookup));
      total = add(total, part);
    }
    return total;
  }
  template <typename Lookup>
  static Terms substitute(const AtomPointer& atom, Lookup&& lookup) {
    if (atom->kind == Atom::Kind::symbol) {
      const std::optional<Dimension> value = lookup(atom->name);
      return value ? terms(*value) : only(atom);
    }
    std::vector<Terms> operands;
    for (const Terms& operand : atom->operands) operands.push_back(substitute(operand, lookup));
    switch (atom->kind) {
      case Atom::Kind::floor_div:
        return rounded_down(std::move(operands[0]), std::move(operands[1]));
      case Atom::Kind::modulus:
        return remainder(std::move(operands[0]), std::move(operands[1]));
      default:
        return extremum(atom->kind, operands);
    }
  }
};

// Recursive descent over fractions of terms; throws Unknown where the text is no expression.
struct Dimension::Parser {
  struct Fraction {
    Terms over, under = constant_terms(1);
  };

  std::string_view text;
  std::size_t at = 0;
  int nesting = 0;

  void skip_spaces() {
    while (at < text.size() && (text[at] == ' ' || text[at] == '\t')) ++at;
  }
  bool take(std::string_view token) {
    skip_spaces();
    if (text.substr(at, token.size()) != token) return false;
    at += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!take(token)) throw Unknown{};
  }

  static Terms whole(const Fraction& value) { return rounded_down(value.over, value.under); }
  static Terms integer(const Fraction& value) {
    if (as_number(value.under) != 1) throw Unknown{};
    return value.over;
  }
  static Fraction sum(const Fraction& a, const Fraction& b, std::int64_t sign) {
    if (same(a.under, b.under)) return {ir::add(a.over, b.over, sign), a.under};
    return {ir::add(ir::multiply(a.over, b.under), ir::multiply(b.over, a.under), sign),
            ir::multiply(a.under, b.under)};
  }
  static Fraction quotient(const Fraction& a, const Fraction& b) {
    Fraction result{ir::multiply(a.over, b.under), ir::multiply(a.under, b.over)};
    if (result.under.empty()) throw Unknown{};
    if (const auto number = as_number(result.under); number && *number < 0) {
      result = {scale(result.over, -1), scale(result.under, -1)};
    }
    return result;
  }

  Terms all() {
    if (text.size() > 3 * max_text) throw Unknown{};  // room for names that need quotes
    const Fraction value = expression();
    skip_spaces();
    if (at != text.size()) throw Unknown{};
    return whole(value);
  }

  Fraction expression() {
    Fraction value = product();
    for (;;) {
      if (take("+")) {
        value = sum(value, product(), 1);
      } else if (take("-")) {
        value = sum(value, product(), -1);
      } else {
        return value;
      }
    }
  }

  Fraction product() {
    Fraction value = factor();
    for (;;) {
      if (take("//")) {
        const Fraction ratio = quotient(value, factor());
        value = {whole(ratio)};
      } else if (take("/")) {
        value = quotient(value, factor());
      } else if (take("%")) {
        const Fraction divisor = factor();
        value = {remainder(integer(value), integer(divisor))};
      } else if (take("*")) {
        const Fraction other = factor();
        value = {ir::multiply(value.over, other.over), ir::multiply(value.under, other.under)};
      } else {
        return value;
      }
    }
  }

  Fraction factor() {
    if (++nesting > max_nesting) throw Unknown{};
    Fraction value;
    if (take("-")) {
      value = factor();
      value.over = scale(value.over, -1);
    } else {
      value = power();
    }
    --nesting;
    return value;
  }

  Fraction power() {
    const Fraction base = primary();
    if (!take("**")) return base;
    skip_spaces();
    const std::int64_t exponent = number();
    if (exponent > static_cast<std::int64_t>(max_degree)) throw Unknown{};
    Fraction value{constant_terms(1)};
    for (std::int64_t i = 0; i < exponent; ++i) {
      value = {ir::multiply(value.over, base.over), ir::multiply(value.under, base.under)};
    }
    return value;
  }

  std::int64_t number() {
    if (at == text.size() || !is_digit(text[at])) throw Unknown{};
    std::int64_t value = 0;
    while (at < text.size() && is_digit(text[at])) value = ir::add(ir::multiply(value, 10), text[at++] - '0');
    if (at < text.size() && is_name_part(text[at])) throw Unknown{};
    return value;
  }

  Fraction primary() {
    skip_spaces();
    if (at == text.size()) throw Unknown{};
    if (take("(")) {
      Fraction value = expression();
      expect(")");
      return value;
    }
    if (is_digit(text[at])) return {constant_terms(number())};
    if (text[at] == '`') return {only(make_symbol(backquoted()))};
    if (!is_name_start(text[at])) throw Unknown{};
    const std::size_t start = at;
    while (at < text.size() && is_name_part(text[at])) ++at;
    const std::string_view name = text.substr(start, at - start);
    if (!take("(")) return {only(make_symbol(name))};
    return call(name);
  }

  std::string backquoted() {
    std::string name;
    for (++at; at < text.size(); ++at) {
      if (text[at] == '`' && text.substr(at, 2) != "``") break;
      at += text[at] == '`';
      name += text[at];
    }
    if (at == text.size() || name.empty()) throw Unknown{};
    ++at;
    return name;
  }

  // Behind the opening parenthesis. Names as Python, SymPy and PyTorch write them.
  Fraction call(std::string_view function) {
    std::string name;
    for (const char c : function) name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    std::vector<Fraction> given;
    do {
      given.push_back(expression());
    } while (take(","));
    expect(")");
    if (name == "max" || name == "min") {
      std::vector<Terms> operands;
      for (const Fraction& each : given) operands.push_back(integer(each));
      return {extremum(name == "max" ? Atom::Kind::maximum : Atom::Kind::minimum, operands)};
    }
    if (given.size() == 1 && name == "floor") return {whole(given[0])};
    if (given.size() == 1 && (name == "ceil" || name == "ceiling")) return {rounded_up(given[0].over, given[0].under)};
    if (given.size() == 2 && name == "floordiv") return {whole(quotient(given[0], given[1]))};
    if (given.size() == 2 && name == "ceildiv") {
      const Fraction ratio = quotient(given[0], given[1]);
      return {rounded_up(ratio.over, ratio.under)};
    }
    if (given.size() == 2 && (name == "mod" || name == "pythonmod")) {
      return {remainder(integer(given[0]), integer(given[1]))};
    }
    throw Unknown{};
  }
};

Dimension Dimension::symbol(std::string_view name) {
  if (name.empty()) return {};
  return Algebra::make(only(make_symbol(name)));
}

Dimension Dimension::parse(std::string_view text) {
  if (text.empty() || text == "?") return {};
  std::int64_t number = 0;
  if (const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      error == std::errc() && end == text.data() + text.size()) {
    return number;
  }
  if (is_plain_name(text) || is_dashed_name(text)) return symbol(text);
  try {
    return Algebra::make(Parser{text}.all());
  } catch (const Unknown&) {
    return symbol(text);
  }
}

std::string Dimension::text() const {
  if (known_) return std::to_string(value_);
  if (!expression_) return "?";
  if (const auto name = symbol_name()) {
    // Alone, a name that no expression could be needs no quotes.
    const Dimension read = parse(*name);
    if (identical(read, *this)) return std::string(*name);
  }
  return text_of(expression_->terms);
}

std::optional<std::string_view> Dimension::symbol_name() const {
  if (!expression_ || expression_->terms.size() != 1) return std::nullopt;
  const Term& term = expression_->terms[0];
  if (term.coefficient != 1 || term.atoms.size() != 1 || term.atoms[0]->kind != Atom::Kind::symbol) return std::nullopt;
  return term.atoms[0]->name;
}

std::vector<std::string> Dimension::symbols() const {
  std::vector<std::string> names;
  if (expression_) Algebra::collect(expression_->terms, names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Dimension Dimension::substitute_with(std::optional<Dimension> (*lookup)(void*, std::string_view), void* context) const {
  if (!expression_) return *this;
  return Algebra::attempt([&] {
    return Algebra::substitute(expression_->terms, [&](std::string_view name) { return lookup(context, name); });
  });
}

std::optional<std::int64_t> Dimension::lower_bound() const {
  if (known_) return value_;
  return expression_ ? lower(expression_->terms) : std::nullopt;
}

bool identical(const Dimension& a, const Dimension& b) {
  if (a.known_ != b.known_ || a.value_ != b.value_) return false;
  if (a.expression_ == b.expression_) return true;
  return a.expression_ && b.expression_ && same(a.expression_->terms, b.expression_->terms);
}

bool provably_equal(const Dimension& a, const Dimension& b) { return !a.is_unknown() && identical(a, b); }

bool provably_different(const Dimension& a, const Dimension& b) {
  if (a.known_ && b.known_) return a.value_ != b.value_;
  if (a.is_unknown() || b.is_unknown()) return false;
  try {
    const Terms difference = add(Dimension::Algebra::terms(a), Dimension::Algebra::terms(b), -1);
    if (lower(difference).value_or(0) > 0 || lower(scale(difference, -1)).value_or(0) > 0) return true;
    // 2*n is never 2*m + 1.
    const std::int64_t constant = constant_of(difference);
    const std::int64_t divisor = content(add(difference, constant_terms(constant), -1));
    return divisor > 1 && constant % divisor != 0;
  } catch (const Unknown&) {
    return false;
  }
}

Dimension operator+(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return add(x, y); });
}

Dimension operator-(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return add(x, y, -1); });
}

Dimension operator*(const Dimension& a, const Dimension& b) {
  if ((a.known_ && a.value_ == 0) || (b.known_ && b.value_ == 0)) return 0;
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return multiply(x, y); });
}

Dimension floor_div(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return rounded_down(x, y); });
}

Dimension ceil_div(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return rounded_up(x, y); });
}

Dimension modulus(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) { return remainder(x, y); });
}

Dimension minimum(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) {
    return extremum(Atom::Kind::minimum, {x, y});
  });
}

Dimension maximum(const Dimension& a, const Dimension& b) {
  return Dimension::Algebra::combine(a, b, [](const Terms& x, const Terms& y) {
    return extremum(Atom::Kind::maximum, {x, y});
  });
}

std::optional<Dimension> exact_div(const Dimension& a, const Dimension& b) {
  if (a.is_unknown() || b.is_unknown()) return std::nullopt;
  try {
    const auto quotient = divide_exactly(Dimension::Algebra::terms(a), Dimension::Algebra::terms(b));
    if (quotient) return Dimension::Algebra::make(*quotient);
  } catch (const Unknown&) {
  }
  return std::nullopt;
}

// Shapes.

std::optional<std::vector<std::int64_t>> static_dims(const Shape& shape) {
  std::vector<std::int64_t> dims;
  dims.reserve(shape.size());
  for (const Dimension& dimension : shape) {
    if (!dimension.is_number()) return std::nullopt;
    dims.push_back(*dimension.number());
  }
  return dims;
}

Dimension element_count(const Shape& shape) {
  Dimension count = 1;
  for (const Dimension& dimension : shape) {
    if (dimension.number() == 0) return 0;
    count = count * dimension;
  }
  return count;
}

bool provably_same_shape(const Shape& a, const Shape& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Dimension& left, const Dimension& right) { return provably_equal(left, right); });
}

std::string text(const Shape& shape) {
  std::string result = "[";
  for (const Dimension& dimension : shape) result += (result.size() > 1 ? "," : "") + dimension.text();
  return result + ']';
}

std::string text(const std::vector<std::int64_t>& dims) {
  std::string result = "[";
  for (const std::int64_t dim : dims) result += (result.size() > 1 ? "," : "") + std::to_string(dim);
  return result + ']';
}

}  // namespace hone::ir
