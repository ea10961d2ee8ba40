#include "models/lab_faster_rcnn.h"

#include "models/init.h"
#include "models/lab_detect.h"
#include "models/lab_losses.h"
#include "models/module_groups.h"
#include "models/ops/roi_align.h"

#include <torch/utils.h>

#include <stdexcept>

namespace batchscope::models {
namespace {

using Sizes = std::vector<std::pair<std::int64_t, std::int64_t>>;

constexpr std::int64_t kWidth = 8, kFeatures = 16, kHidden = 48, kDivisor = 8;
constexpr std::array<const char*, 5> kStages = {"stem", "l1", "l1b", "l2", "l2b"};

ConvBlock conv_block(std::int64_t in, std::int64_t out, std::int64_t stride) {
  return ConvBlock(ConvOptions{.in = in, .out = out, .stride = stride},
                   torch::nn::AnyModule(GroupNorm(out / 4, out)),
                   /*relu=*/true);
}

std::shared_ptr<torch::nn::Module> add_part(torch::nn::Module& model, const char* name) {
  return model.register_module(name, std::make_shared<torch::nn::Module>());
}

Conv add_conv(torch::nn::Module& part, const char* name, const ConvOptions& options) {
  return part.register_module(name, Conv(options));
}

void check_options(const ModelOptions& o) {
  const auto refuse = [](const std::string& what) {
    throw std::invalid_argument("lab_faster_rcnn: " + what);
  };
  if (!o.backbone.empty()) {
    refuse("it has its own backbone; leave model.backbone empty, found \"" + o.backbone + "\"");
  }
  if (o.norm != "gn") {
    refuse("its only norm is gn, found \"" + o.norm + "\"");
  }
  if (o.trainable_layers != -1) {
    refuse("all its layers are trained; leave model.trainable_layers at -1, found " +
           std::to_string(o.trainable_layers));
  }
  if (o.num_classes < 1) {
    refuse("expected at least one class, found " + std::to_string(o.num_classes));
  }
}

void check_batch(const torch::Tensor& images, const Sizes& sizes) {
  if (images.dim() != 4 || images.size(1) != 3 || images.size(2) % kDivisor != 0 ||
      images.size(3) % kDivisor != 0 || images.size(0) != static_cast<std::int64_t>(sizes.size())) {
    throw std::invalid_argument(
        "lab_faster_rcnn: expected images [B, 3, H, W] with sides that are multiples of 8, and B "
        "sizes");
  }
}

}  // namespace

LabFasterRcnn::LabFasterRcnn(const ModelOptions& options) : options_(options) {
  check_options(options);
  const auto backbone = add_part(*this, "backbone");
  constexpr std::array<std::int64_t, 6> kWidths = {
      3, kWidth, 2 * kWidth, 2 * kWidth, 4 * kWidth, 4 * kWidth};
  constexpr std::array<std::int64_t, 5> kStrides = {2, 2, 1, 2, 1};
  for (std::size_t i = 0; i < backbone_.size(); ++i) {
    backbone_[i] =
        backbone->register_module(kStages[i], conv_block(kWidths[i], kWidths[i + 1], kStrides[i]));
  }
  const auto neck = add_part(*this, "neck");
  lat3_ = add_conv(*neck, "lat3", {.in = 2 * kWidth, .out = kFeatures, .kernel = 1});
  lat4_ = add_conv(*neck, "lat4", {.in = 4 * kWidth, .out = kFeatures, .kernel = 1});
  out3_ = add_conv(*neck, "out3", {.in = kFeatures, .out = kFeatures});
  out4_ = add_conv(*neck, "out4", {.in = kFeatures, .out = kFeatures});
  const auto rpn = add_part(*this, "rpn_head");
  rpn_conv_ = add_conv(*rpn, "conv", {.in = kFeatures, .out = kFeatures});
  rpn_obj_ = add_conv(*rpn, "obj", {.in = kFeatures, .out = 1, .kernel = 1});
  rpn_box_ = add_conv(*rpn, "box", {.in = kFeatures, .out = 4, .kernel = 1});
  const auto roi = add_part(*this, "roi_head");
  fc1_ = roi->register_module("fc1", Dense(kFeatures * 9, kHidden));
  fc2_ = roi->register_module("fc2", Dense(kHidden, kHidden));
  cls_ = roi->register_module("cls", Dense(kHidden, options.num_classes + 1));
  box_ = roi->register_module("box", Dense(kHidden, 4));
  initialise(options.seed);
}

void LabFasterRcnn::initialise(std::uint64_t seed) {
  auto gen = init::make_generator(1000 + seed);
  draw_defaults(gen);
  for (ConvBlock& block : backbone_) {
    init::kaiming_normal_fan_out(block->conv->weight, gen);
  }
  for (const Conv& conv : {lat3_, lat4_, out3_, out4_}) {
    init::xavier_uniform(conv->weight, gen);
  }
  for (const Conv& conv : {rpn_conv_, rpn_obj_, rpn_box_}) {
    init::normal(conv->weight, 0.01, gen);
  }
  init::xavier_uniform(fc1_->weight, gen);
  init::xavier_uniform(fc2_->weight, gen);
  init::normal(cls_->weight, 0.01, gen);
  init::normal(box_->weight, 0.001, gen);
  const torch::NoGradGuard no_grad;
  for (const auto& item : named_parameters()) {
    if (item.key().ends_with("bias")) {
      item.value().zero_();
    }
  }
}

void LabFasterRcnn::draw_defaults(torch::Generator& generator) {
  for (ConvBlock& block : backbone_) {
    init::torch_default(block->conv->weight, {}, generator);
  }
  for (const Conv& conv : {lat3_, lat4_, out3_, out4_, rpn_conv_, rpn_obj_, rpn_box_}) {
    init::torch_default(conv->weight, conv->bias, generator);
  }
  for (const Dense& layer : {fc1_, fc2_, cls_, box_}) {
    init::torch_default(layer->weight, layer->bias, generator);
  }
}

LabFasterRcnn::FirstStage LabFasterRcnn::first_stage(const torch::Tensor& images) {
  const torch::Tensor c3 =
      backbone_[2]->forward(backbone_[1]->forward(backbone_[0]->forward(images)));
  const torch::Tensor c4 = backbone_[4]->forward(backbone_[3]->forward(c3));
  const torch::Tensor q4 = lat4_->forward(c4);
  const torch::Tensor q3 = lat3_->forward(c3);
  const torch::Tensor p3 =
      out3_->forward(q3 + at::upsample_nearest2d(q4, {q3.size(2), q3.size(3)}));
  const torch::Tensor p4 = out4_->forward(q4);
  // One convolution for logits and offsets: half the calls of two.
  const torch::Tensor weight = at::cat({rpn_obj_->weight, rpn_box_->weight});
  const torch::Tensor bias = at::cat({rpn_obj_->bias, rpn_box_->bias});
  std::vector<torch::Tensor> levels;
  for (const torch::Tensor& p : {p3, p4}) {
    levels.push_back(at::conv2d(rpn_conv_->forward(p).relu_(), weight, bias).flatten(2));
  }
  return {p3, at::cat(levels, 2)};
}

torch::Tensor LabFasterRcnn::second_stage(const torch::Tensor& features,
                                          const torch::Tensor& rois) {
  const RoiAlignOptions pool{.pooled_height = 3,
                             .pooled_width = 3,
                             .spatial_scale = 0.25,
                             .sampling_ratio = 1,
                             .aligned = true};
  torch::Tensor z = roi_align(features, rois, pool).flatten(1);
  z = fc2_->forward(fc1_->forward(z).relu_()).relu_();
  return at::linear(z, at::cat({cls_->weight, box_->weight}), at::cat({cls_->bias, box_->bias}));
}

template <typename T>
Losses LabFasterRcnn::typed_losses(const torch::Tensor& images,
                                   const Sizes& sizes,
                                   const std::vector<Target>& targets,
                                   torch::Generator& generator) {
  const std::int64_t classes = options_.num_classes;
  const auto truth = lab::pad_truth<T>(targets, classes);
  const auto anchors = lab::make_anchors<T>(images.size(2), images.size(3));
  const FirstStage first = first_stage(images);
  const torch::Tensor head = first.head.detach().to(torch::kCPU).contiguous();
  const auto [objectness, rpn_box] =
      lab::attach(first.head, lab::rpn_losses<T>(head, anchors, truth), 1);
  const auto sample = lab::choose_rois<T>(head, anchors, truth, sizes, classes, generator);
  const torch::Tensor z = second_stage(first.features, sample.rois.to(images.device()));
  const torch::Tensor logits = z.detach().to(torch::kCPU).contiguous();
  const auto [classifier, box] =
      lab::attach(z, lab::roi_losses<T>(logits, sample, classes), classes + 1);
  const auto names = loss_names();
  return {{names[0], objectness}, {names[1], rpn_box}, {names[2], classifier}, {names[3], box}};
}

Losses LabFasterRcnn::losses(const torch::Tensor& images,
                             const Sizes& sizes,
                             const std::vector<Target>& targets,
                             torch::Generator generator) {
  check_batch(images, sizes);
  if (targets.size() != sizes.size()) {
    throw std::invalid_argument("lab_faster_rcnn: expected a target for each picture");
  }
  return images.scalar_type() == torch::kFloat64
             ? typed_losses<double>(images, sizes, targets, generator)
             : typed_losses<float>(images, sizes, targets, generator);
}

template <typename T>
std::vector<Detection> LabFasterRcnn::typed_detect(const torch::Tensor& images,
                                                   const Sizes& sizes) {
  const auto anchors = lab::make_anchors<T>(images.size(2), images.size(3));
  const FirstStage first = first_stage(images);
  const torch::Tensor head = first.head.to(torch::kCPU).contiguous();
  std::vector<torch::Tensor> regions;
  for (std::int64_t i = 0; i < images.size(0); ++i) {
    regions.push_back(lab::propose<T>(head, i, anchors, sizes[static_cast<std::size_t>(i)]));
  }
  const torch::Tensor rois = at::cat(regions);
  const torch::Tensor z =
      second_stage(first.features, rois.to(images.device())).to(torch::kCPU).contiguous();
  std::vector<Detection> found;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const std::int64_t count = regions[i].size(0);
    found.push_back(lab::read_detections<T>(
        z.narrow(0, offset, count), rois.narrow(0, offset, count), sizes[i], options_.num_classes));
    offset += count;
  }
  return found;
}

std::vector<Detection> LabFasterRcnn::detect(const torch::Tensor& images, const Sizes& sizes) {
  check_batch(images, sizes);
  const torch::NoGradGuard no_grad;
  return images.scalar_type() == torch::kFloat64 ? typed_detect<double>(images, sizes)
                                                 : typed_detect<float>(images, sizes);
}

std::vector<ModuleGroup> LabFasterRcnn::module_groups() const {
  return group_parameters(*this,
                          {{"backbone", {"backbone."}},
                           {"neck", {"neck."}},
                           {"rpn_head", {"rpn_head."}},
                           {"roi_head", {"roi_head."}}});
}

InputTransform LabFasterRcnn::input_transform() const {
  return {
      .mean =
          options_.image_mean.empty() ? std::vector<double>{.45, .45, .45} : options_.image_mean,
      .std = options_.image_std.empty() ? std::vector<double>{.25, .25, .25} : options_.image_std,
      .min_size = options_.min_size,
      .max_size = options_.max_size,
      .size_divisor = kDivisor};
}

std::vector<std::string> LabFasterRcnn::loss_names() const {
  return {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"};
}

}  // namespace batchscope::models
