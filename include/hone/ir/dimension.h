// Dimensions as integer expressions over named symbols.
//
// A dimension is a number, an expression such as "batch*12" or "(height + 1)/2", or unknown. Expressions are kept in
// a canonical form (a polynomial over atoms; an atom is a symbol or a floor division, modulus, minimum or maximum of
// polynomials), so that n + n and 2*n are one. Symbols stand for integers >= 0.
//
// Left unknown: what would overflow int64, or would grow past 16 terms.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hone::ir {

class Dimension {
 public:
  Dimension() = default;                                 // unknown
  Dimension(std::int64_t value) : known_(true), value_(value) {}  // NOLINT: implicit by design
  static Dimension symbol(std::string_view name);
  // Reads a dim_param: an arithmetic expression of names and integers with + - * / // % ( ) floor ceil max min, or else
  // any other text as one symbol. Empty text is unknown.
  static Dimension parse(std::string_view text);

  bool is_unknown() const { return !known_ && !expression_; }
  bool is_number() const { return known_; }
  std::optional<std::int64_t> number() const { return known_ ? std::optional(value_) : std::nullopt; }
  // A number, or the expression as text ("2*batch"); "?" when unknown. parse(text()) is the same dimension.
  std::string text() const;
  // The name, if this is one plain symbol.
  std::optional<std::string_view> symbol_name() const;
  // Every symbol in the expression.
  std::vector<std::string> symbols() const;
  // Numbers for symbols by name; symbols without one stay.
  template <typename Lookup>  // std::optional<Dimension>(std::string_view)
  Dimension substitute(Lookup&& lookup) const;

  // The least value it can take, given symbols >= 0; nullopt when there is none.
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
  friend Dimension floor_div(const Dimension& a, const Dimension& b);  // unknown if b may be 0
  friend Dimension ceil_div(const Dimension& a, const Dimension& b);
  friend Dimension modulus(const Dimension& a, const Dimension& b);
  friend Dimension minimum(const Dimension& a, const Dimension& b);
  friend Dimension maximum(const Dimension& a, const Dimension& b);
  // a / b when b divides a for all values of the symbols (b a number != 0, a single symbol, or a monomial); else nullopt.
  // A symbol b counts as nonzero: where it is 0, the shape it came from has no elements.
  friend std::optional<Dimension> exact_div(const Dimension& a, const Dimension& b);

 private:
  struct Expression;
  using Pointer = std::shared_ptr<const Expression>;
  struct Algebra;  // the canonical form lives in dimension.cpp
  explicit Dimension(Pointer expression) : expression_(std::move(expression)) {}
  Dimension substitute_with(const std::optional<Dimension> (*lookup)(void*, std::string_view), void* context) const;

  bool known_ = false;
  std::int64_t value_ = 0;
  Pointer expression_;  // null: a number or unknown
};

template <typename Lookup>
Dimension Dimension::substitute(Lookup&& lookup) const {
  return substitute_with(
      [](void* context, std::string_view name) -> const std::optional<Dimension> {
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
