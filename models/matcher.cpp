#include "models/matcher.h"

#include "models/boxes.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::models {
namespace {

constexpr std::int64_t kMatrix = 1 << 20;  // numbers of a quality matrix computed at once

/// Each prediction's best truth; below the thresholds their marks.
torch::Tensor best_truth(const torch::Tensor& quality,
                         const MatcherOptions& options,
                         torch::Tensor* unmarked) {
  auto [best, matches] = quality.max(0);
  *unmarked = matches.clone();
  matches.masked_fill_(best < options.low, kBelowThreshold);
  matches.masked_fill_((best >= options.low) & (best < options.high), kBetweenThresholds);
  return matches;
}

torch::Tensor draw(const torch::Tensor& candidates,
                   std::int64_t count,
                   torch::Generator& generator) {
  // randperm of the CPU whatever the device: the choice is a function of the seed alone.
  const torch::Tensor order =
      torch::randperm(candidates.numel(), generator, torch::TensorOptions(torch::kInt64));
  const torch::Tensor chosen = order.narrow(0, 0, count).to(candidates.device());
  return std::get<0>(candidates.index_select(0, chosen).sort());
}

}  // namespace

torch::Tensor match(const torch::Tensor& quality, const MatcherOptions& options) {
  if (quality.numel() == 0) {
    throw std::invalid_argument("match: expected at least one true box and one prediction");
  }
  torch::Tensor all;
  torch::Tensor matches = best_truth(quality, options, &all);
  if (options.allow_low_quality) {
    const torch::Tensor highest = std::get<0>(quality.max(1, /*keepdim=*/true));
    matches = torch::where((quality == highest).any(0), all, matches);
  }
  return matches;
}

torch::Tensor match_boxes(const torch::Tensor& truth,
                          const torch::Tensor& boxes,
                          const MatcherOptions& options) {
  const std::int64_t count = boxes.size(0);
  const std::int64_t part =
      std::max<std::int64_t>(1, kMatrix / std::max<std::int64_t>(1, truth.size(0)));
  if (count <= part) {
    return match(box_iou(truth, boxes), options);
  }
  // Written into place: results kept between the parts would leave holes in the heap.
  torch::Tensor matches = torch::empty({count}, boxes.options().dtype(torch::kInt64));
  torch::Tensor all = torch::empty_like(matches);
  torch::Tensor highest = torch::zeros({truth.size(0), 1}, boxes.options());  // of each truth
  const auto each_part = [&](const auto& visit) {
    for (std::int64_t first = 0; first < count; first += part) {
      const std::int64_t size = std::min(part, count - first);
      visit(box_iou(truth, boxes.narrow(0, first, size)),
            matches.narrow(0, first, size),
            all.narrow(0, first, size));
    }
  };
  each_part(
      [&](const torch::Tensor& quality, const torch::Tensor& own, const torch::Tensor& unmarked) {
        torch::Tensor best;
        own.copy_(best_truth(quality, options, &best));
        unmarked.copy_(best);
        highest.copy_(torch::maximum(highest, std::get<0>(quality.max(1, /*keepdim=*/true))));
      });
  if (options.allow_low_quality) {
    each_part(
        [&](const torch::Tensor& quality, const torch::Tensor& own, const torch::Tensor& unmarked) {
          own.copy_(torch::where((quality == highest).any(0), unmarked, own));
        });
  }
  return matches;
}

BalancedSample sample_balanced(const torch::Tensor& labels,
                               const SamplerOptions& options,
                               torch::Generator& generator) {
  const torch::Tensor positive = (labels >= 1).nonzero().view(-1);
  const torch::Tensor negative = (labels == 0).nonzero().view(-1);
  const auto wanted = static_cast<std::int64_t>(static_cast<double>(options.per_picture) *
                                                options.positive_fraction);
  const std::int64_t positives = std::min(positive.numel(), wanted);
  const std::int64_t negatives = std::min(negative.numel(), options.per_picture - positives);
  BalancedSample sample;
  sample.positive = draw(positive, positives, generator);
  sample.negative = draw(negative, negatives, generator);
  return sample;
}

}  // namespace batchscope::models
