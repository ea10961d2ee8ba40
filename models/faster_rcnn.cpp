#include "models/faster_rcnn.h"

#include "models/batch_checks.h"
#include "models/init.h"

#include <torch/utils.h>

namespace batchscope::models {

FasterRcnn::FasterRcnn(const FasterRcnnOptions& options) : options_(options) {
  backbone_ = register_module("backbone", FpnBackbone(options.backbone));
  const std::int64_t channels = options.backbone.fpn.channels;
  rpn_ = register_module("rpn", Rpn(channels, options.rpn));
  roi_heads_ = register_module("roi_heads", RoiHeads(channels, options.roi_heads));
  initialise();
}

void FasterRcnn::initialise() {
  auto generator = init::make_generator(options_.seed);
  backbone_->initialise(generator);
  // torchvision builds the mask head first, unless the box head is made of convolutions (v2).
  const bool masks_first = has_masks() && options_.roi_heads.box_head.convolutions == 0;
  if (masks_first) {
    roi_heads_->initialise_masks(generator);
  }
  rpn_->head->initialise(generator);
  roi_heads_->initialise_boxes(generator);
  if (has_masks() && !masks_first) {
    roi_heads_->initialise_masks(generator);
  }
  roi_heads_->initialise_predictor(generator);
}

Losses FasterRcnn::losses(const torch::Tensor& images,
                          const PictureSizes& sizes,
                          const std::vector<Target>& targets,
                          torch::Generator generator) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  check_targets(options_.name,
                targets,
                sizes,
                {.num_classes = options_.roi_heads.num_classes - 1, .masks = has_masks()});
  auto levels = features(images, generator);  // the body draws first
  return losses_on(
      std::move(levels), {images.size(2), images.size(3)}, sizes, targets, std::move(generator));
}

std::vector<torch::Tensor> FasterRcnn::features(const torch::Tensor& images,
                                                const torch::Generator& generator) {
  return backbone_->forward(images, generator);
}

Losses FasterRcnn::losses_on(std::vector<torch::Tensor> features,
                             std::pair<std::int64_t, std::int64_t> images,
                             const PictureSizes& sizes,
                             const std::vector<Target>& targets,
                             torch::Generator generator) {
  const RpnOutput output = rpn_->forward(features, images);
  const auto proposals = rpn_->propose(output, sizes, rpn_->options().training);
  const auto [objectness, rpn_box] = rpn_->losses(output, targets, generator);
  features.pop_back();  // regions are pooled from the levels of the body alone
  const RegionSample sample = roi_heads_->sample(proposals, targets, generator);
  const auto [classifier, box] = roi_heads_->losses(features, sample, sizes);
  std::vector<torch::Tensor> values = {objectness, rpn_box, classifier, box};
  if (has_masks()) {
    values.push_back(roi_heads_->mask_loss(features, sample, targets, sizes));
  }
  Losses losses;
  const auto names = loss_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    losses.emplace_back(names[i], values[i]);
  }
  return losses;
}

std::vector<Detection> FasterRcnn::detect(const torch::Tensor& images, const PictureSizes& sizes) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  const torch::NoGradGuard no_grad;
  return detect_on(features(images), {images.size(2), images.size(3)}, sizes);
}

std::vector<Detection> FasterRcnn::detect_on(std::vector<torch::Tensor> features,
                                             std::pair<std::int64_t, std::int64_t> images,
                                             const PictureSizes& sizes) {
  const torch::NoGradGuard no_grad;
  const RpnOutput output = rpn_->forward(features, images);
  const auto proposals = rpn_->propose(output, sizes, rpn_->options().inference);
  features.pop_back();
  return roi_heads_->detect(features, proposals, sizes);
}

std::vector<ModuleGroup> FasterRcnn::module_groups() const {
  return group_parameters(*this, group_rules());
}

std::vector<GroupRule> FasterRcnn::group_rules() {
  return {{"backbone", {"backbone.body."}},
          {"neck", {"backbone.fpn."}},
          {"rpn_head", {"rpn.head."}},
          {"roi_head", {"roi_heads.box_"}},
          {"mask_head", {"roi_heads.mask_"}}};
}

std::vector<std::string> FasterRcnn::loss_names() const {
  std::vector<std::string> names = {
      "loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"};
  if (has_masks()) {
    names.emplace_back("loss_mask");
  }
  return names;
}

}  // namespace batchscope::models
