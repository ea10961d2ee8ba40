#pragma once

#include "models/rpn.h"

#include <torch/types.h>

#include <vector>

namespace batchscope::models {

struct PoolOptions {
  std::int64_t size = 7;            // bins per direction
  std::int64_t sampling_ratio = 2;  // samples per bin and direction
  double canonical_scale = 224;     // a region of this side is pooled from level 4 (stride 16)
};

/// Which level (0 = stride 2^k_min) each box is pooled from:
/// floor(4 + log2(sqrt(area) / canonical_scale) + 1e-6), clamped to k_min…k_max. [N] int64. Source:
/// FPN (arXiv 1612.03144) equation 1; torchvision's LevelMapper.
torch::Tensor map_levels(const torch::Tensor& boxes,
                         std::int64_t k_min,
                         std::int64_t k_max,
                         double canonical_scale);

/// Pools every box from its level. features: finest first; boxes: [k, 4] for each picture. Returns
/// [sum of k, C, size, size]. Source: torchvision's MultiScaleRoIAlign (not aligned).
torch::Tensor pool_regions(const std::vector<torch::Tensor>& features,
                           const std::vector<torch::Tensor>& boxes,
                           const PictureSizes& sizes,
                           const PoolOptions& options);

}  // namespace batchscope::models
