// Dimensions as integer expressions over named symbols.
//
// A dimension is a number, an expression such as "12*batch" or "floor((height + 1)/2)", or unknown. Expressions are kept
// in a canonical form (a polynomial over atoms; an atom is a symbol or a floor division, modulus, minimum or maximum of
// polynomials), so that n + n and 2*n are one. Symbols stand for integers >= 0.
//
// Left unknown: what would overflow int64, or would grow past 16 terms or 1,000 characters.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace hone::ir {

class Dimension {
 public:
  Dimension() = default;                                          // unknown
  Dimension(std::int64_t value) : known_(true), value_(value) {}  // NOLINT: implicit by design
  static Dimension symbol(std::string_view name);
  // Reads a dim_param: an arithmetic expression of names and integers with + - * / // % ** ( ) floor ceil max min mod, or
  // else any other text as one symbol. As in SymPy, / is exact ("floor(n/2 + 1/2)"); what is not under a floor or ceil
  // is rounded down. Names may have dots, and others stand in backquotes; "name-1" without spaces is one name, since
  // exporters number their unknown dimensions like that. Empty text and "?" are unknown.
  static Dimension parse(std::string_view text);

  bool is_unknown() const { return !known_ && !expression_; }
  bool is_number() const { return known_; }
  std::optional<std::int64_t> number() const { return known_ ? std::optional(value_) : std::nullopt; }
  // A number, or the expression as text ("2*batch + 1"); "?" when unknown. parse(text()) is the same dimension.
  std::string text() const;
  // The name, if this is one plain symbol.
  std::optional<std::string_view> symbol_name() const;
  // Every symbol in the expression.
  std::vector<std::string> symbols() const;
  // Numbers for symbols by name; symbols without one stay.
  template <typename Lookup>  // std::optional<Dimension>(std::string_view)
  Dimension substitute(Lookup&& lookup) const;

  // A number it is never below, given symbols >= 0, the best that simple reasoning finds; nullopt when that finds none.
  std::optional<std::int64_t> lower_bound() const;

  // True only when both are known to be the same; an unknown is not the same as itself.
  friend bool provably_equal(const Dimension& a, const Dimension& b);
  // True only when they can't be the same for any values of the symbols.
  friend bool provably_different(const Dimension& a, const Dimension& b);
  // Same representation: unknown is identical to unknown. For containers and tests.
  friend bool identical(const Dimension& a, const Dimension& b);

  friend Dimension operator+(const Dimension& a, const Dimension& b);
  friend Dimension operator-(const Dimension& a, const Dimension& b);
  friend Dimension operator*(const Dimension& a, const Dimension& b);
  // Rounded down, as Python's // (and % for the modulus); unknown if b may be 0, or negative and not a number.
  friend Dimension floor_div(const Dimension& a, const Dimension& b);
  friend Dimension ceil_div(const Dimension& a, const Dimension& b);
  friend Dimension modulus(const Dimension& a, const Dimension& b);
  friend Dimension minimum(const Dimension& a, const Dimension& b);
  friend Dimension maximum(const Dimension& a, const Dimension& b);
  // a / b when b divides a as a polynomial; else nullopt. A number b must not be 0; any other counts as nonzero: where it
  // is 0, the shape it came from has no elements.
  friend std::optional<Dimension> exact_div(const Dimension& a, const Dimension& b);

 private:
  struct Expression;
  using Pointer = std::shared_ptr<const Expression>;
  struct Algebra;  // the canonical form lives in dimension.cpp
  struct Parser;
  explicit Dimension(Pointer expression) : expression_(std::move(expression)) {}
  Dimension substitute_with(std::optional<Dimension> (*lookup)(void*, std::string_view), void* context) const;

  bool known_ = false;
  std::int64_t value_ = 0;
  Pointer expression_;  // null: a number or unknown
};

// Named here too, so that calls with plain numbers find them.
bool provably_equal(const Dimension& a, const Dimension& b);
bool provably_different(const Dimension& a, const Dimension& b);
bool identical(const Dimension& a, const Dimension& b);
Dimension floor_div(const Dimension& a, const Dimension& b);
Dimension ceil_div(const Dimension& a, const Dimension& b);
Dimension modulus(const Dimension& a, const Dimension& b);
Dimension minimum(const Dimension& a, const Dimension& b);
Dimension maximum(const Dimension& a, const Dimension& b);
std::optional<Dimension> exact_div(const Dimension& a, const Dimension& b);

template <typename Lookup>
Dimension Dimension::substitute(Lookup&& lookup) const {
  return substitute_with(
      [](void* context, std::string_view name) -> std::optional<Dimension> {
        return (*static_cast<std::remove_reference_t<Lookup>*>(context))(name);
      },
      const_cast<void*>(static_cast<const void*>(&lookup)));
}

using Shape = std::vector<Dimension>;

// Numbers for all dimensions, or nullopt.
std::optional<std::vector<std::int64_t>> static_dims(const Shape& shape);
Dimension element_count(const Shape& shape);
bool provably_same_shape(const Shape& a, const Shape& b);
std::string text(const Shape& shape);  // "[batch,3,224,224]"
std::string text(const std::vector<std::int64_t>& dims);

}  // namespace hone::ir
