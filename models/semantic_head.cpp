#include "models/semantic_head.h"

#include "models/init.h"
#include "models/precision.h"
#include "models/upsampled_loss.h"

#include <torch/nn/modules/container/modulelist.h>

#include <algorithm>

namespace batchscope::models {
namespace {

constexpr std::int64_t kIgnored = -100;
constexpr std::int64_t kStride = 4;  // of the logits
constexpr std::int64_t kChannelsPerGroup = 4;

torch::nn::AnyModule make_group_norm(std::int64_t channels) {
  const auto groups = std::max<std::int64_t>(1, channels / kChannelsPerGroup);
  return torch::nn::AnyModule(GroupNorm(groups, channels));
}

/// The head's class of each pixel, [N, 4H, 4W] int64; kIgnored where nothing is labelled.
torch::Tensor classes_of(const std::vector<Target>& targets,
                         std::int64_t labels_of_class_0,
                         const torch::Tensor& logits) {
  torch::Tensor classes =
      torch::full({logits.size(0), kStride * logits.size(2), kStride * logits.size(3)},
                  kIgnored,
                  logits.options().dtype(torch::kInt64));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const torch::Tensor labels = targets[i].semantic.to(classes.options());
    classes[static_cast<std::int64_t>(i)]
        .slice(0, 0, labels.size(0))
        .slice(1, 0, labels.size(1))
        .copy_((labels - labels_of_class_0).clamp_min_(0).masked_fill_(labels == 0, kIgnored));
  }
  return classes;
}

}  // namespace

SemanticHeadImpl::SemanticHeadImpl(std::int64_t in,
                                   std::int64_t levels,
                                   const SemanticHeadOptions& options)
    : options_(options) {
  torch::nn::ModuleList list;
  for (std::int64_t level = 0; level < levels; ++level) {
    torch::nn::ModuleList blocks;
    levels_.emplace_back();
    const std::int64_t count = std::max<std::int64_t>(1, level);  // one per doubling
    for (std::int64_t i = 0; i < count; ++i) {
      levels_.back().push_back(
          ConvBlock(ConvOptions{.in = i == 0 ? in : options.channels, .out = options.channels},
                    make_group_norm(options.channels),
                    /*relu=*/true));
      blocks->push_back(levels_.back().back());
    }
    list->push_back(blocks);
  }
  register_module("levels", list);
  predictor_ = register_module(
      "predictor",
      Conv(ConvOptions{.in = options.channels, .out = options.num_classes, .kernel = 1}));
}

torch::Tensor SemanticHeadImpl::forward(const std::vector<torch::Tensor>& features) {
  torch::Tensor sum;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    torch::Tensor x = features.at(level);
    for (ConvBlock& block : levels_[level]) {
      x = block->forward(x);
      if (level > 0) {
        x = enlarge(x, 2);
      }
    }
    sum = sum.defined() ? sum + x : x;
  }
  return full_precision(predictor_->forward(sum));
}

torch::Tensor SemanticHeadImpl::loss(const torch::Tensor& logits,
                                     const std::vector<Target>& targets) const {
  const torch::Tensor classes = classes_of(targets, options_.labels_of_class_0, logits);
  const torch::Tensor labelled = (classes != kIgnored).sum().clamp_min(1);
  return upsampled_cross_entropy_sum(logits, classes, kStride, kIgnored) / labelled *
         options_.loss_weight;
}

void SemanticHeadImpl::initialise(torch::Generator& generator) {
  for (const auto& level : levels_) {
    for (const ConvBlock& block : level) {
      init::kaiming_normal_fan_out(block->conv->weight, generator);
    }
  }
  init::kaiming_normal_fan_out(predictor_->weight, generator);
  init::zero(predictor_->bias);
}

torch::Tensor best_classes(const torch::Tensor& logits,
                           std::pair<std::int64_t, std::int64_t> size) {
  return enlarge(logits.unsqueeze(0), kStride)[0]
      .slice(1, 0, size.first)
      .slice(2, 0, size.second)
      .argmax(0);
}

}  // namespace batchscope::models
