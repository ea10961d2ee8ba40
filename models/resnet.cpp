#include "models/resnet.h"

#include "models/init.h"

#include <stdexcept>

namespace batchscope::models {

BasicBlockImpl::BasicBlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride, Norm norm)
    : bn1_(make_norm(norm, out)), bn2_(make_norm(norm, out)) {
  conv1_ = register_module(
      "conv1", Conv(ConvOptions{.in = in, .out = out, .stride = stride, .bias = false}));
  register_module("bn1", bn1_.ptr());
  conv2_ = register_module("conv2", Conv(ConvOptions{.in = out, .out = out, .bias = false}));
  register_module("bn2", bn2_.ptr());
  if (stride != 1 || in != out) {
    downsample_ =
        register_module("downsample",
                        ConvBlock(ConvOptions{.in = in, .out = out, .kernel = 1, .stride = stride},
                                  make_norm(norm, out),
                                  /*relu=*/false));
  }
}

torch::Tensor BasicBlockImpl::forward(const torch::Tensor& x) {
  const torch::Tensor shortcut = downsample_.is_empty() ? x : downsample_->forward(x);
  const torch::Tensor y = bn1_.forward<torch::Tensor>(conv1_->forward(x)).relu_();
  return bn2_.forward<torch::Tensor>(conv2_->forward(y)).add_(shortcut).relu_();
}

ResNetImpl::ResNetImpl(const ResNetOptions& options)
    : bn1_(make_norm(options.norm, options.widths[0])) {
  conv1_ = register_module(
      "conv1",
      Conv(
          ConvOptions{.in = 3, .out = options.widths[0], .kernel = 7, .stride = 2, .bias = false}));
  register_module("bn1", bn1_.ptr());
  std::int64_t in = options.widths[0];
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    torch::nn::ModuleList layer;
    for (std::int64_t b = 0; b < options.blocks[i]; ++b) {
      const std::int64_t stride = b == 0 && i > 0 ? 2 : 1;
      layers_[i].emplace_back(in, options.widths[i], stride, options.norm);
      layer->push_back(layers_[i].back());
      in = options.widths[i];
    }
    register_module("layer" + std::to_string(i + 1), layer);
  }
}

std::vector<torch::Tensor> ResNetImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = bn1_.forward<torch::Tensor>(conv1_->forward(x)).relu_();
  y = at::max_pool2d(y, 3, 2, 1);
  std::vector<torch::Tensor> features;
  for (auto& layer : layers_) {
    for (BasicBlock& block : layer) {
      y = block->forward(y);
    }
    features.push_back(y);
  }
  return features;
}

void ResNetImpl::initialise(torch::Generator& generator) {
  for (const auto& item : named_parameters()) {
    if (item.value().dim() == 4) {
      init::kaiming_normal_fan_out(item.value(), generator);
    }
  }
}

void ResNetImpl::train_layers(std::int64_t count) {
  if (count < 0 || count > 5) {
    throw std::invalid_argument("model.trainable_layers: expected 0 to 5, found " +
                                std::to_string(count));
  }
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
