#pragma once

#include "models/detector.h"
#include "models/fpn.h"
#include "models/resnet.h"
#include "models/roi_heads.h"
#include "models/rpn.h"

#include <vector>

namespace batchscope::models {

struct FasterRcnnOptions {
  std::string name;
  ResNetOptions body;
  std::int64_t pyramid_channels = 256;
  RpnOptions rpn;
  RoiHeadsOptions roi_heads;
  InputTransform input;
  std::int64_t trainable_layers = 5;
  std::uint64_t seed = 0;
};

/// Faster R-CNN on a feature pyramid, names and semantics of torchvision's: backbone.body,
/// backbone.fpn, rpn.head, roi_heads. The losses are normalised by what was sampled in the whole
/// micro-batch, which is a mean over its pictures as long as every picture gives its full sample.
class FasterRcnn : public Detector {
 public:
  explicit FasterRcnn(const FasterRcnnOptions& options);

  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override { return options_.input; }
  std::vector<std::string> loss_names() const override;

 private:
  void check_batch(const torch::Tensor& images, const PictureSizes& sizes) const;
  void check_targets(const std::vector<Target>& targets, std::size_t pictures) const;

  FasterRcnnOptions options_;
  ResNet body_ = nullptr;
  Fpn fpn_ = nullptr;
  Rpn rpn_ = nullptr;
  RoiHeads roi_heads_ = nullptr;
};

/// About 1.1 million parameters, for training from scratch on a CPU: one residual block per layer
/// of 32, 64, 96 and 128 channels, a pyramid of 64, 64 regions a picture. Pictures are resized to
/// 240 (short side) and at most 320 px. options.norm: gn, frozen or bn.
std::shared_ptr<Detector> make_tiny_faster_rcnn(const ModelOptions& options);

}  // namespace batchscope::models
