#pragma once

#include "models/detector.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace batchscope::app {

/// A detector that calls what another one finds by other labels.
class RelabelledDetector final : public models::Detector {
 public:
  /// labels: what the other's label l becomes is labels[l - 1]; objects of a label that becomes 0
  /// are left out, after all limits of the other. Where pixels are labelled, none may become 0.
  RelabelledDetector(std::shared_ptr<models::Detector> detector,
                     const std::vector<std::int64_t>& labels);

  /// Those of the other, with its own labels.
  models::Losses losses(const torch::Tensor& images,
                        const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                        const std::vector<models::Target>& targets,
                        torch::Generator generator) override;
  std::vector<models::Detection> detect(
      const torch::Tensor& images,
      const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) override;
  std::vector<models::ModuleGroup> module_groups() const override;
  models::InputTransform input_transform() const override { return detector_->input_transform(); }
  std::vector<std::string> loss_names() const override { return detector_->loss_names(); }

 private:
  void relabel(models::Detection& found) const;
  torch::Tensor looked_up(const torch::Tensor& labels) const;

  std::shared_ptr<models::Detector> detector_;
  torch::Tensor table_;  // [C + 1] int64; 0 stays 0
};

}  // namespace batchscope::app
