#pragma once

#include "models/detector.h"
#include "models/lab_boxes.h"

#include <torch/types.h>

#include <vector>

/// The truth and the regions that the lab model is trained on, as plain arrays. T is the model's
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

/// Indices of the n largest of `count` values, largest first, equal ones in their order; NaN counts
/// as largest, as in torch.topk.
template <typename T>
std::vector<std::int64_t> top_indices(const T* values, std::int64_t count, std::int64_t n);

}  // namespace batchscope::models::lab
