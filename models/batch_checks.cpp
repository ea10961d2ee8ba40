#include "models/batch_checks.h"

#include <stdexcept>

namespace batchscope::models {
namespace {

void check_target(const std::string& model, const Target& target, const TargetRules& rules) {
  const std::int64_t count = target.boxes.dim() == 2 ? target.boxes.size(0) : -1;
  if (count < 0 || target.boxes.size(1) != 4 || target.labels.numel() != count) {
    throw std::invalid_argument(model + ": a target needs boxes [N, 4] and labels [N]");
  }
  if (count > 0 && (target.labels.min().item<std::int64_t>() < 1 ||
                    target.labels.max().item<std::int64_t>() > rules.num_classes)) {
    throw std::invalid_argument(model + ": expected labels 1…" + std::to_string(rules.num_classes));
  }
  if (rules.masks &&
      (!target.masks.defined() || target.masks.dim() != 3 || target.masks.size(0) != count)) {
    throw std::invalid_argument(model + ": a target needs masks [N, H, W], one for each box");
  }
}

}  // namespace

void check_images(const std::string& model,
                  const torch::Tensor& images,
                  const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                  std::int64_t divisor) {
  if (images.dim() != 4 || images.size(1) != 3 || images.size(2) % divisor != 0 ||
      images.size(3) % divisor != 0 || images.size(0) != static_cast<std::int64_t>(sizes.size())) {
    throw std::invalid_argument(model +
                                ": expected images [B, 3, H, W] with sides that are multiples of " +
                                std::to_string(divisor) + ", and B sizes");
  }
}

void check_targets(const std::string& model,
                   const std::vector<Target>& targets,
                   std::size_t pictures,
                   const TargetRules& rules) {
  if (targets.size() != pictures) {
    throw std::invalid_argument(model + ": expected a target for each picture");
  }
  for (const Target& target : targets) {
    check_target(model, target, rules);
  }
}

void check_classes(const ModelOptions& options) {
  if (options.num_classes < 1) {
    throw std::invalid_argument(options.name + ": expected at least one class, found " +
                                std::to_string(options.num_classes));
  }
}

}  // namespace batchscope::models
