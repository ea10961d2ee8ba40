#include "models/ops/device_ops.h"
#include "models/ops/roi_geometry.h"

#include <ATen/Dispatch.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>

#include <algorithm>

namespace batchscope::models::device_ops {
namespace {

constexpr int kThreads = 256;

/// What a thread needs to know of the shapes.
struct Shape {
  std::int64_t pictures, channels, height, width, pooled_height, pooled_width, sampling_ratio;
  double scale;
  bool aligned;
};

/// The plane and the region of one output element.
template <typename Scalar>
struct Place {
  std::int64_t plane, ph, pw;
  roi::Region<Scalar> region;
  Scalar count;
  bool valid;  // false: a picture index outside the batch
};

template <typename Scalar>
__device__ Place<Scalar> locate(std::int64_t element, const Scalar* rois, const Shape& s) {
  Place<Scalar> p;
  p.pw = element % s.pooled_width;
  p.ph = element / s.pooled_width % s.pooled_height;
  const std::int64_t row = element / s.pooled_width / s.pooled_height;
  const std::int64_t channel = row % s.channels;
  const Scalar* roi_row = rois + 5 * (row / s.channels);
  p.region = roi::make_region(roi_row,
                              static_cast<Scalar>(s.scale),
                              s.aligned,
                              s.pooled_height,
                              s.pooled_width,
                              s.sampling_ratio);
  const auto samples = p.region.grid_y * p.region.grid_x;
  p.count = static_cast<Scalar>(samples > 1 ? samples : 1);
  const auto picture = static_cast<std::int64_t>(roi_row[0]);
  p.valid = roi_row[0] >= Scalar(0) && picture < s.pictures;
  p.plane = (picture * s.channels + channel) * s.height * s.width;
  return p;
}

template <typename Scalar>
__global__ void pool(
    const Scalar* input, const Scalar* rois, Shape s, std::int64_t elements, Scalar* output) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t e = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       e < elements;
       e += step) {
    const auto p = locate(e, rois, s);
    Scalar sum = 0;
    for (std::int64_t iy = 0; p.valid && iy < p.region.grid_y; ++iy) {
      for (std::int64_t ix = 0; ix < p.region.grid_x; ++ix) {
        const auto tap = roi::make_tap(p.region, p.ph, p.pw, iy, ix, s.height, s.width);
        for (int k = 0; k < 4; ++k) {
          sum += tap.weight[k] * input[p.plane + tap.at[k]];
        }
      }
    }
    output[e] = sum / p.count;
  }
}

/// Adds atomically: the order of the sums, and so their last digits, are not fixed.
template <typename Scalar>
__global__ void spread(
    const Scalar* grad, const Scalar* rois, Shape s, std::int64_t elements, Scalar* grad_input) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t e = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       e < elements;
       e += step) {
    const auto p = locate(e, rois, s);
    const Scalar share = grad[e] / p.count;
    for (std::int64_t iy = 0; p.valid && iy < p.region.grid_y; ++iy) {
      for (std::int64_t ix = 0; ix < p.region.grid_x; ++ix) {
        const auto tap = roi::make_tap(p.region, p.ph, p.pw, iy, ix, s.height, s.width);
        for (int k = 0; k < 4; ++k) {
          atomicAdd(grad_input + p.plane + tap.at[k], share * tap.weight[k]);
        }
      }
    }
  }
}

Shape make_shape(torch::IntArrayRef input, const RoiAlignOptions& o) {
  return {input[0],
          input[1],
          input[2],
          input[3],
          o.pooled_height,
          o.pooled_width,
          o.sampling_ratio,
          o.spatial_scale,
          o.aligned};
}

unsigned blocks_for(std::int64_t elements) {
  return static_cast<unsigned>(
      std::clamp<std::int64_t>((elements + kThreads - 1) / kThreads, 1, 4096));
}

}  // namespace

torch::Tensor roi_align_forward_cuda(const torch::Tensor& input,
                                     const torch::Tensor& rois,
                                     const RoiAlignOptions& options) {
  const c10::cuda::CUDAGuard device(input.device());
  torch::Tensor output = at::empty(
      {rois.size(0), input.size(1), options.pooled_height, options.pooled_width}, input.options());
  if (output.numel() == 0) {
    return output;
  }
  AT_DISPATCH_FLOATING_TYPES(input.scalar_type(), "roi_align_cuda", [&] {
    pool<scalar_t><<<blocks_for(output.numel()), kThreads, 0, at::cuda::getCurrentCUDAStream()>>>(
        input.const_data_ptr<scalar_t>(),
        rois.const_data_ptr<scalar_t>(),
        make_shape(input.sizes(), options),
        output.numel(),
        output.mutable_data_ptr<scalar_t>());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return output;
}

torch::Tensor roi_align_backward_cuda(const torch::Tensor& grad_output,
                                      const torch::Tensor& rois,
                                      torch::IntArrayRef input_sizes,
                                      const RoiAlignOptions& options) {
  const c10::cuda::CUDAGuard device(grad_output.device());
  torch::Tensor grad_input = at::zeros(input_sizes, grad_output.options());
  if (grad_output.numel() == 0 || grad_input.numel() == 0) {
    return grad_input;
  }
  AT_DISPATCH_FLOATING_TYPES(grad_output.scalar_type(), "roi_align_backward_cuda", [&] {
    spread<scalar_t>
        <<<blocks_for(grad_output.numel()), kThreads, 0, at::cuda::getCurrentCUDAStream()>>>(
            grad_output.const_data_ptr<scalar_t>(),
            rois.const_data_ptr<scalar_t>(),
            make_shape(input_sizes, options),
            grad_output.numel(),
            grad_input.mutable_data_ptr<scalar_t>());
  });
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  return grad_input;
}

}  // namespace batchscope::models::device_ops
