#pragma once

#include "models/box_head.h"
#include "models/boxes.h"
#include "models/detector.h"
#include "models/mask_head.h"
#include "models/matcher.h"
#include "models/roi_pool.h"
#include "models/rpn.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <optional>
#include <vector>

namespace batchscope::models {

struct RoiHeadsOptions {
  std::int64_t num_classes = 91;  // with background, class 0
  BoxHeadOptions box_head;
  std::optional<MaskHeadOptions> mask_head;  // none: boxes alone
  PoolOptions pool;
  MatcherOptions matcher{.high = 0.5, .low = 0.5};
  SamplerOptions sampler{.per_picture = 512, .positive_fraction = 0.25};
  std::array<double, 4> box_weights = {10, 10, 5, 5};  // of x, y, width, height
  double score_threshold = 0.05;
  double nms_threshold = 0.5;
  std::int64_t max_detections = 100;
};

/// Regions chosen for training, picture after picture.
struct RegionSample {
  std::vector<torch::Tensor> boxes;  // [k, 4] per picture
  std::vector<torch::Tensor> truth;  // [k] int64 per picture: the true object; 0 for background
  torch::Tensor labels;              // [K] int64; 0: background
  torch::Tensor offsets;             // [K, 4]; meaningful where labels > 0
};

/// The second stage: classes, boxes per class and, if asked for, masks per class. Children:
/// box_head, box_predictor, mask_head, mask_predictor. Semantics: torchvision's RoIHeads.
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
  /// Binary cross entropy of the foreground regions' masks, of their own class, as a mean over
  /// regions and bins; 0 without any. Needs options.mask_head and the targets' masks.
  torch::Tensor mask_loss(const std::vector<torch::Tensor>& features,
                          const RegionSample& sample,
                          const std::vector<Target>& targets,
                          const PictureSizes& sizes);
  /// Boxes of every class above the score threshold, nms within a class, best first; with masks if
  /// options.mask_head is set.
  std::vector<Detection> detect(const std::vector<torch::Tensor>& features,
                                const std::vector<torch::Tensor>& proposals,
                                const PictureSizes& sizes);
  /// torchvision's draws: of the box head or of the mask head.
  void initialise_boxes(torch::Generator& generator);
  void initialise_masks(torch::Generator& generator);
  void initialise_predictor(torch::Generator& generator) { box_predictor_->initialise(generator); }

  const RoiHeadsOptions& options() const { return options_; }

 private:
  Detection read_picture(const torch::Tensor& scores,
                         const torch::Tensor& boxes,
                         std::pair<std::int64_t, std::int64_t> size) const;
  /// Logits [K, C, M, M] of the regions.
  torch::Tensor mask_logits(const std::vector<torch::Tensor>& features,
                            const std::vector<torch::Tensor>& boxes,
                            const PictureSizes& sizes);
  void add_masks(std::vector<Detection>& found,
                 const std::vector<torch::Tensor>& features,
                 const PictureSizes& sizes);

  RoiHeadsOptions options_;
  BoxCoder coder_;
  std::shared_ptr<BoxHead> box_head_;
  BoxPredictor box_predictor_ = nullptr;
  MaskHead mask_head_ = nullptr;
  MaskPredictor mask_predictor_ = nullptr;
};
TORCH_MODULE(RoiHeads);

}  // namespace batchscope::models
