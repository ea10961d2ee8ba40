#include "models/fpn_backbone.h"

namespace batchscope::models {

FpnBackboneImpl::FpnBackboneImpl(const FpnBackboneOptions& options)
    : first_map_(options.first_map) {
  body_ = register_module("body", ResNet(options.body));
  body_->train_layers(options.trainable_layers);
  auto channels = options.body.channels();
  channels.erase(channels.begin(), channels.begin() + static_cast<std::ptrdiff_t>(first_map_));
  fpn_ = register_module("fpn", Fpn(channels, options.fpn));
}

std::vector<torch::Tensor> FpnBackboneImpl::forward(const torch::Tensor& images) {
  // The CPU's convolutions compute in this order: in the other one they copy in and out.
  auto maps = body_->forward(images.contiguous(torch::MemoryFormat::ChannelsLast));
  maps.erase(maps.begin(), maps.begin() + static_cast<std::ptrdiff_t>(first_map_));
  return fpn_->forward(maps);
}

void FpnBackboneImpl::initialise(torch::Generator& generator) {
  body_->initialise(generator);
  fpn_->initialise(generator);
}

}  // namespace batchscope::models
