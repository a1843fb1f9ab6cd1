// How far two models' outputs lie apart, gathered batch by batch.
//
// The first is the reference. NaN against NaN is equal, as is an infinity against the same one; anything else against
// either is a mismatch, which no tolerance allows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hone/ir/tensor.h"

namespace hone::metrics {

class OutputComparison {
 public:
  explicit OutputComparison(std::string name) : name_(std::move(name)) {}

  // Raises bad_input when shapes differ, or one is text and the other is not. `rows`: how many of the first dimension
  // count (the rest fill a fixed batch); negative: all.
  void add(const ir::Tensor& reference, const ir::Tensor& other, std::int64_t rows = -1);
  void merge(const OutputComparison& other);

  const std::string& name() const { return name_; }
  std::int64_t elements() const { return elements_; }
  std::int64_t different() const { return different_; }    // not the same bits (0 and -0 are the same)
  std::int64_t mismatches() const { return mismatches_; }  // NaN, infinity or text against something else
  std::int64_t nans() const { return nans_; }              // in the other one
  double max_abs() const;                                  // the largest |a - b|; infinity where there is a mismatch
  double mean_abs() const;                                 // of finite differences
  double max_reference() const { return max_reference_; }  // the largest finite |a|
  double max_rel() const;  // max_abs / max |a|: the least tolerance t under which |a - b| <= t max |a| everywhere
  double cosine() const;   // 1 where both are all 0
  double sqnr() const;     // 10 log10 (sum a^2 / sum (a - b)^2) in dB; infinity where nothing differs
  // Rows of rank 2 or more whose largest entry along the last dimension is at the same place (the first of equals).
  std::int64_t rows() const { return rows_; }
  double agreement() const;  // share of them; NaN without such rows

  // |a - b| <= absolute + relative |a| everywhere; what Polygraphy and NumPy call atol and rtol.
  double least_absolute() const { return max_abs(); }  // that would pass alone
  double least_relative() const { return mismatches_ > 0 ? infinity() : max_element_rel_; }

 private:
  static double infinity();

  std::string name_;
  std::int64_t elements_ = 0, different_ = 0, mismatches_ = 0, nans_ = 0, rows_ = 0, agreed_ = 0;
  double max_abs_ = 0, max_reference_ = 0, max_element_rel_ = 0;
  double sum_abs_ = 0, sum_squares_ = 0, sum_dot_ = 0, sum_reference_ = 0, sum_other_ = 0;
};

}  // namespace hone::metrics
