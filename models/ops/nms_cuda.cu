#include "models/ops/device_ops.h"

#include <ATen/Dispatch.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

#include <algorithm>
#include <vector>

namespace batchscope::models::device_ops {
namespace {

constexpr int kTile = 64;  // boxes per block, and bits per word of the mask

template <typename Scalar>
__device__ bool overlaps(const Scalar* a, const Scalar* b, double threshold) {
  const Scalar width = max(min(a[2], b[2]) - max(a[0], b[0]), Scalar(0));
  const Scalar height = max(min(a[3], b[3]) - max(a[1], b[1]), Scalar(0));
  const Scalar inter = width * height;
  const Scalar area_a = (a[2] - a[0]) * (a[3] - a[1]);
  const Scalar area_b = (b[2] - b[0]) * (b[3] - b[1]);
  return static_cast<double>(inter / (area_a + area_b - inter)) > threshold;
}

/// Block (column, row) compares 64 boxes with 64 later ones: bit j of mask[i][column] says that box
/// i drops box 64 · column + j.
template <typename Scalar>
__global__ void mark_overlaps(const Scalar* boxes,
                              const std::int64_t* groups,
                              int count,
                              double threshold,
                              unsigned long long* mask) {
  const int row = static_cast<int>(blockIdx.y), column = static_cast<int>(blockIdx.x);
  const int i = row * kTile + static_cast<int>(threadIdx.x);
  if (column < row || i >= count) {
    return;
  }
  unsigned long long bits = 0;
  const int first = column * kTile;
  const int last = min(first + kTile, count);
  for (int j = max(first, i + 1); j < last; ++j) {
    if ((groups == nullptr || groups[i] == groups[j]) &&
        overlaps(boxes + 4 * i, boxes + 4 * j, threshold)) {
      bits |= 1ULL << (j - first);
    }
  }
  mask[static_cast<std::int64_t>(i) * gridDim.x + column] = bits;
}

}  // namespace

torch::Tensor nms_cuda(const torch::Tensor& boxes,
                       const torch::Tensor& groups,
                       double iou_threshold) {
  const c10::cuda::CUDAGuard device(boxes.device());
  const auto count = static_cast<int>(boxes.size(0));
  torch::Tensor kept = at::zeros({count}, at::kBool);
  if (count == 0) {
    return kept;
  }
  const int words = (count + kTile - 1) / kTile;
  const torch::Tensor mask = at::zeros({count, words}, boxes.options().dtype(at::kLong));
  const dim3 grid(static_cast<unsigned>(words), static_cast<unsigned>(words));
  AT_DISPATCH_FLOATING_TYPES(boxes.scalar_type(), "nms_cuda", [&] {
    mark_overlaps<scalar_t><<<grid, kTile, 0, at::cuda::getCurrentCUDAStream()>>>(
        boxes.const_data_ptr<scalar_t>(),
        groups.defined() ? groups.const_data_ptr<std::int64_t>() : nullptr,
        count,
        iou_threshold,
        reinterpret_cast<unsigned long long*>(mask.mutable_data_ptr<std::int64_t>()));
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  // The greedy pass itself is sequential: on the host, over the bits.
  const torch::Tensor host_mask = mask.cpu();
  const auto* bits =
      reinterpret_cast<const unsigned long long*>(host_mask.const_data_ptr<std::int64_t>());
  bool* keep = kept.mutable_data_ptr<bool>();
  std::vector<unsigned long long> dropped(static_cast<std::size_t>(words), 0);
  for (int i = 0; i < count; ++i) {
    if ((dropped[static_cast<std::size_t>(i / kTile)] >> (i % kTile)) & 1ULL) {
      continue;
    }
    keep[i] = true;
    for (int w = i / kTile; w < words; ++w) {
      dropped[static_cast<std::size_t>(w)] |= bits[static_cast<std::int64_t>(i) * words + w];
    }
  }
  return kept;
}

}  // namespace batchscope::models::device_ops
