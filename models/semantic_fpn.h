#pragma once

#include "models/detector.h"
#include "models/fpn_backbone.h"
#include "models/semantic_head.h"

#include <string>
#include <vector>

namespace batchscope::models {

struct SemanticFpnOptions {
  std::string name;
  FpnBackboneOptions backbone;
  SemanticHeadOptions head;
  InputTransform input;
  std::uint64_t seed = 0;
};

/// Labels every pixel with one of the things' and stuff's classes alike: a feature pyramid under a
/// semantic head (Semantic FPN, Kirillov et al. 2019). Children: backbone, semantic_head. Targets
/// need `semantic` alone; detections have no boxes. The loss is a mean over the labelled pixels of
/// the micro-batch, not over its pictures.
class SemanticFpn : public Detector {
 public:
  explicit SemanticFpn(const SemanticFpnOptions& options);

  Losses losses(const torch::Tensor& images,
                const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                const std::vector<Target>& targets,
                torch::Generator generator) override;
  std::vector<Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  /// backbone, neck and decode_head.
  std::vector<ModuleGroup> module_groups() const override;
  InputTransform input_transform() const override { return options_.input; }
  std::vector<std::string> loss_names() const override { return {"loss_semantic"}; }

 private:
  SemanticFpnOptions options_;
  FpnBackbone backbone_ = nullptr;
  SemanticHead head_ = nullptr;
};

}  // namespace batchscope::models
