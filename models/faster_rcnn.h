#pragma once

#include "models/detector.h"
#include "models/fpn_backbone.h"
#include "models/module_groups.h"
#include "models/roi_heads.h"
#include "models/rpn.h"

#include <vector>

namespace batchscope::models {

struct FasterRcnnOptions {
  std::string name;
  FpnBackboneOptions backbone;
  RpnOptions rpn;
  RoiHeadsOptions roi_heads;
  InputTransform input;
  std::uint64_t seed = 0;
};

/// Faster R-CNN and Mask R-CNN on a feature pyramid, names and semantics of torchvision's:
/// backbone.body, backbone.fpn, rpn.head, roi_heads. The losses are normalised by what was sampled
/// in the whole micro-batch, which is a mean over its pictures as long as every picture gives its
/// full sample.
class FasterRcnn : public Detector {
 public:
  /// The weights are torchvision's after torch.manual_seed(options.seed).
  explicit FasterRcnn(const FasterRcnnOptions& options);

  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  /// backbone, neck, rpn_head, roi_head and, with masks, mask_head.
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override { return options_.input; }
  std::vector<std::string> loss_names() const override;

  // The halves of losses() and detect(), without their checks: for models with other heads on the
  // same pyramid.
  /// Levels of the pyramid, finest first. generator: as FpnBackbone's.
  std::vector<torch::Tensor> features(const torch::Tensor& images,
                                      const torch::Generator& generator = {});
  /// images: height and width of the batch that the features were made of.
  Losses losses_on(std::vector<torch::Tensor> features,
                   std::pair<std::int64_t, std::int64_t> images,
                   const PictureSizes& sizes,
                   const std::vector<Target>& targets,
                   torch::Generator generator);
  std::vector<Detection> detect_on(std::vector<torch::Tensor> features,
                                   std::pair<std::int64_t, std::int64_t> images,
                                   const PictureSizes& sizes);
  static std::vector<GroupRule> group_rules();

 private:
  void initialise();
  bool has_masks() const { return options_.roi_heads.mask_head.has_value(); }

  FasterRcnnOptions options_;
  FpnBackbone backbone_ = nullptr;
  Rpn rpn_ = nullptr;
  RoiHeads roi_heads_ = nullptr;
};

}  // namespace batchscope::models
