#pragma once

#include "models/ops/roi_align.h"

#include <torch/types.h>

/// The CUDA halves of the operators. CMake links either the .cu files or no_cuda.cpp, whose
/// functions throw: callers need no preprocessor.
namespace batchscope::models::device_ops {

/// boxes: [N, 4] on CUDA, sorted best first; groups: [N] int64 in the same order, or undefined.
/// Returns [N] bool on the CPU: kept or not, in that order.
torch::Tensor nms_cuda(const torch::Tensor& boxes,
                       const torch::Tensor& groups,
                       double iou_threshold);

/// Shapes as in roi_align(); all tensors contiguous, of one dtype, on one CUDA device.
torch::Tensor roi_align_forward_cuda(const torch::Tensor& input,
                                     const torch::Tensor& rois,
                                     const RoiAlignOptions& options);
torch::Tensor roi_align_backward_cuda(const torch::Tensor& grad_output,
                                      const torch::Tensor& rois,
                                      torch::IntArrayRef input_sizes,
                                      const RoiAlignOptions& options);

}  // namespace batchscope::models::device_ops
