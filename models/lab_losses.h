#pragma once

#include "models/lab_targets.h"

#include <torch/types.h>

#include <utility>
#include <vector>

/// The losses of the lab model, as loops over plain arrays. T is the model's dtype (float or
/// double).
namespace batchscope::models::lab {

/// Two losses of one tensor and their gradients with respect to it; the two touch different
/// channels (dimension 1).
struct LossPair {
  double first = 0, second = 0;
  torch::Tensor gradient;
};

/// Objectness (binary cross entropy over the anchors in use, / 0.3 of the anchors) and box
/// regression (smooth L1, beta 0.11, over the positive ones, / 0.075 of the anchors), both / the
/// number of pictures: 24 and 6 a picture at 32 px. head: [n, 5, A] = logit, dx, dy, dw, dh,
/// contiguous on the CPU.
template <typename T>
LossPair rpn_losses(const torch::Tensor& head,
                    const std::vector<Box<T>>& anchors,
                    const Truth<T>& truth);

/// Cross entropy over the regions and smooth L1 (beta 1) over the foreground ones, both / number of
/// regions. head: [n · r, C + 1 + 4], contiguous on the CPU.
template <typename T>
LossPair roi_losses(const torch::Tensor& head,
                    const RoiSample<T>& sample,
                    std::int64_t num_classes);

/// The pair as scalars with a gradient. z: the tensor that the gradient belongs to; channels
/// 0…split-1 (dimension 1) are the first loss's.
std::pair<torch::Tensor, torch::Tensor> attach(const torch::Tensor& z,
                                               const LossPair& pair,
                                               std::int64_t split);

}  // namespace batchscope::models::lab
