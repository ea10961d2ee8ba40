#include "models/retinanet.h"

#include "models/batch_checks.h"
#include "models/focal_loss.h"
#include "models/init.h"
#include "models/module_groups.h"
#include "models/ops/nms.h"

#include <torch/utils.h>

#include <algorithm>

namespace batchscope::models {

RetinaNet::RetinaNet(const RetinaNetOptions& options)
    : options_(options), anchors_(options.anchors) {
  backbone_ = register_module("backbone", FpnBackbone(options.backbone));
  options_.head.anchors_per_cell = anchors_.per_cell(0);
  head_ = register_module("head", RetinaNetHead(options_.head));
  auto generator = init::make_generator(options.seed);
  backbone_->initialise(generator);
  head_->initialise(generator);
}

RetinaNet::Output RetinaNet::forward(const torch::Tensor& images,
                                     const torch::Generator& generator) {
  const auto features = backbone_->forward(images, generator);
  auto [logits, offsets] = head_->forward(features);
  std::vector<std::pair<std::int64_t, std::int64_t>> grids;
  grids.reserve(features.size());
  for (const torch::Tensor& feature : features) {
    grids.emplace_back(feature.size(2), feature.size(3));
  }
  Output output{std::move(logits), std::move(offsets), {}};
  output.anchors = anchors_.levels({images.size(2), images.size(3)}, grids, output.logits.front());
  return output;
}

Losses RetinaNet::losses(const torch::Tensor& images,
                         const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes,
                         const std::vector<Target>& targets,
                         torch::Generator generator) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  check_targets(options_.name, targets, sizes, {.num_classes = options_.head.num_classes - 1});
  const Output output = forward(images, generator);
  const torch::Tensor anchors = torch::cat(output.anchors);
  const torch::Tensor offsets = torch::cat(output.offsets, 1);
  const auto pictures = static_cast<double>(targets.size());
  torch::Tensor classification, regression;
  const auto add = [](torch::Tensor& sum, const torch::Tensor& part) {
    sum = sum.defined() ? sum + part : part;
  };
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto picture = static_cast<std::int64_t>(i);
    const torch::Tensor truth = targets[i].boxes.to(anchors.options());
    torch::Tensor labels =
        torch::full({anchors.size(0)}, kBelowThreshold, anchors.options().dtype(torch::kInt64));
    torch::Tensor foreground = torch::empty({0}, labels.options());
    torch::Tensor matches = foreground;
    if (truth.size(0) > 0) {
      labels = match_boxes(truth, anchors, options_.matcher);
      foreground = (labels >= 0).nonzero().view(-1);
      matches = labels.index_select(0, foreground);
      labels.index_copy_(
          0, foreground, targets[i].labels.to(labels.options()).index_select(0, matches));
    }
    const double share =
        1.0 / (pictures * static_cast<double>(std::max<std::int64_t>(1, foreground.numel())));
    std::int64_t first = 0;
    for (const torch::Tensor& level : output.logits) {
      add(classification,
          focal_loss_sum(level[picture], labels.narrow(0, first, level.size(1))) * share);
      first += level.size(1);
    }
    add(regression,
        box_loss_sum(options_.box_loss,
                     coder_,
                     offsets[picture].index_select(0, foreground),
                     truth.index_select(0, matches),
                     anchors.index_select(0, foreground)) *
            share);
  }
  const auto names = loss_names();
  return {{names[0], classification}, {names[1], regression}};
}

Detection RetinaNet::read_picture(const Output& output,
                                  std::int64_t picture,
                                  std::pair<std::int64_t, std::int64_t> size) const {
  std::vector<torch::Tensor> boxes, scores, labels;
  for (std::size_t level = 0; level < output.logits.size(); ++level) {
    const torch::Tensor probability = output.logits[level][picture].sigmoid().flatten();
    const torch::Tensor likely = (probability > options_.score_threshold).nonzero().view(-1);
    const auto [best, order] =
        probability.index_select(0, likely).topk(std::min(options_.candidates, likely.numel()));
    const torch::Tensor chosen = likely.index_select(0, order);
    const torch::Tensor anchor = chosen.floor_divide(options_.head.num_classes);
    const torch::Tensor decoded =
        coder_
            .decode(output.offsets[level][picture].index_select(0, anchor),
                    output.anchors[level].index_select(0, anchor))
            .squeeze(1);
    boxes.push_back(clip_boxes(decoded, size.first, size.second));
    scores.push_back(best);
    labels.push_back(chosen.remainder(options_.head.num_classes));
  }
  const torch::Tensor box = torch::cat(boxes), score = torch::cat(scores),
                      label = torch::cat(labels);
  torch::Tensor keep = batched_nms(box, score, label, options_.nms_threshold);
  keep = keep.narrow(0, 0, std::min(options_.max_detections, keep.size(0)));
  keep = keep.masked_select(label.index_select(0, keep) > 0);
  return {.boxes = box.index_select(0, keep).to(torch::kCPU, torch::kFloat32),
          .labels = label.index_select(0, keep).to(torch::kCPU),
          .scores = score.index_select(0, keep).to(torch::kCPU, torch::kFloat32)};
}

std::vector<Detection> RetinaNet::detect(
    const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) {
  check_images(options_.name, images, sizes, options_.input.size_divisor);
  const torch::NoGradGuard no_grad;
  const Output output = forward(images);
  std::vector<Detection> found;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    found.push_back(read_picture(output, static_cast<std::int64_t>(i), sizes[i]));
  }
  return found;
}

std::vector<ModuleGroup> RetinaNet::module_groups() const {
  return group_parameters(
      *this,
      {{"backbone", {"backbone.body."}}, {"neck", {"backbone.fpn."}}, {"bbox_head", {"head."}}});
}

std::vector<std::string> RetinaNet::loss_names() const {
  return {"classification", "bbox_regression"};
}

}  // namespace batchscope::models
