#pragma once

#include <torch/types.h>

namespace batchscope::models {

/// Greedy non-maximum suppression. boxes: [N, 4] float32 or float64, x1 y1 x2 y2; scores: [N] of
/// the same dtype and device. Returns the int64 indices of the boxes that are kept, best score
/// first, equal scores in their given order; a box is dropped when its IoU with a kept better one
/// is > iou_threshold. Throws c10::Error for other shapes or dtypes.
/// Source: torchvision.ops.nms.
torch::Tensor nms(const torch::Tensor& boxes, const torch::Tensor& scores, double iou_threshold);

/// The same, but boxes suppress each other only within a group. groups: [N] int64 (a class, a
/// pyramid level, a picture). Up to 1,000 boxes (25,000 on CUDA) the groups are shifted apart
/// before one nms, which rounds large coordinates: the reference does so, and its choices are
/// matched. Source: torchvision.ops.batched_nms.
torch::Tensor batched_nms(const torch::Tensor& boxes,
                          const torch::Tensor& scores,
                          const torch::Tensor& groups,
                          double iou_threshold);

}  // namespace batchscope::models
