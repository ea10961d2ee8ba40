#pragma once

#include <cstdint>

/// What the sums of block_kernels.cpp and block_sums.cpp share; for files built for BATCHSCOPE_ISA.
namespace batchscope::optim::kernels {

/// Whether a sum of squares that was taken in float32 is within a range in which no term was lost
/// to under- or overflow; if not, it is to be taken again in float64.
inline bool trustworthy(double sum) {
  return sum >= 1e-26 && sum <= 1e37;
}

/// Sum of squares in float64.
template <typename T>
static double squares_plain(const T* x, std::int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  return sum;
}

}  // namespace batchscope::optim::kernels
