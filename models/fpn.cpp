#include "models/fpn.h"

#include "models/init.h"
#include "models/precision.h"

#include <torch/nn/modules/container/modulelist.h>

namespace batchscope::models {
namespace {

ConvBlock make_block(ConvOptions conv, const std::optional<NormOptions>& norm) {
  return norm ? ConvBlock(conv, make_norm(*norm, conv.out), /*relu=*/false)
              : ConvBlock(conv, /*relu=*/false);
}

}  // namespace

FpnImpl::FpnImpl(const std::vector<std::int64_t>& in, const FpnOptions& options)
    : options_(options) {
  torch::nn::ModuleList inner, layer;
  const std::int64_t out = options.channels;
  for (const std::int64_t channels : in) {
    inner_.push_back(make_block({.in = channels, .out = out, .kernel = 1}, options.norm));
    layer_.push_back(make_block({.in = out, .out = out}, options.norm));
    inner->push_back(inner_.back());
    layer->push_back(layer_.back());
  }
  register_module("inner_blocks", inner);
  register_module("layer_blocks", layer);
  if (options.top != TopLevels::kPool) {
    const auto top = register_module("extra_blocks", std::make_shared<torch::nn::Module>());
    const std::int64_t from = options.top == TopLevels::kP6P7FromMap ? in.back() : out;
    p6_ = top->register_module("p6", Conv(ConvOptions{.in = from, .out = out, .stride = 2}));
    p7_ = top->register_module("p7", Conv(ConvOptions{.in = out, .out = out, .stride = 2}));
  }
}

std::vector<torch::Tensor> FpnImpl::forward(const std::vector<torch::Tensor>& features) {
  TORCH_CHECK(features.size() == inner_.size(),
              "fpn: expected ",
              inner_.size(),
              " maps, found ",
              features.size());
  std::vector<torch::Tensor> levels(features.size());
  torch::Tensor above;
  for (std::size_t i = features.size(); i-- > 0;) {
    torch::Tensor inner = inner_[i]->forward(features[i]);
    if (above.defined()) {
      inner.add_(at::upsample_nearest2d(above, {inner.size(2), inner.size(3)}));
    }
    levels[i] = layer_[i]->forward(inner);
    above = inner;
  }
  if (options_.top == TopLevels::kPool) {
    levels.push_back(at::max_pool2d(levels.back(), 1, 2));
    return levels;
  }
  // Small maps, out of autocast: oneDNN's bf16 gradient of a strided convolution over a single
  // pixel is garbage on CPUs with AVX512-BF16 (LibTorch 2.11).
  const WithoutAutocast full;
  levels.push_back(p6_->forward(
      full_precision(options_.top == TopLevels::kP6P7FromMap ? features.back() : levels.back())));
  levels.push_back(p7_->forward(levels.back().relu()));
  return levels;
}

void FpnImpl::initialise(torch::Generator& generator) {
  if (!p6_.is_empty()) {
    for (const Conv& conv : {p6_, p7_}) {
      init::torch_default(conv->weight, conv->bias, generator);
    }
    for (const Conv& conv : {p6_, p7_}) {
      init::kaiming_uniform(conv->weight, 1, generator);
      init::zero(conv->bias);
    }
  }
  for (std::size_t i = 0; i < inner_.size(); ++i) {
    for (const Conv& conv : {inner_[i]->conv, layer_[i]->conv}) {
      init::torch_default(conv->weight, conv->bias, generator);
    }
  }
  for (const auto& blocks : {inner_, layer_}) {
    for (const ConvBlock& block : blocks) {
      init::kaiming_uniform(block->conv->weight, 1, generator);
      init::zero(block->conv->bias);
    }
  }
}

}  // namespace batchscope::models
