#pragma once

#include "models/detector.h"
#include "models/lab_boxes.h"

#include <torch/torch.h>

#include <vector>

/// Targets, RoI choice and losses of the lab model, as loops over plain arrays. T is the model's
/// dtype (float or double).
namespace batchscope::models::lab {

inline constexpr std::int64_t kMinSlots = 3;    // boxes that a picture's truth is padded to
inline constexpr std::int64_t kTopRois = 6;     // best proposals of a picture
inline constexpr std::int64_t kRandomRois = 3;  // random anchors of a picture
inline constexpr float kOffsetWeights[4] = {10, 10, 5, 5};  // RoI head's box coding

/// The truth of a micro-batch, every picture padded to the same number of slots.
template <typename T>
struct Truth {
  std::int64_t pictures = 0, slots = 0;
  std::vector<Box<T>> boxes;         // [pictures · slots]
  std::vector<std::int64_t> labels;  // [pictures · slots], 0…C-1; -1: an empty slot
};

/// Throws std::invalid_argument for labels outside 1…num_classes or boxes that are not [N, 4].
template <typename T>
Truth<T> pad_truth(const std::vector<Target>& targets, std::int64_t num_classes);

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

/// The regions that the second stage is trained on, a fixed number per picture.
template <typename T>
struct RoiSample {
  torch::Tensor rois;                // [n · r, 5] of dtype T: picture, x1, y1, x2, y2
  std::vector<std::int64_t> labels;  // [n · r], 0…C-1; C: background
  std::vector<Offsets<T>> offsets;   // [n · r], weighted; meaningful where not background
};

/// Per picture: the best proposals, a jittered copy of every true box (a random anchor for an empty
/// slot), random anchors. Draws from the generator, in this order: randint(anchors, [n, 3 + slots])
/// and randn([n, slots, 4]) float32.
template <typename T>
RoiSample<T> choose_rois(const torch::Tensor& head,
                         const std::vector<Box<T>>& anchors,
                         const Truth<T>& truth,
                         const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                         std::int64_t num_classes,
                         torch::Generator& generator);

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

/// Indices of the n largest of `count` values, largest first, equal ones in their order; NaN counts
/// as largest, as in torch.topk.
template <typename T>
std::vector<std::int64_t> top_indices(const T* values, std::int64_t count, std::int64_t n);

}  // namespace batchscope::models::lab
