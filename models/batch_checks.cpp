#include "models/batch_checks.h"

#include <sstream>
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
  if (count > 0 &&
      !(target.boxes.narrow(1, 2, 2) > target.boxes.narrow(1, 0, 2)).all().item<bool>()) {
    throw std::invalid_argument(model + ": expected boxes with x2 > x1 and y2 > y1");
  }
  if (rules.masks &&
      (!target.masks.defined() || target.masks.dim() != 3 || target.masks.size(0) != count)) {
    throw std::invalid_argument(model + ": a target needs masks [N, H, W], one for each box");
  }
}

std::string shape_of(const torch::Tensor& tensor) {
  std::ostringstream text;
  if (tensor.defined()) {
    text << tensor.sizes();
  } else {
    text << "none";
  }
  return text.str();
}

void check_semantic(const std::string& model,
                    const torch::Tensor& labels,
                    std::pair<std::int64_t, std::int64_t> size,
                    std::int64_t largest) {
  const auto [height, width] = size;
  if (!labels.defined() || labels.dim() != 2 || labels.size(0) != height ||
      labels.size(1) != width) {
    throw std::invalid_argument(model + ": a target needs the labels of its pixels, semantic [" +
                                std::to_string(height) + ", " + std::to_string(width) +
                                "] as its picture, found " + shape_of(labels));
  }
  if (!at::isIntegralType(labels.scalar_type(), /*includeBool=*/false)) {
    throw std::invalid_argument(model + ": expected labels of pixels as whole numbers, found " +
                                std::string(torch::toString(labels.scalar_type())));
  }
  if (labels.numel() == 0) {
    return;
  }
  for (const torch::Tensor& end : {labels.min(), labels.max()}) {
    if (const auto label = end.item<std::int64_t>(); label < 0 || label > largest) {
      throw std::invalid_argument(model + ": expected labels of pixels 0…" +
                                  std::to_string(largest) + ", found " + std::to_string(label));
    }
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
                   const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                   const TargetRules& rules) {
  if (targets.size() != sizes.size()) {
    throw std::invalid_argument(model + ": expected a target for each picture");
  }
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (rules.boxes) {
      check_target(model, targets[i], rules);
    }
    if (rules.semantic_labels > 0) {
      check_semantic(model, targets[i].semantic, sizes[i], rules.semantic_labels);
    }
  }
}

void check_classes(const ModelOptions& options) {
  if (options.num_classes < 1) {
    throw std::invalid_argument(options.name + ": expected at least one class, found " +
                                std::to_string(options.num_classes));
  }
}

void check_pixel_classes(const ModelOptions& options, bool panoptic) {
  const std::int64_t least = panoptic ? 1 : 0;
  if (options.num_classes < least || options.stuff_classes < least ||
      options.num_classes + options.stuff_classes < 1) {
    throw std::invalid_argument(options.name + ": expected at least one class of " +
                                (panoptic ? "things and one of stuff" : "things or stuff") +
                                ", found " + std::to_string(options.num_classes) +
                                " of things and " + std::to_string(options.stuff_classes) +
                                " of stuff");
  }
}

}  // namespace batchscope::models
