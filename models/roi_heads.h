#pragma once

#include "models/boxes.h"
#include "models/detector.h"
#include "models/layers.h"
#include "models/matcher.h"
#include "models/ops/roi_align.h"
#include "models/rpn.h"

#include <torch/torch.h>

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

struct RoiHeadsOptions {
  std::int64_t num_classes = 91;  // with background, class 0
  std::int64_t hidden = 1024;
  PoolOptions pool;
  MatcherOptions matcher{.high = 0.5, .low = 0.5};
  SamplerOptions sampler{.per_picture = 512, .positive_fraction = 0.25};
  double score_threshold = 0.05;
  double nms_threshold = 0.5;
  std::int64_t max_detections = 100;
};

/// Regions chosen for training, picture after picture.
struct RegionSample {
  std::vector<torch::Tensor> boxes;  // [k, 4] per picture
  torch::Tensor labels;              // [K] int64; 0: background
  torch::Tensor offsets;             // [K, 4]; meaningful where labels > 0
};

/// The second stage: two hidden layers, classes and boxes per class. Children: box_head (fc6, fc7),
/// box_predictor (cls_score, bbox_pred). Semantics: torchvision's RoIHeads.
class RoiHeadsImpl : public torch::nn::Module {
 public:
  RoiHeadsImpl(std::int64_t channels, const RoiHeadsOptions& options);

  /// True boxes join the proposals; a fixed number is drawn per picture.
  RegionSample sample(const std::vector<torch::Tensor>& proposals,
                      const std::vector<Target>& targets,
                      torch::Generator& generator) const;
  /// Cross entropy over the sampled regions and smooth L1 (beta 1/9) of the foreground ones, both
  /// divided by the number of sampled regions of the whole micro-batch.
  std::pair<torch::Tensor, torch::Tensor> losses(const std::vector<torch::Tensor>& features,
                                                 const RegionSample& sample,
                                                 const PictureSizes& sizes);
  /// Boxes of every class above the score threshold, nms within a class, best first.
  std::vector<Detection> detect(const std::vector<torch::Tensor>& features,
                                const std::vector<torch::Tensor>& proposals,
                                const PictureSizes& sizes);
  /// torch's defaults for linear layers.
  void initialise(torch::Generator& generator);

 private:
  /// Class logits [K, C] and offsets [K, 4·C].
  std::pair<torch::Tensor, torch::Tensor> predict(const std::vector<torch::Tensor>& features,
                                                  const std::vector<torch::Tensor>& boxes,
                                                  const PictureSizes& sizes);
  Detection read_picture(const torch::Tensor& scores,
                         const torch::Tensor& boxes,
                         std::pair<std::int64_t, std::int64_t> size) const;

  RoiHeadsOptions options_;
  BoxCoder coder_{{10, 10, 5, 5}};
  Dense fc6_ = nullptr, fc7_ = nullptr, cls_score_ = nullptr, bbox_pred_ = nullptr;
};
TORCH_MODULE(RoiHeads);

}  // namespace batchscope::models
