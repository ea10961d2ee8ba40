#include "models/resnet.h"

#include "models/init.h"

#include <torch/nn/modules/container/modulelist.h>

#include <stdexcept>

namespace batchscope::models {
namespace {

std::shared_ptr<ResidualBlock> make_block(const ResNetOptions& options,
                                          std::int64_t in,
                                          std::int64_t width,
                                          std::int64_t stride) {
  if (options.bottleneck) {
    return std::make_shared<Bottleneck>(in, width, stride, options.norm);
  }
  return std::make_shared<BasicBlock>(in, width, stride, options.norm);
}

}  // namespace

std::vector<std::int64_t> ResNetOptions::channels() const {
  std::vector<std::int64_t> out(widths.begin(), widths.end());
  for (std::int64_t& width : out) {
    width *= bottleneck ? Bottleneck::kExpansion : BasicBlock::kExpansion;
  }
  return out;
}

ResNetOptions resnet_options(const std::string& name) {
  ResNetOptions options;
  options.bottleneck = name == "resnet50" || name == "resnet101";
  if (name == "resnet34" || name == "resnet50") {
    options.blocks = {3, 4, 6, 3};
  } else if (name == "resnet101") {
    options.blocks = {3, 4, 23, 3};
  } else if (name != "resnet18") {
    throw std::invalid_argument(
        "model.backbone: expected resnet18, resnet34, resnet50, resnet101 or swin_t, found \"" +
        name + "\"");
  }
  return options;
}

ResNetImpl::ResNetImpl(const ResNetOptions& options)
    : options_(options), bn1_(make_norm(options.norm, options.widths[0])) {
  conv1_ = register_module(
      "conv1",
      Conv(
          ConvOptions{.in = 3, .out = options.widths[0], .kernel = 7, .stride = 2, .bias = false}));
  register_module("bn1", bn1_.ptr());
  std::int64_t in = options.widths[0];
  const auto channels = options.channels();
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    torch::nn::ModuleList layer;
    for (std::int64_t b = 0; b < options.blocks[i]; ++b) {
      const std::int64_t stride = b == 0 && i > 0 ? 2 : 1;
      layers_[i].push_back(make_block(options, in, options.widths[i], stride));
      layer->push_back(layers_[i].back());
      in = channels[i];
    }
    register_module("layer" + std::to_string(i + 1), layer);
  }
}

std::vector<torch::Tensor> ResNetImpl::forward(const torch::Tensor& x,
                                               const torch::Generator& /*generator*/) {
  torch::Tensor y = conv_norm(conv1_, bn1_, x).relu_();
  y = at::max_pool2d(y, 3, 2, 1);
  std::vector<torch::Tensor> features;
  for (auto& layer : layers_) {
    for (const auto& block : layer) {
      y = block->forward(y);
    }
    features.push_back(y);
  }
  return features;
}

void ResNetImpl::initialise(torch::Generator& generator) {
  init::torch_default(conv1_->weight, {}, generator);
  for (const auto& layer : layers_) {
    for (const auto& block : layer) {
      block->draw_defaults(generator);
    }
  }
  if (options_.classifier > 0) {
    const auto classes = options_.classifier;
    init::torch_default(
        torch::empty({classes, options_.channels()[3]}), torch::empty({classes}), generator);
  }
  for (const auto& item : named_parameters()) {
    if (item.value().dim() == 4) {
      init::kaiming_normal_fan_out(item.value(), generator);
    }
  }
}

void ResNetImpl::train_layers(std::int64_t count) {
  check_trained_layers(count);
  const std::array<std::string, 5> order = {"layer4.", "layer3.", "layer2.", "layer1.", "conv1."};
  for (const auto& item : named_parameters()) {
    bool trained = count == 5 && item.key().rfind("bn1.", 0) == 0;
    for (std::int64_t i = 0; i < count; ++i) {
      trained = trained || item.key().rfind(order[static_cast<std::size_t>(i)], 0) == 0;
    }
    item.value().set_requires_grad(trained);
  }
}

}  // namespace batchscope::models
