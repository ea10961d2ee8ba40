#pragma once

#include "models/fpn.h"
#include "models/resnet.h"

#include <torch/torch.h>

#include <vector>

namespace batchscope::models {

struct FpnBackboneOptions {
  ResNetOptions body;
  std::size_t first_map = 0;  // 0: all four maps of the body feed the pyramid; 1: from stride 8
  FpnOptions fpn;
  std::int64_t trainable_layers = 5;
};

/// A residual network under a feature pyramid: children body and fpn, torchvision's
/// BackboneWithFPN.
class FpnBackboneImpl : public torch::nn::Module {
 public:
  /// Throws std::invalid_argument unless trainable_layers is 0…5.
  explicit FpnBackboneImpl(const FpnBackboneOptions& options);
  /// [N, 3, H, W] -> pyramid levels, finest first, channels-last in memory.
  std::vector<torch::Tensor> forward(const torch::Tensor& images);
  void initialise(torch::Generator& generator);

 private:
  std::size_t first_map_;
  ResNet body_ = nullptr;
  Fpn fpn_ = nullptr;
};
TORCH_MODULE(FpnBackbone);

}  // namespace batchscope::models
