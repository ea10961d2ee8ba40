#pragma once

#include "models/layers.h"

#include <torch/torch.h>

#include <vector>

namespace batchscope::models {

/// A feature pyramid: 1x1 convolutions from each map to `out` channels, sums with the upsampled
/// coarser level, 3x3 convolutions; then one more level, the coarsest subsampled by 2. Names and
/// semantics: torchvision's FeaturePyramidNetwork with LastLevelMaxPool.
class FpnImpl : public torch::nn::Module {
 public:
  FpnImpl(const std::vector<std::int64_t>& in, std::int64_t out);
  /// features: finest first. Returns one level more than it is given, finest first.
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& features);
  /// Kaiming uniform (a = 1), biases 0.
  void initialise(torch::Generator& generator);

 private:
  std::vector<ConvBlock> inner_, layer_;
};
TORCH_MODULE(Fpn);

}  // namespace batchscope::models
