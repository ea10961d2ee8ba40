#include "models/fpn_backbone.h"

namespace batchscope::models {
namespace {

std::shared_ptr<Body> make_body(const BodyOptions& options) {
  if (const auto* swin = std::get_if<SwinOptions>(&options)) {
    return std::make_shared<SwinImpl>(*swin);
  }
  return std::make_shared<ResNetImpl>(std::get<ResNetOptions>(options));
}

}  // namespace

BodyOptions body_options(const std::string& name, const NormOptions& norm) {
  if (name == "swin_t") {
    return SwinOptions{};
  }
  ResNetOptions options = resnet_options(name);
  options.norm = norm;
  return options;
}

FpnBackboneImpl::FpnBackboneImpl(const FpnBackboneOptions& options)
    : first_map_(options.first_map) {
  body_ = register_module("body", make_body(options.body));
  body_->train_layers(options.trainable_layers);
  auto channels = body_->channels();
  channels.erase(channels.begin(), channels.begin() + static_cast<std::ptrdiff_t>(first_map_));
  fpn_ = register_module("fpn", Fpn(channels, options.fpn));
}

std::vector<torch::Tensor> FpnBackboneImpl::forward(const torch::Tensor& images,
                                                    const torch::Generator& generator) {
  // The CPU's convolutions compute in this order: in the other one they copy in and out.
  auto maps = body_->forward(images.contiguous(torch::MemoryFormat::ChannelsLast), generator);
  maps.erase(maps.begin(), maps.begin() + static_cast<std::ptrdiff_t>(first_map_));
  return fpn_->forward(maps);
}

void FpnBackboneImpl::initialise(torch::Generator& generator) {
  body_->initialise(generator);
  fpn_->initialise(generator);
}

}  // namespace batchscope::models
