// Differences of outputs, element by element. Sums are taken row by row in double, so that they don't depend on threads.
#include "hone/metrics/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hone/ir/dimension.h"
#include "hone/support/error.h"

namespace hone::metrics {
namespace {

// Position of the largest; NaN counts as larger than all, as in NumPy's argmax.
std::size_t largest(const double* values, std::size_t count) {
  std::size_t best = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (std::isnan(values[i])) return i;
    if (values[i] > values[best]) best = i;
  }
  return best;
}

}  // namespace

double OutputComparison::infinity() { return std::numeric_limits<double>::infinity(); }

void OutputComparison::add(const ir::Tensor& reference, const ir::Tensor& other, std::int64_t rows) {
  if (reference.dims() != other.dims() || reference.is_string() != other.is_string()) {
    bad_input("output {}: {}{} in one model, {}{} in the other", quote(name_), ir::name(reference.type()),
              ir::text(reference.dims()), ir::name(other.type()), ir::text(other.dims()));
  }
  std::int64_t count = reference.element_count();
  if (rows >= 0 && !reference.dims().empty() && rows < reference.dims()[0]) count = count / reference.dims()[0] * rows;
  const auto used = static_cast<std::size_t>(count);
  elements_ += count;
  if (reference.is_string()) {
    for (std::size_t i = 0; i < used; ++i) {
      const bool same = (*reference.string_values())[i] == (*other.string_values())[i];
      different_ += !same;
      mismatches_ += !same;
    }
    return;
  }
  const std::vector<double> a = reference.to_doubles(), b = other.to_doubles();
  const std::size_t width = reference.rank() >= 2 ? static_cast<std::size_t>(reference.dims().back()) : 0;
  for (std::size_t i = 0; i < used; ++i) {
    nans_ += std::isnan(b[i]);
    if (a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i]))) {
      if (!std::isfinite(a[i])) continue;
    } else {
      ++different_;
      if (!std::isfinite(a[i]) || !std::isfinite(b[i])) {
        ++mismatches_;
        continue;
      }
    }
    const double difference = std::abs(a[i] - b[i]), size = std::abs(a[i]);
    max_abs_ = std::max(max_abs_, difference);
    max_reference_ = std::max(max_reference_, size);
    if (difference > 0) max_element_rel_ = std::max(max_element_rel_, size > 0 ? difference / size : infinity());
    sum_abs_ += difference;
    sum_squares_ += difference * difference;
    sum_dot_ += a[i] * b[i];
    sum_reference_ += a[i] * a[i];
    sum_other_ += b[i] * b[i];
  }
  for (std::size_t i = 0; width > 0 && i + width <= used; i += width) {
    ++rows_;
    agreed_ += largest(&a[i], width) == largest(&b[i], width);
  }
}

void OutputComparison::merge(const OutputComparison& other) {
  elements_ += other.elements_;
  different_ += other.different_;
  mismatches_ += other.mismatches_;
  nans_ += other.nans_;
  rows_ += other.rows_;
  agreed_ += other.agreed_;
  max_abs_ = std::max(max_abs_, other.max_abs_);
  max_reference_ = std::max(max_reference_, other.max_reference_);
  max_element_rel_ = std::max(max_element_rel_, other.max_element_rel_);
  sum_abs_ += other.sum_abs_;
  sum_squares_ += other.sum_squares_;
  sum_dot_ += other.sum_dot_;
  sum_reference_ += other.sum_reference_;
  sum_other_ += other.sum_other_;
}

double OutputComparison::max_abs() const { return mismatches_ > 0 ? infinity() : max_abs_; }

double OutputComparison::mean_abs() const {
  const std::int64_t finite = elements_ - mismatches_;
  return finite == 0 ? 0 : sum_abs_ / static_cast<double>(finite);
}

double OutputComparison::max_rel() const {
  if (max_abs() == 0) return 0;
  return max_reference_ == 0 ? infinity() : max_abs() / max_reference_;
}

double OutputComparison::cosine() const {
  if (sum_reference_ == 0 && sum_other_ == 0) return 1;
  if (sum_reference_ == 0 || sum_other_ == 0) return 0;
  return sum_dot_ / std::sqrt(sum_reference_) / std::sqrt(sum_other_);
}

double OutputComparison::sqnr() const {
  if (mismatches_ > 0) return -infinity();
  if (sum_squares_ == 0) return infinity();
  return 10 * std::log10(sum_reference_ / sum_squares_);
}

double OutputComparison::agreement() const {
  return rows_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(agreed_) / static_cast<double>(rows_);
}

}  // namespace hone::metrics
