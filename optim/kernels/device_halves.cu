#include "optim/kernels/device_block.cuh"
#include "optim/kernels/device_step.h"

namespace batchscope::optim::kernels {

namespace {

/// Products of the halves of one block, and their mean.
__global__ void half_kernel(DeviceHalfMemory memory) {
  const DeviceBlock block = memory.blocks[blockIdx.x];
  const DeviceHalfPiece& p = memory.pieces[block.piece];
  double d12 = 0, d11 = 0, d22 = 0, square = 0;
  for (std::int64_t i = block.begin + threadIdx.x; i < block.begin + block.length; i += kThreads) {
    const auto x = read<double>(p.a, p.grad, i), y = read<double>(p.b, p.grad, i);
    d12 += x * y;
    d11 += x * x;
    d22 += y * y;
    if (p.mean != nullptr) {
      write(p.mean, p.grad, i, x + memory.weight * (y - x));
      const auto value = read<double>(p.mean, p.grad, i);
      square += value * value;
    }
  }
  double* const to = memory.partial + 4 * static_cast<std::int64_t>(blockIdx.x);
  const double sums[4] = {block_sum(d12), block_sum(d11), block_sum(d22), block_sum(square)};
  for (int j = 0; j < 4 && threadIdx.x == 0; ++j) {
    to[j] = sums[j];
  }
}

__global__ void half_sums_kernel(DeviceHalfMemory memory) {
  const int k = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (k >= memory.count) {
    return;
  }
  for (int j = 0; j < 4; ++j) {
    double sum = 0;
    for (int b = memory.first_block[k]; b < memory.first_block[k + 1]; ++b) {
      sum += memory.partial[4 * b + j];
    }
    memory.sums[4 * k + j] = sum;
  }
}

}  // namespace

void launch_device_halves(const DeviceHalfMemory& memory, int index) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(index));
  const cudaStream_t stream = c10::cuda::getCurrentCUDAStream().stream();
  if (memory.block_count > 0) {
    half_kernel<<<static_cast<unsigned>(memory.block_count), kThreads, 0, stream>>>(memory);
  }
  if (memory.count > 0) {
    const int tensors = (memory.count + kThreads - 1) / kThreads;
    half_sums_kernel<<<static_cast<unsigned>(tensors), kThreads, 0, stream>>>(memory);
  }
  check("the kernels of the gradient halves could not be launched");
}

}  // namespace batchscope::optim::kernels
