#pragma once

#include "optim/kernels/device_step.h"

#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

/// What the device kernels of the optimizers share.
namespace batchscope::optim::kernels {

constexpr int kThreads = 256;

/// Sum over the block, in a fixed order; valid in thread 0.
__device__ inline double block_sum(double value) {
  __shared__ double part[kThreads / 32];
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_down_sync(0xffffffffU, value, offset);
  }
  __syncthreads();  // of a sum before
  if (threadIdx.x % 32 == 0) {
    part[threadIdx.x / 32] = value;
  }
  __syncthreads();
  double sum = 0;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kThreads / 32; ++i) {
      sum += part[i];
    }
  }
  return sum;
}

template <typename T>
__device__ T read(const void* memory, GradType type, std::int64_t i) {
  switch (type) {
    case GradType::kFloat32:
      return static_cast<T>(static_cast<const float*>(memory)[i]);
    case GradType::kFloat64:
      return static_cast<T>(static_cast<const double*>(memory)[i]);
    case GradType::kFloat16:
      return static_cast<T>(__half2float(static_cast<const __half*>(memory)[i]));
    default:
      return static_cast<T>(__bfloat162float(static_cast<const __nv_bfloat16*>(memory)[i]));
  }
}

__device__ inline void write(void* memory, GradType type, std::int64_t i, double value) {
  switch (type) {
    case GradType::kFloat32:
      static_cast<float*>(memory)[i] = static_cast<float>(value);
      return;
    case GradType::kFloat64:
      static_cast<double*>(memory)[i] = value;
      return;
    case GradType::kFloat16:
      static_cast<__half*>(memory)[i] = __float2half(static_cast<float>(value));
      return;
    default:
      static_cast<__nv_bfloat16*>(memory)[i] = __float2bfloat16(static_cast<float>(value));
  }
}

inline void check(const char* what) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) {
    throw std::runtime_error(std::string("optimizer: ") + what + ": " + cudaGetErrorString(error));
  }
}

}  // namespace batchscope::optim::kernels
