#include "models/roi_heads.h"

#include "models/init.h"
#include "models/ops/nms.h"

#include <torch/utils.h>

#include <algorithm>

namespace batchscope::models {
namespace {

constexpr double kBoxBeta = 1.0 / 9;
constexpr double kMinBoxSide = 1e-2;

/// Row k, plane of[k] of [K, C, M, M] -> [K, M, M].
torch::Tensor of_class(const torch::Tensor& maps, const torch::Tensor& labels) {
  const torch::Tensor rows = torch::arange(maps.size(0), labels.options());
  return maps.index({rows, labels});
}

}  // namespace

RoiHeadsImpl::RoiHeadsImpl(std::int64_t channels, const RoiHeadsOptions& options)
    : options_(options), coder_(options.box_weights) {
  box_head_ = make_box_head(channels, options.pool.size, options.box_head);
  register_module("box_head", box_head_);
  box_predictor_ =
      register_module("box_predictor", BoxPredictor(options.box_head.hidden, options.num_classes));
  if (options.mask_head) {
    mask_head_ = register_module("mask_head", MaskHead(channels, *options.mask_head));
    mask_predictor_ = register_module(
        "mask_predictor", MaskPredictor(options.mask_head->channels, options.num_classes));
  }
}

RegionSample RoiHeadsImpl::sample(const std::vector<torch::Tensor>& proposals,
                                  const std::vector<Target>& targets,
                                  torch::Generator& generator) const {
  const torch::NoGradGuard no_grad;
  RegionSample sample;
  std::vector<torch::Tensor> labels, offsets;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const torch::Tensor truth = targets[i].boxes.to(proposals[i].options());
    const torch::Tensor boxes = torch::cat({proposals[i], truth});
    torch::Tensor label = torch::zeros({boxes.size(0)}, boxes.options().dtype(torch::kInt64));
    torch::Tensor index = label;
    torch::Tensor matched = torch::zeros_like(boxes);
    if (truth.size(0) > 0) {
      const torch::Tensor matches = match_boxes(truth, boxes, options_.matcher);
      index = matches.clamp_min(0);
      label = targets[i].labels.to(label.options()).index_select(0, index);
      label.masked_fill_(matches == kBelowThreshold, 0);
      label.masked_fill_(matches == kBetweenThresholds, -1);
      matched = truth.index_select(0, index);
    }
    const BalancedSample drawn = sample_balanced(label, options_.sampler, generator);
    const torch::Tensor chosen = std::get<0>(torch::cat({drawn.positive, drawn.negative}).sort());
    sample.boxes.push_back(boxes.index_select(0, chosen));
    sample.truth.push_back(index.index_select(0, chosen));
    labels.push_back(label.index_select(0, chosen));
    offsets.push_back(coder_.encode(matched.index_select(0, chosen), sample.boxes.back()));
  }
  sample.labels = torch::cat(labels);
  sample.offsets = torch::cat(offsets);
  return sample;
}

std::pair<torch::Tensor, torch::Tensor> RoiHeadsImpl::losses(
    const std::vector<torch::Tensor>& features,
    const RegionSample& sample,
    const PictureSizes& sizes) {
  const auto [logits, offsets] = box_predictor_->forward(
      box_head_->forward(pool_regions(features, sample.boxes, sizes, options_.pool)));
  const torch::Tensor positive = (sample.labels > 0).nonzero().view(-1);
  const torch::Tensor label = sample.labels.index_select(0, positive);
  const torch::Tensor rows =
      offsets.view({-1, 4}).index_select(0, positive * options_.num_classes + label);
  const torch::Tensor box_loss =
      at::smooth_l1_loss(
          rows, sample.offsets.index_select(0, positive), at::Reduction::Sum, kBoxBeta) /
      sample.labels.numel();
  return {at::cross_entropy_loss(logits, sample.labels), box_loss};
}

Detection RoiHeadsImpl::read_picture(const torch::Tensor& scores,
                                     const torch::Tensor& boxes,
                                     std::pair<std::int64_t, std::int64_t> size) const {
  const std::int64_t foreground = options_.num_classes - 1;
  torch::Tensor box =
      clip_boxes(boxes.narrow(1, 1, foreground).reshape({-1, 4}), size.first, size.second);
  torch::Tensor score = scores.narrow(1, 1, foreground).reshape(-1);
  torch::Tensor label =
      torch::arange(1, foreground + 1, score.options().dtype(torch::kInt64)).repeat(scores.size(0));
  const auto select = [&](const torch::Tensor& keep) {
    box = box.index_select(0, keep);
    score = score.index_select(0, keep);
    label = label.index_select(0, keep);
  };
  select((score > options_.score_threshold).nonzero().view(-1));
  select(large_boxes(box, kMinBoxSide));
  const torch::Tensor keep = batched_nms(box, score, label, options_.nms_threshold);
  select(keep.narrow(0, 0, std::min(options_.max_detections, keep.size(0))));
  return {.boxes = box, .labels = label, .scores = score};
}

std::vector<Detection> RoiHeadsImpl::detect(const std::vector<torch::Tensor>& features,
                                            const std::vector<torch::Tensor>& proposals,
                                            const PictureSizes& sizes) {
  const torch::NoGradGuard no_grad;
  const auto [logits, offsets] = box_predictor_->forward(
      box_head_->forward(pool_regions(features, proposals, sizes, options_.pool)));
  const torch::Tensor scores = torch::softmax(logits, 1);
  const torch::Tensor boxes = coder_.decode(offsets, torch::cat(proposals));
  std::vector<Detection> found;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < proposals.size(); ++i) {
    const std::int64_t count = proposals[i].size(0);
    found.push_back(
        read_picture(scores.narrow(0, first, count), boxes.narrow(0, first, count), sizes[i]));
    first += count;
  }
  if (options_.mask_head) {
    add_masks(found, features, sizes);
  }
  for (Detection& detection : found) {
    for (torch::Tensor* values :
         {&detection.boxes, &detection.scores, &detection.mask_probabilities}) {
      *values = values->defined() ? values->to(torch::kCPU, torch::kFloat32) : *values;
    }
    detection.labels = detection.labels.to(torch::kCPU);
  }
  return found;
}

torch::Tensor RoiHeadsImpl::mask_logits(const std::vector<torch::Tensor>& features,
                                        const std::vector<torch::Tensor>& boxes,
                                        const PictureSizes& sizes) {
  PoolOptions pool = options_.pool;
  pool.size = options_.mask_head->pool_size;
  return mask_predictor_->forward(mask_head_->forward(pool_regions(features, boxes, sizes, pool)));
}

torch::Tensor RoiHeadsImpl::mask_loss(const std::vector<torch::Tensor>& features,
                                      const RegionSample& sample,
                                      const std::vector<Target>& targets,
                                      const PictureSizes& sizes) {
  const std::int64_t bins = 2 * options_.mask_head->pool_size;
  std::vector<torch::Tensor> boxes, labels, wanted;
  std::int64_t first = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const std::int64_t count = sample.truth[i].numel();
    const torch::Tensor own = sample.labels.narrow(0, first, count);
    const torch::Tensor positive = (own > 0).nonzero().view(-1);
    boxes.push_back(sample.boxes[i].index_select(0, positive));
    labels.push_back(own.index_select(0, positive));
    wanted.push_back(project_masks(
        targets[i].masks, sample.truth[i].index_select(0, positive), boxes.back(), bins));
    first += count;
  }
  const torch::Tensor logits = mask_logits(features, boxes, sizes);
  if (logits.size(0) == 0) {
    return logits.sum() * 0;
  }
  return at::binary_cross_entropy_with_logits(of_class(logits, torch::cat(labels)),
                                              torch::cat(wanted));
}

void RoiHeadsImpl::add_masks(std::vector<Detection>& found,
                             const std::vector<torch::Tensor>& features,
                             const PictureSizes& sizes) {
  std::vector<torch::Tensor> boxes, labels;
  for (const Detection& detection : found) {
    boxes.push_back(detection.boxes);
    labels.push_back(detection.labels);
  }
  const torch::Tensor probabilities =
      of_class(mask_logits(features, boxes, sizes), torch::cat(labels)).sigmoid_();
  std::int64_t first = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const std::int64_t count = labels[i].numel();
    found[i].mask_probabilities = probabilities.narrow(0, first, count);
    first += count;
  }
}

void RoiHeadsImpl::initialise_boxes(torch::Generator& generator) {
  box_head_->initialise(generator);
}

void RoiHeadsImpl::initialise_masks(torch::Generator& generator) {
  mask_head_->initialise(generator);
  mask_predictor_->initialise(generator);
}

}  // namespace batchscope::models
