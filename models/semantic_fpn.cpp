#include "models/semantic_fpn.h"

#include "models/batch_checks.h"
#include "models/init.h"
#include "models/module_groups.h"

#include <torch/utils.h>

namespace batchscope::models {
namespace {

constexpr std::int64_t kLevels = 4;  // strides 4…32: what the pyramid has above is not used

}  // namespace

SemanticFpn::SemanticFpn(const SemanticFpnOptions& options) : options_(options) {
  backbone_ = register_module("backbone", FpnBackbone(options.backbone));
  head_ = register_module("semantic_head",
                          SemanticHead(options.backbone.fpn.channels, kLevels, options.head));
  auto generator = init::make_generator(options.seed);
  backbone_->initialise(generator);
  head_->initialise(generator);
}

Losses SemanticFpn::losses(const torch::Tensor& images,
                           const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                           const std::vector<Target>& targets,
                           torch::Generator generator) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  check_targets(options_.name,
                targets,
                sizes,
                {.boxes = false, .semantic_labels = options_.head.num_classes});
  const auto features = backbone_->forward(images, generator);
  return {{"loss_semantic", head_->loss(head_->forward(features), targets)}};
}

std::vector<Detection> SemanticFpn::detect(
    const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  const torch::NoGradGuard no_grad;
  const torch::Tensor logits = head_->forward(backbone_->forward(images));
  std::vector<Detection> found;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const torch::Tensor classes = best_classes(logits[static_cast<std::int64_t>(i)], sizes[i]);
    found.push_back({.boxes = torch::empty({0, 4}),
                     .labels = torch::empty({0}, torch::kInt64),
                     .scores = torch::empty({0}),
                     .semantic = (classes + 1).to(torch::kCPU, torch::kInt16)});
  }
  return found;
}

std::vector<ModuleGroup> SemanticFpn::module_groups() const {
  return group_parameters(*this,
                          {{"backbone", {"backbone.body."}},
                           {"neck", {"backbone.fpn."}},
                           {"decode_head", {"semantic_head."}}});
}

}  // namespace batchscope::models
