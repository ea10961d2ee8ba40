#pragma once

#include "models/fpn.h"
#include "models/resnet.h"
#include "models/swin.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace batchscope::models {

using BodyOptions = std::variant<ResNetOptions, SwinOptions>;

/// The layout of resnet_options(name) with this norm, or of "swin_t", which has norms of its own.
/// Throws std::invalid_argument for another name.
BodyOptions body_options(const std::string& name, const NormOptions& norm);

struct FpnBackboneOptions {
  BodyOptions body;
  std::size_t first_map = 0;  // 0: all four maps of the body feed the pyramid; 1: from stride 8
  FpnOptions fpn;
  std::int64_t trainable_layers = 5;
};

/// A body under a feature pyramid: children body and fpn, torchvision's
/// BackboneWithFPN.
class FpnBackboneImpl : public torch::nn::Module {
 public:
  /// Throws std::invalid_argument unless trainable_layers is 0…5.
  explicit FpnBackboneImpl(const FpnBackboneOptions& options);
  /// [N, 3, H, W] -> pyramid levels, finest first, channels-last in memory. generator: as Body's.
  std::vector<torch::Tensor> forward(const torch::Tensor& images,
                                     const torch::Generator& generator = {});
  void initialise(torch::Generator& generator);

 private:
  std::size_t first_map_;
  std::shared_ptr<Body> body_;
  Fpn fpn_ = nullptr;
};
TORCH_MODULE(FpnBackbone);

}  // namespace batchscope::models
