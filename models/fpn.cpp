#include "models/fpn.h"

#include "models/init.h"

namespace batchscope::models {

FpnImpl::FpnImpl(const std::vector<std::int64_t>& in, std::int64_t out) {
  torch::nn::ModuleList inner, layer;
  for (const std::int64_t channels : in) {
    inner_.emplace_back(ConvOptions{.in = channels, .out = out, .kernel = 1}, /*relu=*/false);
    layer_.emplace_back(ConvOptions{.in = out, .out = out}, /*relu=*/false);
    inner->push_back(inner_.back());
    layer->push_back(layer_.back());
  }
  register_module("inner_blocks", inner);
  register_module("layer_blocks", layer);
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
      inner = inner + at::upsample_nearest2d(above, {inner.size(2), inner.size(3)});
    }
    levels[i] = layer_[i]->forward(inner);
    above = inner;
  }
  levels.push_back(at::max_pool2d(levels.back(), 1, 2));
  return levels;
}

void FpnImpl::initialise(torch::Generator& generator) {
  for (const auto& item : named_parameters()) {
    if (item.value().dim() == 4) {
      init::kaiming_uniform(item.value(), 1, generator);
    }
  }
}

}  // namespace batchscope::models
