#include "models/roi_pool.h"

#include "models/boxes.h"
#include "models/ops/roi_align.h"
#include "models/precision.h"

#include <algorithm>
#include <cmath>

namespace batchscope::models {
namespace {

/// Stride of a level as a power of two, from its size and that of the largest picture.
std::int64_t level_of(const torch::Tensor& feature, const PictureSizes& sizes) {
  std::int64_t height = 0;
  for (const auto& size : sizes) {
    height = std::max(height, size.first);
  }
  return -std::lround(
      std::log2(static_cast<double>(feature.size(2)) / static_cast<double>(height)));
}

/// [K, 5]: picture index and box.
torch::Tensor with_index(const std::vector<torch::Tensor>& boxes) {
  std::vector<torch::Tensor> rows;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const torch::Tensor index =
        torch::full({boxes[i].size(0), 1}, static_cast<double>(i), boxes[i].options());
    rows.push_back(torch::cat({index, boxes[i]}, 1));
  }
  return torch::cat(rows);
}

}  // namespace

torch::Tensor map_levels(const torch::Tensor& boxes,
                         std::int64_t k_min,
                         std::int64_t k_max,
                         double canonical_scale) {
  const torch::Tensor side = torch::sqrt(box_area(boxes));
  const torch::Tensor level = torch::floor(4 + torch::log2(side / canonical_scale) + 1e-6);
  return level.clamp(k_min, k_max).to(torch::kInt64) - k_min;
}

torch::Tensor pool_regions(const std::vector<torch::Tensor>& features,
                           const std::vector<torch::Tensor>& boxes,
                           const PictureSizes& sizes,
                           const PoolOptions& options) {
  const torch::Tensor rois = with_index(boxes);
  const torch::Tensor level = map_levels(rois.narrow(1, 1, 4),
                                         level_of(features.front(), sizes),
                                         level_of(features.back(), sizes),
                                         options.canonical_scale);
  std::vector<torch::Tensor> pooled, places;
  for (std::size_t i = 0; i < features.size(); ++i) {
    places.push_back((level == static_cast<std::int64_t>(i)).nonzero().view(-1));
    pooled.push_back(
        roi_align(full_precision(features[i]),
                  rois.index_select(0, places.back()),
                  {.pooled_height = options.size,
                   .pooled_width = options.size,
                   .spatial_scale = std::exp2(-static_cast<double>(level_of(features[i], sizes))),
                   .sampling_ratio = options.sampling_ratio}));
  }
  // Back to the order of the boxes: the inverse of the order in which the levels were taken.
  return torch::cat(pooled).index_select(0, torch::cat(places).argsort());
}

}  // namespace batchscope::models
