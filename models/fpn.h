#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <vector>

namespace batchscope::models {

/// What a pyramid has above the level of the coarsest map.
enum class TopLevels {
  kPool,           // one more, the coarsest subsampled by 2
  kP6P7FromLevel,  // two 3x3 convolutions of stride 2, from the coarsest level
  kP6P7FromMap,    // the same, from the coarsest map of the body
};

struct FpnOptions {
  std::int64_t channels = 256;
  TopLevels top = TopLevels::kPool;
  std::optional<NormOptions> norm;  // none: convolutions with a bias
};

/// A feature pyramid: 1x1 convolutions from each map to `channels`, sums with the upsampled
/// coarser level, 3x3 convolutions; then the top levels. Names and semantics: torchvision's
/// FeaturePyramidNetwork with LastLevelMaxPool or LastLevelP6P7.
class FpnImpl : public torch::nn::Module {
 public:
  FpnImpl(const std::vector<std::int64_t>& in, const FpnOptions& options);
  /// features: finest first. Returns one or two levels more than it is given, finest first.
  std::vector<torch::Tensor> forward(const std::vector<torch::Tensor>& features);
  /// Kaiming uniform (a = 1), biases 0: torchvision's draws, in its order.
  void initialise(torch::Generator& generator);

 private:
  FpnOptions options_;
  std::vector<ConvBlock> inner_, layer_;
  Conv p6_ = nullptr, p7_ = nullptr;
};
TORCH_MODULE(Fpn);

}  // namespace batchscope::models
