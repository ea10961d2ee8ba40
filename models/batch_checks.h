#pragma once

#include "models/detector.h"

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
  bool masks = false;            // every target has a mask for each box
};

void check_targets(const std::string& model,
                   const std::vector<Target>& targets,
                   std::size_t pictures,
                   const TargetRules& rules);

/// Options that every builder with classes refuses alike: num_classes < 1.
void check_classes(const ModelOptions& options);

}  // namespace batchscope::models
