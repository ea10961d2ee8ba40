#include "models/swin.h"

#include "models/init.h"

#include <torch/nn/modules/container/modulelist.h>

#include <algorithm>
#include <numeric>
#include <string>

namespace batchscope::models {
namespace {

constexpr std::int64_t kPatch = 4;
constexpr double kClassifierStd = 0.02;  // of the classifier

}  // namespace

SwinImpl::SwinImpl(const SwinOptions& options) : options_(options) {
  torch::nn::ModuleList features;
  const auto stem = std::make_shared<torch::nn::Module>();
  patches_ = stem->register_module(
      "0",
      Conv(ConvOptions{
          .in = 3, .out = options.width, .kernel = kPatch, .stride = kPatch, .padding = 0}));
  norm_ = stem->register_module("2",
                                torch::nn::LayerNorm(torch::nn::LayerNormOptions({options.width})));
  features->push_back(stem);
  const auto all = std::accumulate(options.blocks.begin(), options.blocks.end(), std::int64_t{0});
  std::int64_t number = 0;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    const std::int64_t width = channels()[i];
    if (i > 0) {
      merges_.emplace_back(width / 2);
      features->push_back(merges_.back());
    }
    torch::nn::ModuleList stage;
    for (std::int64_t b = 0; b < options.blocks[i]; ++b, ++number) {
      stages_[i].emplace_back(
          SwinBlockOptions{.channels = width,
                           .heads = options.heads[i],
                           .window = options.window,
                           .shift = b % 2 == 0 ? 0 : options.window / 2,
                           .drop = options.stochastic_depth * static_cast<double>(number) /
                                   static_cast<double>(std::max<std::int64_t>(1, all - 1))});
      stage->push_back(stages_[i].back());
    }
    features->push_back(stage);
  }
  register_module("features", features);
}

std::vector<torch::Tensor> SwinImpl::forward(const torch::Tensor& x,
                                             const torch::Generator& generator) {
  torch::Tensor y = norm_->forward(patches_->forward(x).permute({0, 2, 3, 1}));
  std::vector<torch::Tensor> maps;
  for (std::size_t i = 0; i < stages_.size(); ++i) {
    y = i > 0 ? merges_[i - 1]->forward(y) : y;
    for (SwinBlock& block : stages_[i]) {
      y = block->forward(y, generator);
    }
    maps.push_back(y.permute({0, 3, 1, 2}));
  }
  return maps;
}

std::vector<std::int64_t> SwinImpl::channels() const {
  const std::int64_t w = options_.width;
  return {w, 2 * w, 4 * w, 8 * w};
}

void SwinImpl::initialise(torch::Generator& generator) {
  init::torch_default(patches_->weight, patches_->bias, generator);
  const auto each = [&](auto draw) {
    for (std::size_t i = 0; i < stages_.size(); ++i) {
      if (i > 0) {
        draw(*merges_[i - 1]);
      }
      for (SwinBlock& block : stages_[i]) {
        draw(*block);
      }
    }
  };
  const torch::Tensor classifier = torch::empty({options_.classifier, channels()[3]});
  each([&](auto& part) { part.draw_defaults(generator); });
  if (options_.classifier > 0) {
    init::torch_default(classifier, torch::empty({options_.classifier}), generator);
  }
  each([&](auto& part) { part.draw_final(generator); });
  if (options_.classifier > 0) {
    init::truncated_normal(classifier, kClassifierStd, generator);
  }
}

void SwinImpl::train_layers(std::int64_t count) {
  check_trained_layers(count);
  for (const auto& item : named_parameters()) {
    // features.0 is the stem, .1 the first stage, and then a merge and its stage each.
    const std::int64_t part = std::stoll(item.key().substr(std::string("features.").size()));
    const std::int64_t stage = part == 0 ? 0 : part / 2 + 1;
    item.value().set_requires_grad(stage > 4 - count);
  }
}

}  // namespace batchscope::models
