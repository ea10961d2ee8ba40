#include "models/roi_heads.h"

#include "models/init.h"
#include "models/ops/nms.h"

#include <algorithm>
#include <cmath>

namespace batchscope::models {
namespace {

constexpr double kBeta = 1.0 / 9;
constexpr double kMinSide = 1e-2;

/// Stride of a level as a power of two, from its size and that of the largest picture.
std::int64_t level_of(const torch::Tensor& feature, const PictureSizes& sizes) {
  std::int64_t height = 0;
  for (const auto& size : sizes) {
    height = std::max(height, size.first);
  }
  return -std::lround(
      std::log2(static_cast<double>(feature.size(2)) / static_cast<double>(height)));
}

/// [K, 5]: picture index and box.
torch::Tensor with_index(const std::vector<torch::Tensor>& boxes) {
  std::vector<torch::Tensor> rows;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const torch::Tensor index =
        torch::full({boxes[i].size(0), 1}, static_cast<double>(i), boxes[i].options());
    rows.push_back(torch::cat({index, boxes[i]}, 1));
  }
  return torch::cat(rows);
}

}  // namespace

torch::Tensor map_levels(const torch::Tensor& boxes,
                         std::int64_t k_min,
                         std::int64_t k_max,
                         double canonical_scale) {
  const torch::Tensor side = torch::sqrt(box_area(boxes));
  const torch::Tensor level = torch::floor(4 + torch::log2(side / canonical_scale) + 1e-6);
  return level.clamp(k_min, k_max).to(torch::kInt64) - k_min;
}

torch::Tensor pool_regions(const std::vector<torch::Tensor>& features,
                           const std::vector<torch::Tensor>& boxes,
                           const PictureSizes& sizes,
                           const PoolOptions& options) {
  const torch::Tensor rois = with_index(boxes);
  const torch::Tensor level = map_levels(rois.narrow(1, 1, 4),
                                         level_of(features.front(), sizes),
                                         level_of(features.back(), sizes),
                                         options.canonical_scale);
  std::vector<torch::Tensor> pooled, places;
  for (std::size_t i = 0; i < features.size(); ++i) {
    places.push_back((level == static_cast<std::int64_t>(i)).nonzero().view(-1));
    pooled.push_back(
        roi_align(features[i],
                  rois.index_select(0, places.back()),
                  {.pooled_height = options.size,
                   .pooled_width = options.size,
                   .spatial_scale = std::exp2(-static_cast<double>(level_of(features[i], sizes))),
                   .sampling_ratio = options.sampling_ratio}));
  }
  // Back to the order of the boxes: the inverse of the order in which the levels were taken.
  return torch::cat(pooled).index_select(0, torch::cat(places).argsort());
}

RoiHeadsImpl::RoiHeadsImpl(std::int64_t channels, const RoiHeadsOptions& options)
    : options_(options) {
  const auto head = register_module("box_head", std::make_shared<torch::nn::Module>());
  fc6_ = head->register_module(
      "fc6", Dense(channels * options.pool.size * options.pool.size, options.hidden));
  fc7_ = head->register_module("fc7", Dense(options.hidden, options.hidden));
  const auto predictor = register_module("box_predictor", std::make_shared<torch::nn::Module>());
  cls_score_ = predictor->register_module("cls_score", Dense(options.hidden, options.num_classes));
  bbox_pred_ =
      predictor->register_module("bbox_pred", Dense(options.hidden, 4 * options.num_classes));
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
    torch::Tensor matched = torch::zeros_like(boxes);
    if (truth.size(0) > 0) {
      const torch::Tensor matches = match(box_iou(truth, boxes), options_.matcher);
      const torch::Tensor index = matches.clamp_min(0);
      label = targets[i].labels.to(label.options()).index_select(0, index);
      label.masked_fill_(matches == kBelowThreshold, 0);
      label.masked_fill_(matches == kBetweenThresholds, -1);
      matched = truth.index_select(0, index);
    }
    const BalancedSample drawn = sample_balanced(label, options_.sampler, generator);
    const torch::Tensor chosen = std::get<0>(torch::cat({drawn.positive, drawn.negative}).sort());
    sample.boxes.push_back(boxes.index_select(0, chosen));
    labels.push_back(label.index_select(0, chosen));
    offsets.push_back(coder_.encode(matched.index_select(0, chosen), sample.boxes.back()));
  }
  sample.labels = torch::cat(labels);
  sample.offsets = torch::cat(offsets);
  return sample;
}

std::pair<torch::Tensor, torch::Tensor> RoiHeadsImpl::predict(
    const std::vector<torch::Tensor>& features,
    const std::vector<torch::Tensor>& boxes,
    const PictureSizes& sizes) {
  torch::Tensor z = pool_regions(features, boxes, sizes, options_.pool).flatten(1);
  z = fc7_->forward(fc6_->forward(z).relu_()).relu_();
  return {cls_score_->forward(z), bbox_pred_->forward(z)};
}

std::pair<torch::Tensor, torch::Tensor> RoiHeadsImpl::losses(
    const std::vector<torch::Tensor>& features,
    const RegionSample& sample,
    const PictureSizes& sizes) {
  const auto [logits, offsets] = predict(features, sample.boxes, sizes);
  const torch::Tensor positive = (sample.labels > 0).nonzero().view(-1);
  const torch::Tensor of_class = sample.labels.index_select(0, positive);
  const torch::Tensor rows =
      offsets.view({-1, 4}).index_select(0, positive * options_.num_classes + of_class);
  const torch::Tensor box_loss =
      at::smooth_l1_loss(
          rows, sample.offsets.index_select(0, positive), at::Reduction::Sum, kBeta) /
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
  select(large_boxes(box, kMinSide));
  const torch::Tensor keep = batched_nms(box, score, label, options_.nms_threshold);
  select(keep.narrow(0, 0, std::min(options_.max_detections, keep.size(0))));
  return {box.to(torch::kCPU, torch::kFloat32),
          label.to(torch::kCPU),
          score.to(torch::kCPU, torch::kFloat32)};
}

std::vector<Detection> RoiHeadsImpl::detect(const std::vector<torch::Tensor>& features,
                                            const std::vector<torch::Tensor>& proposals,
                                            const PictureSizes& sizes) {
  const torch::NoGradGuard no_grad;
  const auto [logits, offsets] = predict(features, proposals, sizes);
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
  return found;
}

void RoiHeadsImpl::initialise(torch::Generator& generator) {
  for (const Dense& layer : {fc6_, fc7_, cls_score_, bbox_pred_}) {
    init::torch_default(layer->weight, layer->bias, generator);
  }
}

}  // namespace batchscope::models
