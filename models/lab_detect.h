#pragma once

#include "models/detector.h"
#include "models/lab_boxes.h"

#include <torch/types.h>

#include <utility>
#include <vector>

/// The lab model's two readings of its heads at inference. T is the model's dtype.
namespace batchscope::models::lab {

/// The regions of picture `index` that the second stage looks at: the 30 anchors with the largest
/// logits, decoded, nms 0.7, the best 12. head: [n, 5, A], contiguous on the CPU; size: the
/// picture's height and width. Returns [k, 5]: index, x1, y1, x2, y2; none if the head is not
/// finite.
template <typename T>
torch::Tensor propose(const torch::Tensor& head,
                      std::int64_t index,
                      const std::vector<Box<T>>& anchors,
                      std::pair<std::int64_t, std::int64_t> size);

/// The detections of one picture from the second stage's output [k, C + 1 + 4] for its regions
/// [k, 5]: the best class of each region if its probability is > 0.05, decoded, nms 0.5 within a
/// class, best first. Both contiguous on the CPU.
template <typename T>
Detection read_detections(const torch::Tensor& head,
                          const torch::Tensor& regions,
                          std::pair<std::int64_t, std::int64_t> size,
                          std::int64_t num_classes);

}  // namespace batchscope::models::lab
