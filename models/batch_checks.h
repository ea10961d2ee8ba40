#pragma once

#include "models/factory.h"

#include <string>
#include <vector>

/// What every detector asks of its micro-batches. Failures are std::invalid_argument, one sentence
/// that begins with the model's name.
namespace batchscope::models {

/// images: [B, 3, H, W], H and W multiples of `divisor`, B = sizes.size().
void check_images(const std::string& model,
                  const torch::Tensor& images,
                  const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                  std::int64_t divisor);

struct TargetRules {
  std::int64_t num_classes = 1;  // labels are 1…num_classes
  bool boxes = true;             // every target has boxes and labels
  bool masks = false;            // every target has a mask for each box
  /// Labels of pixels are 0…semantic_labels; 0: targets need none.
  std::int64_t semantic_labels = 0;
};

/// A target per picture of these sizes (height, width).
void check_targets(const std::string& model,
                   const std::vector<Target>& targets,
                   const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                   const TargetRules& rules);

/// Options that every builder with classes refuses alike: num_classes < 1.
void check_classes(const ModelOptions& options);
/// Of models that label pixels: no class at all, or, where `panoptic`, not one of things and stuff
/// each.
void check_pixel_classes(const ModelOptions& options, bool panoptic);

}  // namespace batchscope::models
