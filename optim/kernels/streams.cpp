#include "optim/kernels/streams.h"

#include "cmake/torch/threads.h"

#include <atomic>

namespace batchscope::optim::kernels {

namespace {

constexpr std::int64_t kChunk = 65536;
constexpr float kTiny = 1e-9F;

/// Calls body(begin, end) for chunks, an even share of them in a row on each thread.
template <typename F>
void chunks(std::int64_t n, const F& body) {
  const std::int64_t count = (n + kChunk - 1) / kChunk;
  threads::team(omp_get_max_threads(), [&] {
    const std::int64_t mine = omp_get_thread_num(), threads = omp_get_num_threads();
    for (std::int64_t i = count * mine / threads; i < count * (mine + 1) / threads; ++i) {
      const std::int64_t begin = i * kChunk;
      body(begin, begin + kChunk < n ? begin + kChunk : n);
    }
  });
}

// The loops stand in functions of their own: inside of a lambda they would not be vectorised.
float dot(const float* a, const float* b, std::int64_t begin, std::int64_t end) {
  // Four places at a time: one sum would wait for its own last addition.
  const std::int64_t quarter = (end - begin) / 4;
  const float *a0 = a + begin, *b0 = b + begin;
  const float *a1 = a0 + quarter, *b1 = b0 + quarter;
  const float *a2 = a1 + quarter, *b2 = b1 + quarter;
  const float *a3 = a2 + quarter, *b3 = b2 + quarter;
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3)
  for (std::int64_t i = 0; i < quarter; ++i) {
    s0 += a0[i] * b0[i];
    s1 += a1[i] * b1[i];
    s2 += a2[i] * b2[i];
    s3 += a3[i] * b3[i];
  }
  for (std::int64_t i = begin + 4 * quarter; i < end; ++i) {
    s0 += a[i] * b[i];
  }
  return s0 + s1 + s2 + s3;
}

void add_one(const float* a, float* b, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    b[i] += kTiny * a[i];
  }
}

void add_two(const float* a, float* b, float* c, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    b[i] += kTiny * a[i];
    c[i] += kTiny * a[i];
  }
}

void add_three(const float* a, float* b, float* c, float* d, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    b[i] += kTiny * a[i];
    c[i] += kTiny * a[i];
    d[i] += kTiny * a[i];
  }
}

}  // namespace

double stream_8(const float* a, const float* b, std::int64_t n) {
  std::atomic<double> sum = 0;
  chunks(n, [&](std::int64_t begin, std::int64_t end) {
    sum += static_cast<double>(dot(a, b, begin, end));
  });
  return sum;
}

void stream_12(const float* a, float* b, std::int64_t n) {
  chunks(n, [&](std::int64_t begin, std::int64_t end) { add_one(a, b, begin, end); });
}

void stream_20(const float* a, float* b, float* c, std::int64_t n) {
  chunks(n, [&](std::int64_t begin, std::int64_t end) { add_two(a, b, c, begin, end); });
}

void stream_28(const float* a, float* b, float* c, float* d, std::int64_t n) {
  chunks(n, [&](std::int64_t begin, std::int64_t end) { add_three(a, b, c, d, begin, end); });
}

}  // namespace batchscope::optim::kernels
