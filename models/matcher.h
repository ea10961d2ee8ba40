#pragma once

#include <torch/types.h>

#include <utility>
#include <vector>

/// Which true box a prediction belongs to, and which predictions a loss looks at. Source:
/// torchvision 0.26, models/detection/_utils.py.
namespace batchscope::models {

inline constexpr std::int64_t kBelowThreshold = -1;
inline constexpr std::int64_t kBetweenThresholds = -2;

struct MatcherOptions {
  double high = 0.5;  // quality >= high: matched
  double low = 0.5;   // quality < low: background; between: ignored
  /// Also match each true box's best predictions (ties included), however low, to the truth that
  /// such a prediction overlaps most.
  bool allow_low_quality = false;
};

/// quality: [M true boxes, N predictions], M and N >= 1. Returns [N] int64: the index of the true
/// box, kBelowThreshold or kBetweenThresholds. Throws std::invalid_argument if M or N is 0.
torch::Tensor match(const torch::Tensor& quality, const MatcherOptions& options);

/// match(box_iou(truth, boxes), options) without that matrix: memory does not grow with the number
/// of true boxes. truth: [M, 4]; boxes: [N, 4]; M and N >= 1.
torch::Tensor match_boxes(const torch::Tensor& truth,
                          const torch::Tensor& boxes,
                          const MatcherOptions& options);

struct SamplerOptions {
  std::int64_t per_picture = 256;
  double positive_fraction = 0.5;
};

/// Positive and negative predictions of one picture, as ascending indices.
struct BalancedSample {
  torch::Tensor positive, negative;
};

/// Draws from labels [N] (>= 1 positive, 0 negative, < 0 ignored) at most per_picture predictions,
/// at most that fraction of them positive; negatives fill up. Two calls of randperm on the
/// generator, positives first.
BalancedSample sample_balanced(const torch::Tensor& labels,
                               const SamplerOptions& options,
                               torch::Generator& generator);

}  // namespace batchscope::models
