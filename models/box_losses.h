#pragma once

#include "models/boxes.h"

#include <torch/types.h>

namespace batchscope::models {

/// How predicted offsets are compared with the true boxes.
enum class BoxLoss { kL1, kSmoothL1, kGiou };

/// Sum over boxes of 1 - generalised IoU. a, b: [N, 4]. Gradients flow to both. Source: arXiv
/// 1902.09630; torchvision's generalized_box_iou_loss (eps 1e-7).
torch::Tensor giou_loss_sum(const torch::Tensor& a, const torch::Tensor& b);

/// Sum over anchors. offsets: [N, 4], predicted; truth, anchors: [N, 4] boxes. kSmoothL1 has
/// beta 1. Source: torchvision's _box_loss.
torch::Tensor box_loss_sum(BoxLoss kind,
                           const BoxCoder& coder,
                           const torch::Tensor& offsets,
                           const torch::Tensor& truth,
                           const torch::Tensor& anchors);

}  // namespace batchscope::models
