#include "app/relabelled_detector.h"

#include <torch/utils.h>

namespace batchscope::app {

RelabelledDetector::RelabelledDetector(std::shared_ptr<models::Detector> detector,
                                       const std::vector<std::int64_t>& labels)
    : detector_(register_module("detector", std::move(detector))),
      table_(torch::zeros({static_cast<std::int64_t>(labels.size()) + 1}, torch::kInt64)) {
  std::copy(labels.begin(), labels.end(), table_.data_ptr<std::int64_t>() + 1);
}

models::Losses RelabelledDetector::losses(
    const torch::Tensor& images,
    const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
    const std::vector<models::Target>& targets,
    torch::Generator generator) {
  return detector_->losses(images, sizes, targets, std::move(generator));
}

std::vector<models::Detection> RelabelledDetector::detect(
    const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) {
  const torch::NoGradGuard no_grad;
  std::vector<models::Detection> found = detector_->detect(images, sizes);
  for (models::Detection& one : found) {
    relabel(one);
  }
  return found;
}

std::vector<models::ModuleGroup> RelabelledDetector::module_groups() const {
  std::vector<models::ModuleGroup> groups = detector_->module_groups();
  for (models::ModuleGroup& group : groups) {
    for (std::string& name : group.parameter_names) {
      name.insert(0, "detector.");
    }
  }
  return groups;
}

void RelabelledDetector::relabel(models::Detection& found) const {
  found.labels = looked_up(found.labels);
  const torch::Tensor kept = found.labels.gt(0).nonzero().squeeze(1);
  if (kept.numel() < found.labels.numel()) {
    for (torch::Tensor* part :
         {&found.boxes, &found.labels, &found.scores, &found.mask_probabilities}) {
      if (part->defined()) {
        *part = part->index_select(0, kept.to(part->device()));
      }
    }
  }
  for (torch::Tensor* part : {&found.semantic, &found.segment_labels}) {
    if (part->defined()) {
      *part = looked_up(*part);
    }
  }
}

torch::Tensor RelabelledDetector::looked_up(const torch::Tensor& labels) const {
  return table_.to(labels.device(), labels.scalar_type()).take(labels.to(torch::kInt64));
}

}  // namespace batchscope::app
