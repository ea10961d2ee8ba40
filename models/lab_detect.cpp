#include "models/lab_detect.h"

#include "models/lab_targets.h"
#include "models/ops/nms.h"

#include <algorithm>
#include <cmath>

namespace batchscope::models::lab {
namespace {

constexpr std::int64_t kProposals = 30, kRegions = 12;
constexpr double kProposalNms = 0.7, kDetectionNms = 0.5;
constexpr double kMinScore = 0.05;

/// The best class of one region and its probability.
template <typename T>
std::pair<std::int64_t, T> best_class(const T* logits, std::int64_t num_classes) {
  const T peak = *std::max_element(logits, logits + num_classes + 1);
  T sum = 0;
  for (std::int64_t c = 0; c <= num_classes; ++c) {
    sum += std::exp(logits[c] - peak);
  }
  const std::int64_t best = std::max_element(logits, logits + num_classes) - logits;
  return {best, std::exp(logits[best] - peak) / sum};
}

}  // namespace

template <typename T>
torch::Tensor propose(const torch::Tensor& head,
                      std::int64_t index,
                      const std::vector<Box<T>>& anchors,
                      std::pair<std::int64_t, std::int64_t> size) {
  const auto count = static_cast<std::int64_t>(anchors.size());
  const T* in = head.const_data_ptr<T>() + index * 5 * count;
  if (!std::all_of(in, in + 5 * count, [](T v) { return std::isfinite(v); })) {
    return torch::empty({0, 5}, head.options());
  }
  const auto best = top_indices(in, count, kProposals);
  torch::Tensor boxes = torch::empty({static_cast<std::int64_t>(best.size()), 5}, head.options());
  torch::Tensor scores = torch::empty({boxes.size(0)}, head.options());
  T* row = boxes.mutable_data_ptr<T>();
  T* score = scores.mutable_data_ptr<T>();
  for (const std::int64_t a : best) {
    const T* d = in + count + a;
    const auto b = decode<T>(anchors[static_cast<std::size_t>(a)],
                             {d[0], d[count], d[2 * count], d[3 * count]},
                             static_cast<T>(size.second),
                             static_cast<T>(size.first));
    for (const T value : {static_cast<T>(index), b.x1, b.y1, b.x2, b.y2}) {
      *row++ = value;
    }
    *score++ = in[a];
  }
  const torch::Tensor keep = nms(boxes.narrow(1, 1, 4), scores, kProposalNms);
  return boxes.index_select(0, keep.narrow(0, 0, std::min(kRegions, keep.size(0))));
}

template <typename T>
Detection read_detections(const torch::Tensor& head,
                          const torch::Tensor& regions,
                          std::pair<std::int64_t, std::int64_t> size,
                          std::int64_t num_classes) {
  const T* out = head.const_data_ptr<T>();
  const T* region = regions.const_data_ptr<T>();
  std::vector<float> boxes, scores;
  std::vector<std::int64_t> labels;
  for (std::int64_t r = 0; r < head.size(0); ++r, out += num_classes + 5, region += 5) {
    const auto [label, score] = best_class(out, num_classes);
    if (!(score > T(kMinScore))) {
      continue;
    }
    const T* d = out + num_classes + 1;
    const auto b = decode<T>({region[1], region[2], region[3], region[4]},
                             {d[0] / T(kOffsetWeights[0]),
                              d[1] / T(kOffsetWeights[1]),
                              d[2] / T(kOffsetWeights[2]),
                              d[3] / T(kOffsetWeights[3])},
                             static_cast<T>(size.second),
                             static_cast<T>(size.first));
    for (const T side : {b.x1, b.y1, b.x2, b.y2}) {
      boxes.push_back(static_cast<float>(side));
    }
    scores.push_back(static_cast<float>(score));
    labels.push_back(label + 1);
  }
  Detection all{torch::tensor(boxes).view({-1, 4}),
                torch::tensor(labels, torch::kInt64),
                torch::tensor(scores)};
  const torch::Tensor keep = batched_nms(all.boxes, all.scores, all.labels, kDetectionNms);
  return {all.boxes.index_select(0, keep),
          all.labels.index_select(0, keep),
          all.scores.index_select(0, keep)};
}

template torch::Tensor propose(const torch::Tensor&,
                               std::int64_t,
                               const std::vector<Box<float>>&,
                               std::pair<std::int64_t, std::int64_t>);
template Detection read_detections<float>(const torch::Tensor&,
                                          const torch::Tensor&,
                                          std::pair<std::int64_t, std::int64_t>,
                                          std::int64_t);
template torch::Tensor propose(const torch::Tensor&,
                               std::int64_t,
                               const std::vector<Box<double>>&,
                               std::pair<std::int64_t, std::int64_t>);
template Detection read_detections<double>(const torch::Tensor&,
                                           const torch::Tensor&,
                                           std::pair<std::int64_t, std::int64_t>,
                                           std::int64_t);

}  // namespace batchscope::models::lab
