#pragma once

#include "models/detector.h"
#include "models/faster_rcnn.h"
#include "models/panoptic_merge.h"
#include "models/semantic_head.h"

#include <memory>
#include <string>
#include <vector>

namespace batchscope::models {

struct PanopticFpnOptions {
  FasterRcnnOptions instances;  // with masks: of the things
  SemanticHeadOptions semantic;
  PanopticMergeOptions merge;
};

/// Panoptic FPN (Kirillov et al. 2019): Mask R-CNN for the things and, on the same pyramid, a
/// semantic head for the stuff, to which all things are one class. Children: those of Mask R-CNN,
/// with its keys, and semantic_head. Losses: those of Mask R-CNN and loss_semantic. A Detection's
/// `semantic` is the class of each segment and, in the void, the best class of stuff.
class PanopticFpn : public Detector {
 public:
  explicit PanopticFpn(const PanopticFpnOptions& options);

  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  /// backbone, neck, rpn_head, roi_head, mask_head and semantic_head.
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override { return options_.instances.input; }
  std::vector<std::string> loss_names() const override;

 private:
  /// Adds what every pixel is to the things found. logits: [S + 1, H, W].
  void add_segments(Detection& found,
                    const torch::Tensor& logits,
                    std::pair<std::int64_t, std::int64_t> size) const;

  PanopticFpnOptions options_;
  std::shared_ptr<FasterRcnn> instances_;  // not a child, so that its children can be ours
  SemanticHead semantic_head_ = nullptr;
};

}  // namespace batchscope::models
