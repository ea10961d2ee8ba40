#pragma once

#include "models/anchors.h"
#include "models/box_losses.h"
#include "models/boxes.h"
#include "models/detector.h"
#include "models/fpn_backbone.h"
#include "models/matcher.h"
#include "models/retinanet_head.h"

#include <vector>

namespace batchscope::models {

struct RetinaNetOptions {
  std::string name;
  FpnBackboneOptions backbone;
  AnchorOptions anchors;
  RetinaNetHeadOptions head;
  BoxLoss box_loss = BoxLoss::kL1;
  MatcherOptions matcher{.high = 0.5, .low = 0.4, .allow_low_quality = true};
  double score_threshold = 0.05;
  double nms_threshold = 0.5;
  std::int64_t candidates = 1000;  // kept of each level before nms
  std::int64_t max_detections = 300;
  InputTransform input;
  std::uint64_t seed = 0;
};

/// RetinaNet, names and semantics of torchvision's: backbone.body, backbone.fpn, head. Both losses
/// of a picture are divided by its number of foreground anchors, and are means over the pictures.
class RetinaNet : public Detector {
 public:
  /// The weights are torchvision's after torch.manual_seed(options.seed).
  explicit RetinaNet(const RetinaNetOptions& options);

  /// Only what the body draws comes from `generator`.
  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  /// Detections of class 0, which no anchor is ever taught, count among the best but are left out.
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  /// backbone, neck, bbox_head.
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override { return options_.input; }
  std::vector<std::string> loss_names() const override;

 private:
  struct Output {
    std::vector<torch::Tensor> logits, offsets, anchors;  // per level: [N, A, C], [N, A, 4], [A, 4]
  };
  Output forward(const torch::Tensor& images, const torch::Generator& generator = {});
  Detection read_picture(const Output& output,
                         std::int64_t picture,
                         std::pair<std::int64_t, std::int64_t> size) const;

  RetinaNetOptions options_;
  AnchorGenerator anchors_;
  BoxCoder coder_{{1, 1, 1, 1}};
  FpnBackbone backbone_ = nullptr;
  RetinaNetHead head_ = nullptr;
};

}  // namespace batchscope::models
