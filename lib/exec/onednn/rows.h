// Functions of whole rows on AVX2: softmax, and normalization by a row's own moments. Nothing is planned for a length. Each row
// is computed alone, in an order that its length decides; rows may be written over.
//
// Only where has_avx2() says so.
#pragma once

#include <cstdint>

namespace hone::exec::onednn {

// e^x over the sum of e^x; or the logarithm of that.
void softmax_rows(const float* from, std::int64_t rows, std::int64_t length, bool logarithms, float* to);
void softmax_row(const float* from, std::int64_t length, bool logarithms, float* to);  // on this thread

struct RowNormalization {
  std::int64_t length = 0;
  float epsilon = 0;
  bool centered = true;          // around the mean; or by the root of the mean square alone
  const float* scale = nullptr;  // of `length`
  const float* shift = nullptr;  // or null
};
void normalize_rows(const RowNormalization& how, const float* from, std::int64_t rows, float* to);

// What is added to rows before: row r takes row r % skip_rows of `skip`, and the bias.
struct RowSum {
  const float* skip = nullptr;
  std::int64_t skip_rows = 1;
  const float* bias = nullptr;  // or null
  float* sums = nullptr;        // where they are asked for, or null
};
void normalize_sums(const RowNormalization& how, const RowSum& added, const float* from, std::int64_t rows, float* to);

}  // namespace hone::exec::onednn
