#include "models/retinanet_head.h"

#include "models/dense_output.h"
#include "models/init.h"
#include "models/precision.h"

#include <torch/nn/modules/container/modulelist.h>
#include <torch/utils.h>

#include <cmath>

namespace batchscope::models {
namespace {

constexpr std::int64_t kDepth = 4;
constexpr double kHeadStd = 0.01, kPrior = 0.01;

void draw_defaults(RetinaNetBranch& branch, torch::Generator& generator) {
  for (const ConvBlock& block : branch->convolutions()) {
    init::torch_default(block->conv->weight, block->conv->bias, generator);
  }
}

void draw_convolutions(RetinaNetBranch& branch, torch::Generator& generator) {
  for (const ConvBlock& block : branch->convolutions()) {
    init::normal(block->conv->weight, kHeadStd, generator);
    init::zero(block->conv->bias);
  }
}

void draw_output(Conv& output, torch::Generator& generator) {
  init::torch_default(output->weight, output->bias, generator);
  init::normal(output->weight, kHeadStd, generator);
  init::zero(output->bias);
}

}  // namespace

RetinaNetBranchImpl::RetinaNetBranchImpl(const RetinaNetHeadOptions& options,
                                         std::int64_t columns,
                                         const std::string& output)
    : columns_(columns) {
  torch::nn::ModuleList convs;
  const ConvOptions conv{.in = options.channels, .out = options.channels};
  for (std::int64_t i = 0; i < kDepth; ++i) {
    convs_.push_back(options.norm ? ConvBlock(conv, make_norm(*options.norm, conv.out), true)
                                  : ConvBlock(conv, true));
    convs->push_back(convs_.back());
  }
  register_module("conv", convs);
  output_ = register_module(
      output, Conv(ConvOptions{.in = options.channels, .out = options.anchors_per_cell * columns}));
}

std::vector<torch::Tensor> RetinaNetBranchImpl::forward(
    const std::vector<torch::Tensor>& features) {
  std::vector<torch::Tensor> levels;
  for (const torch::Tensor& feature : features) {
    torch::Tensor hidden = feature;
    for (ConvBlock& conv : convs_) {
      hidden = conv->forward(hidden);
    }
    levels.push_back(per_anchor(full_precision(output_->forward(hidden)), columns_));
  }
  return levels;
}

RetinaNetHeadImpl::RetinaNetHeadImpl(const RetinaNetHeadOptions& options) {
  classes_ = register_module("classification_head",
                             RetinaNetBranch(options, options.num_classes, "cls_logits"));
  boxes_ = register_module("regression_head", RetinaNetBranch(options, 4, "bbox_reg"));
}

std::pair<std::vector<torch::Tensor>, std::vector<torch::Tensor>> RetinaNetHeadImpl::forward(
    const std::vector<torch::Tensor>& features) {
  return {classes_->forward(features), boxes_->forward(features)};
}

void RetinaNetHeadImpl::initialise(torch::Generator& generator) {
  draw_defaults(classes_, generator);
  draw_convolutions(classes_, generator);
  draw_output(classes_->output(), generator);
  draw_defaults(boxes_, generator);
  draw_output(boxes_->output(), generator);
  draw_convolutions(boxes_, generator);
  const torch::NoGradGuard no_grad;
  classes_->output()->bias.fill_(-std::log((1 - kPrior) / kPrior));
}

}  // namespace batchscope::models
