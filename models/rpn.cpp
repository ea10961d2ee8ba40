#include "models/rpn.h"

#include "models/dense_output.h"
#include "models/init.h"
#include "models/ops/nms.h"
#include "models/precision.h"

#include <torch/nn/modules/container/modulelist.h>
#include <torch/utils.h>

#include <algorithm>

namespace batchscope::models {
namespace {

constexpr double kMinProposalSide = 1e-3;
constexpr double kProposalBeta = 1.0 / 9;

/// Labels of the anchors of one picture (1, 0, -1: ignored) and the true box of each.
std::pair<torch::Tensor, torch::Tensor> assign(const torch::Tensor& anchors,
                                               const torch::Tensor& boxes,
                                               const MatcherOptions& options) {
  if (boxes.size(0) == 0) {
    return {torch::zeros({anchors.size(0)}, anchors.options()), torch::zeros_like(anchors)};
  }
  const torch::Tensor matches = match_boxes(boxes, anchors, options);
  torch::Tensor labels = (matches >= 0).to(anchors.scalar_type());
  labels.masked_fill_(matches == kBetweenThresholds, -1);
  return {labels, boxes.index_select(0, matches.clamp_min(0))};
}

}  // namespace

RpnHeadImpl::RpnHeadImpl(std::int64_t channels, std::int64_t anchors_per_cell, std::int64_t depth) {
  torch::nn::ModuleList convs;
  for (std::int64_t i = 0; i < depth; ++i) {
    convs_.emplace_back(ConvOptions{.in = channels, .out = channels}, /*relu=*/true);
    convs->push_back(convs_.back());
  }
  register_module("conv", convs);
  cls_logits_ = register_module(
      "cls_logits", Conv(ConvOptions{.in = channels, .out = anchors_per_cell, .kernel = 1}));
  bbox_pred_ = register_module(
      "bbox_pred", Conv(ConvOptions{.in = channels, .out = 4 * anchors_per_cell, .kernel = 1}));
}

std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>> RpnHeadImpl::forward(
    const std::vector<torch::Tensor>& features) {
  std::vector<torch::Tensor> logits, offsets;
  for (const torch::Tensor& feature : features) {
    torch::Tensor hidden = feature;
    for (ConvBlock& conv : convs_) {
      hidden = conv->forward(hidden);
    }
    logits.push_back(full_precision(cls_logits_->forward(hidden)));
    offsets.push_back(full_precision(bbox_pred_->forward(hidden)));
  }
  return {logits, offsets};
}

void RpnHeadImpl::initialise(torch::Generator& generator) {
  std::vector<Conv> all;
  for (const ConvBlock& block : convs_) {
    all.push_back(block->conv);
  }
  all.insert(all.end(), {cls_logits_, bbox_pred_});
  for (const Conv& conv : all) {
    init::torch_default(conv->weight, conv->bias, generator);
  }
  for (const Conv& conv : all) {
    init::normal(conv->weight, 0.01, generator);
    init::zero(conv->bias);
  }
}

RpnImpl::RpnImpl(std::int64_t channels, const RpnOptions& options)
    : options_(options), anchors_(options.anchors) {
  head = register_module("head", RpnHead(channels, anchors_.per_cell(0), options.conv_depth));
}

RpnOutput RpnImpl::forward(const std::vector<torch::Tensor>& features,
                           std::pair<std::int64_t, std::int64_t> image) {
  const auto [logit_maps, offset_maps] = head->forward(features);
  RpnOutput output;
  std::vector<torch::Tensor> logits, offsets;
  PictureSizes grids;
  for (std::size_t level = 0; level < features.size(); ++level) {
    grids.emplace_back(features[level].size(2), features[level].size(3));
    logits.push_back(per_anchor(logit_maps[level], 1));
    offsets.push_back(per_anchor(offset_maps[level], 4));
    output.per_level.push_back(logits.back().size(1));
  }
  output.logits = torch::cat(logits, 1).squeeze(2);
  output.offsets = torch::cat(offsets, 1);
  output.anchors = torch::cat(anchors_.levels(image, grids, output.logits));
  return output;
}

std::vector<torch::Tensor> RpnImpl::propose(const RpnOutput& output,
                                            const PictureSizes& sizes,
                                            const TopN& top) const {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> best, levels;
  std::int64_t first = 0;
  for (std::size_t level = 0; level < output.per_level.size(); ++level) {
    const std::int64_t count = output.per_level[level];
    const std::int64_t kept = std::min(count, top.before);
    best.push_back(std::get<1>(output.logits.narrow(1, first, count).topk(kept, 1)) + first);
    levels.push_back(torch::full({kept}, static_cast<std::int64_t>(level), best.back().options()));
    first += count;
  }
  const torch::Tensor indices = torch::cat(best, 1), level = torch::cat(levels);
  std::vector<torch::Tensor> proposals;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    const torch::Tensor own = indices[row];
    // Probabilities, not logits: the reference's order where rounding makes two of them equal.
    const torch::Tensor scores = output.logits[row].index_select(0, own).sigmoid_();
    torch::Tensor boxes =
        coder_.decode(output.offsets[row].index_select(0, own), output.anchors.index_select(0, own))
            .squeeze(1);
    boxes = clip_boxes(boxes, sizes[i].first, sizes[i].second);
    const torch::Tensor wide = large_boxes(boxes, kMinProposalSide);
    const torch::Tensor large =
        wide.masked_select(scores.index_select(0, wide) >= options_.score_threshold);
    boxes = boxes.index_select(0, large);
    const torch::Tensor keep = batched_nms(
        boxes, scores.index_select(0, large), level.index_select(0, large), options_.nms_threshold);
    proposals.push_back(
        boxes.index_select(0, keep.narrow(0, 0, std::min(top.after, keep.size(0)))));
  }
  return proposals;
}

std::pair<torch::Tensor, torch::Tensor> RpnImpl::losses(const RpnOutput& output,
                                                        const std::vector<Target>& targets,
                                                        torch::Generator& generator) const {
  const std::int64_t count = output.anchors.size(0);
  std::vector<torch::Tensor> positive, negative, wanted;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const torch::Tensor boxes = targets[i].boxes.to(output.anchors.options());
    const auto [labels, matched] = assign(output.anchors, boxes, options_.matcher);
    const BalancedSample sample = sample_balanced(labels, options_.sampler, generator);
    const std::int64_t first = static_cast<std::int64_t>(i) * count;
    positive.push_back(sample.positive + first);
    negative.push_back(sample.negative + first);
    wanted.push_back(coder_.encode(matched.index_select(0, sample.positive),
                                   output.anchors.index_select(0, sample.positive)));
  }
  const torch::Tensor positives = torch::cat(positive);
  const torch::Tensor sampled = torch::cat({positives, torch::cat(negative)});
  const torch::Tensor logits = output.logits.reshape(-1).index_select(0, sampled);
  torch::Tensor truth = torch::zeros_like(logits);
  truth.narrow(0, 0, positives.numel()).fill_(1);
  const torch::Tensor box_loss =
      at::smooth_l1_loss(output.offsets.reshape({-1, 4}).index_select(0, positives),
                         torch::cat(wanted),
                         at::Reduction::Sum,
                         kProposalBeta) /
      sampled.numel();
  return {at::binary_cross_entropy_with_logits(logits, truth), box_loss};
}

}  // namespace batchscope::models
