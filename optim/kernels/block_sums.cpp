#include "optim/kernels/block_kernels.h"
#include "optim/kernels/plain_sums.h"

namespace batchscope::optim::kernels {

namespace {

/// Products are added in float32 lanes over stretches, sums of stretches in float64. Where nothing
/// is written, four places of a stretch are walked side by side: more of the memory is under way.
constexpr std::int64_t kPlaces = 4;
constexpr std::int64_t kReadRun = 4096, kStretch = kPlaces * kReadRun;
/// Where the mean is written over a, the old a of a stretch is kept in the nearest cache.
constexpr std::int64_t kWriteRun = 1024;
constexpr int kWide = 8;

using Wide = float __attribute__((vector_size(kWide * sizeof(float))));
using WideDouble = double __attribute__((vector_size(kWide * sizeof(double))));

void load(const float* x, Wide& to) {
  __builtin_memcpy(&to, x, sizeof to);
}
void store(const Wide& x, float* to) {
  __builtin_memcpy(to, &x, sizeof x);
}
void add(const Wide& part, WideDouble& sum) {
  sum += __builtin_convertvector(part, WideDouble);
}
double sum_of(const WideDouble& x) {
  return ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]));
}

double squares_stretch(const float* x) {
  Wide part[kPlaces] = {};
  for (std::int64_t i = 0; i < kReadRun; i += kWide) {
    for (std::int64_t k = 0; k < kPlaces; ++k) {
      Wide value;
      load(x + k * kReadRun + i, value);
      part[k] += value * value;
    }
  }
  WideDouble sum = {};
  for (const Wide& run : part) {
    add(run, sum);
  }
  return sum_of(sum);
}

/// mean = a + weight·(b - a), with the two forms of lerp.
template <bool kWrite, typename T>
void half_plain(const T* a, const T* b, T* mean, std::int64_t n, T weight, HalfSums& sums) {
  const bool late = !(weight < T(0.5));
  const T rest = T(1) - weight;
  double d12 = 0, d11 = 0, d22 = 0, square = 0;
#pragma omp simd reduction(+ : d12, d11, d22, square)
  for (std::int64_t i = 0; i < n; ++i) {
    const T x = a[i], y = b[i];
    const auto p = static_cast<double>(x), q = static_cast<double>(y);
    d12 += p * q;
    d11 += p * p;
    d22 += q * q;
    if (kWrite) {
      const T value = late ? y - (y - x) * rest : x + weight * (y - x);
      mean[i] = value;
      square += static_cast<double>(value) * static_cast<double>(value);
    }
  }
  sums.d12 += d12;
  sums.d11 += d11;
  sums.d22 += d22;
  sums.mean += square;
}

/// Where the mean of a stretch goes, and lerp's form of it (kLate: for weights from 1/2 on, where
/// `weight` is that of a). `saved` keeps a, which the mean may replace.
struct MeanTarget {
  float* mean = nullptr;
  float* saved = nullptr;
  float weight = 0;
};

template <bool kWrite>
constexpr std::int64_t kPlacesOf = kWrite ? 1 : kPlaces;
template <bool kWrite>
constexpr std::int64_t kRunOf = kWrite ? kWriteRun : kReadRun;
template <bool kWrite>
constexpr std::int64_t kStretchOf = kPlacesOf<kWrite>* kRunOf<kWrite>;

template <bool kWrite, bool kLate>
HalfSums half_stretch(const float* a, const float* b, const MeanTarget& target) {
  constexpr std::int64_t kSide = kPlacesOf<kWrite>, kRun = kRunOf<kWrite>;
  Wide p12[kSide] = {}, p11[kSide] = {}, p22[kSide] = {}, pm[kSide] = {};
  for (std::int64_t i = 0; i < kRun; i += kWide) {
    for (std::int64_t k = 0; k < kSide; ++k) {
      const std::int64_t j = i + k * kRun;
      Wide x, y;
      load(a + j, x);
      load(b + j, y);
      p12[k] += x * y;
      p11[k] += x * x;
      p22[k] += y * y;
      if (kWrite) {
        const Wide value = kLate ? y - (y - x) * target.weight : x + target.weight * (y - x);
        store(x, target.saved + j);
        store(value, target.mean + j);
        pm[k] += value * value;
      }
    }
  }
  WideDouble d12 = {}, d11 = {}, d22 = {}, square = {};
  for (std::int64_t k = 0; k < kSide; ++k) {
    add(p12[k], d12);
    add(p11[k], d11);
    add(p22[k], d22);
    add(pm[k], square);
  }
  return {sum_of(d12), sum_of(d11), sum_of(d22), sum_of(square)};
}

template <bool kWrite>
HalfSums half_stretch(const float* a, const float* b, float* mean, float weight) {
  constexpr std::int64_t kCount = kStretchOf<kWrite>;
  alignas(64) float saved[kWrite ? kCount : 1];
  const bool late = !(weight < 0.5F);
  const MeanTarget target = {mean, saved, late ? 1.0F - weight : weight};
  HalfSums sums =
      late ? half_stretch<kWrite, true>(a, b, target) : half_stretch<kWrite, false>(a, b, target);
  if (!trustworthy(sums.d11) || !trustworthy(sums.d22)) {
    const double square = sums.mean;
    sums = {};
    half_plain<false, float>(kWrite ? saved : a, b, nullptr, kCount, weight, sums);
    sums.mean = square;
  }
  if (kWrite && !trustworthy(sums.mean)) {
    sums.mean = squares_plain(mean, kCount);
  }
  return sums;
}

double squares_any(const double* x, std::int64_t n) {
  return squares_plain(x, n);
}
double squares_any(const float* x, std::int64_t n) {
  double sum = 0;
  std::int64_t i = 0;
  for (; i + kStretch <= n; i += kStretch) {
    const double stretch = squares_stretch(x + i);
    sum += trustworthy(stretch) ? stretch : squares_plain(x + i, kStretch);
  }
  return sum + squares_plain(x + i, n - i);
}

template <bool kWrite>
void half_any(const HalfBlock<double>& block, double weight, HalfSums& sums) {
  half_plain<kWrite>(block.a, block.b, block.mean, block.n, weight, sums);
}
template <bool kWrite>
void half_any(const HalfBlock<float>& block, double weight, HalfSums& sums) {
  const auto share = static_cast<float>(weight);
  std::int64_t i = 0;
  for (; i + kStretchOf<kWrite> <= block.n; i += kStretchOf<kWrite>) {
    const HalfSums part =
        half_stretch<kWrite>(block.a + i, block.b + i, kWrite ? block.mean + i : nullptr, share);
    sums.d12 += part.d12;
    sums.d11 += part.d11;
    sums.d22 += part.d22;
    sums.mean += part.mean;
  }
  float* const mean = kWrite ? block.mean + i : nullptr;
  half_plain<kWrite>(block.a + i, block.b + i, mean, block.n - i, share, sums);
}

}  // namespace

template <typename T>
double squares_block(const T* x, std::int64_t n) {
  return squares_any(x, n);
}

template <typename T>
void half_block(const HalfBlock<T>& block, double weight, HalfSums& sums) {
  block.mean != nullptr ? half_any<true>(block, weight, sums)
                        : half_any<false>(block, weight, sums);
}

template <typename T>
void preconditioned_half_block(const HalfBlock<T>& block,
                               const math::Preconditioner<T>& preconditioner,
                               HalfSums& sums) {
  const math::Preconditioner<T> c = preconditioner;
  const T *const a = block.a, *const b = block.b, *const v = block.v;
  const std::int64_t n = block.n;
  double d12 = 0, d11 = 0, d22 = 0;
#pragma omp simd reduction(+ : d12, d11, d22)
  for (std::int64_t i = 0; i < n; ++i) {
    const auto p = static_cast<double>(math::preconditioned(a[i], v[i], c));
    const auto q = static_cast<double>(math::preconditioned(b[i], v[i], c));
    d12 += p * q;
    d11 += p * p;
    d22 += q * q;
  }
  sums.d12 += d12;
  sums.d11 += d11;
  sums.d22 += d22;
}

#define BATCHSCOPE_BLOCKS(T)                                           \
  template double squares_block<T>(const T*, std::int64_t);            \
  template void half_block<T>(const HalfBlock<T>&, double, HalfSums&); \
  template void preconditioned_half_block<T>(                          \
      const HalfBlock<T>&, const math::Preconditioner<T>&, HalfSums&)
BATCHSCOPE_BLOCKS(float);
BATCHSCOPE_BLOCKS(double);
#undef BATCHSCOPE_BLOCKS

}  // namespace batchscope::optim::kernels
