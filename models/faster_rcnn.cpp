#include "models/faster_rcnn.h"

#include "models/init.h"
#include "models/module_groups.h"

#include <stdexcept>

namespace batchscope::models {

FasterRcnn::FasterRcnn(const FasterRcnnOptions& options) : options_(options) {
  const auto backbone = register_module("backbone", std::make_shared<torch::nn::Module>());
  body_ = backbone->register_module("body", ResNet(options.body));
  fpn_ = backbone->register_module(
      "fpn",
      Fpn(std::vector<std::int64_t>(options.body.widths.begin(), options.body.widths.end()),
          options.pyramid_channels));
  rpn_ = register_module("rpn", Rpn(options.pyramid_channels, options.rpn));
  roi_heads_ = register_module("roi_heads", RoiHeads(options.pyramid_channels, options.roi_heads));
  auto generator = init::make_generator(options.seed);
  body_->initialise(generator);
  fpn_->initialise(generator);
  rpn_->head->initialise(generator);
  roi_heads_->initialise(generator);
  body_->train_layers(options.trainable_layers);
}

void FasterRcnn::check_batch(const torch::Tensor& images, const PictureSizes& sizes) const {
  const std::int64_t divisor = options_.input.size_divisor;
  if (images.dim() != 4 || images.size(1) != 3 || images.size(2) % divisor != 0 ||
      images.size(3) % divisor != 0 || images.size(0) != static_cast<std::int64_t>(sizes.size())) {
    throw std::invalid_argument(options_.name +
                                ": expected images [B, 3, H, W] with sides that are multiples of " +
                                std::to_string(divisor) + ", and B sizes");
  }
}

void FasterRcnn::check_targets(const std::vector<Target>& targets, std::size_t pictures) const {
  if (targets.size() != pictures) {
    throw std::invalid_argument(options_.name + ": expected a target for each picture");
  }
  for (const Target& target : targets) {
    if (target.boxes.dim() != 2 || target.boxes.size(1) != 4 ||
        target.labels.numel() != target.boxes.size(0)) {
      throw std::invalid_argument(options_.name + ": a target needs boxes [N, 4] and labels [N]");
    }
    if (target.labels.numel() > 0 &&
        (target.labels.min().item<std::int64_t>() < 1 ||
         target.labels.max().item<std::int64_t>() >= options_.roi_heads.num_classes)) {
      throw std::invalid_argument(options_.name + ": expected labels 1…" +
                                  std::to_string(options_.roi_heads.num_classes - 1));
    }
  }
}

Losses FasterRcnn::losses(const torch::Tensor& images,
                          const PictureSizes& sizes,
                          const std::vector<Target>& targets,
                          torch::Generator generator) {
  check_batch(images, sizes);
  check_targets(targets, sizes.size());
  auto features = fpn_->forward(body_->forward(images));
  const RpnOutput output = rpn_->forward(features, {images.size(2), images.size(3)});
  const auto proposals = rpn_->propose(output, sizes, rpn_->options().training);
  const auto [objectness, rpn_box] = rpn_->losses(output, targets, generator);
  features.pop_back();  // regions are pooled from the levels of the body alone
  const RegionSample sample = roi_heads_->sample(proposals, targets, generator);
  const auto [classifier, box] = roi_heads_->losses(features, sample, sizes);
  const auto names = loss_names();
  return {{names[0], objectness}, {names[1], rpn_box}, {names[2], classifier}, {names[3], box}};
}

std::vector<Detection> FasterRcnn::detect(const torch::Tensor& images, const PictureSizes& sizes) {
  check_batch(images, sizes);
  const torch::NoGradGuard no_grad;
  auto features = fpn_->forward(body_->forward(images));
  const RpnOutput output = rpn_->forward(features, {images.size(2), images.size(3)});
  const auto proposals = rpn_->propose(output, sizes, rpn_->options().inference);
  features.pop_back();
  return roi_heads_->detect(features, proposals, sizes);
}

std::vector<ModuleGroup> FasterRcnn::module_groups() const {
  return group_parameters(*this,
                          {{"backbone", {"backbone.body."}},
                           {"neck", {"backbone.fpn."}},
                           {"rpn_head", {"rpn.head."}},
                           {"roi_head", {"roi_heads."}}});
}

std::vector<std::string> FasterRcnn::loss_names() const {
  return {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"};
}

std::shared_ptr<Detector> make_tiny_faster_rcnn(const ModelOptions& options) {
  if (!options.backbone.empty()) {
    throw std::invalid_argument(
        "tiny_faster_rcnn: it has its own backbone; leave model.backbone "
        "empty, found \"" +
        options.backbone + "\"");
  }
  if (options.num_classes < 1) {
    throw std::invalid_argument("tiny_faster_rcnn: expected at least one class, found " +
                                std::to_string(options.num_classes));
  }
  FasterRcnnOptions o;
  o.name = options.name;
  o.body = {.widths = {32, 64, 96, 128}, .blocks = {1, 1, 1, 1}, .norm = parse_norm(options.norm)};
  o.pyramid_channels = 64;
  o.rpn.anchors.sizes = {{16}, {32}, {64}, {128}, {256}};
  o.rpn.anchors.aspect_ratios.assign(5, {0.5, 1.0, 2.0});
  o.rpn.sampler.per_picture = 128;
  o.rpn.training = {300, 200};
  o.rpn.inference = {300, 150};
  o.roi_heads.num_classes = options.num_classes + 1;
  o.roi_heads.hidden = 128;
  o.roi_heads.pool.canonical_scale = 112;
  o.roi_heads.sampler.per_picture = 64;
  o.input = {.mean = {0.485, 0.456, 0.406},
             .std = {0.229, 0.224, 0.225},
             .min_size = options.min_size > 0 ? options.min_size : 240,
             .max_size = options.max_size > 0 ? options.max_size : 320,
             .size_divisor = 32};
  o.trainable_layers = options.trainable_layers >= 0 ? options.trainable_layers : 5;
  o.seed = options.seed;
  return std::make_shared<FasterRcnn>(o);
}

}  // namespace batchscope::models
