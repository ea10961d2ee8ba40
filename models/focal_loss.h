#pragma once

#include <torch/types.h>

namespace batchscope::models {

/// What computes the loss: one pass over memory (the CPU), or torch's operators (any device).
enum class FocalPath { kOfDevice, kFused, kComposed };

struct FocalOptions {
  double alpha = 0.25;  // weight of the positives; 1 - alpha that of the negatives
  double gamma = 2;     // power of 1 - p
  FocalPath path = FocalPath::kOfDevice;
};

/// Sum of the sigmoid focal loss over rows and classes. logits: [A, K] float32 or float64; labels:
/// [A] int64: the class of the row, kBelowThreshold (-1) for background, kBetweenThresholds (-2)
/// for a row that does not count. Source: Focal Loss (arXiv 1708.02002), torchvision's
/// sigmoid_focal_loss with targets that are 1 at the row's class.
torch::Tensor focal_loss_sum(const torch::Tensor& logits,
                             const torch::Tensor& labels,
                             const FocalOptions& options = {});

}  // namespace batchscope::models
