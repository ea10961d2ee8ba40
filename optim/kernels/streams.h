#pragma once

#include <cstdint>

/// In-place passes over arrays of float32 on all threads, with as good as no arithmetic: the limit
/// that the kernels are measured against (named by the bytes that they move per element).
namespace batchscope::optim::kernels {

/// Reads a and b; returns their product, so that nothing is left out.
double stream_8(const float* a, const float* b, std::int64_t n);
/// Reads a and b, writes b.
void stream_12(const float* a, float* b, std::int64_t n);
/// Reads a, b, c, writes b, c: SGD with momentum.
void stream_20(const float* a, float* b, float* c, std::int64_t n);
/// Reads a, b, c, d, writes b, c, d: Adam.
void stream_28(const float* a, float* b, float* c, float* d, std::int64_t n);

}  // namespace batchscope::optim::kernels
