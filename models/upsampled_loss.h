#pragma once

#include <torch/types.h>

namespace batchscope::models {

/// x [N, C, H, W] enlarged bilinearly to [N, C, factor H, factor W]; PyTorch's align_corners=False.
torch::Tensor enlarge(const torch::Tensor& x, std::int64_t factor);

/// Sum of the cross entropy of softmax over all pixels of the enlarged logits whose label is not
/// `ignored`. logits: [N, C, H, W] float32 or float64, any device; labels: [N, factor H, factor W]
/// int64, 0…C - 1 or `ignored`. Equal to cross_entropy(enlarge(logits, factor), labels, sum) and
/// its gradient up to rounding, but works in strips of rows: no more than a few MiB of enlarged
/// logits exist at a time, where a micro-batch's would take hundreds.
torch::Tensor upsampled_cross_entropy_sum(const torch::Tensor& logits,
                                          const torch::Tensor& labels,
                                          std::int64_t factor,
                                          std::int64_t ignored);

}  // namespace batchscope::models
