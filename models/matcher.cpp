#include "models/matcher.h"

#include <algorithm>
#include <stdexcept>

namespace batchscope::models {
namespace {

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
  auto [best, matches] = quality.max(0);
  const torch::Tensor all = matches.clone();
  matches.masked_fill_(best < options.low, kBelowThreshold);
  matches.masked_fill_((best >= options.low) & (best < options.high), kBetweenThresholds);
  if (options.allow_low_quality) {
    const torch::Tensor highest = std::get<0>(quality.max(1, /*keepdim=*/true));
    matches = torch::where((quality == highest).any(0), all, matches);
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
