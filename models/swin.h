#pragma once

#include "models/body.h"
#include "models/swin_block.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <torch/nn/pimpl.h>

#include <array>
#include <vector>

namespace batchscope::models {

/// The defaults are torchvision's swin_t.
struct SwinOptions {
  std::int64_t width = 96;  // channels of the first stage; each further one has twice as many
  std::array<std::int64_t, 4> blocks = {2, 2, 6, 2};
  std::array<std::int64_t, 4> heads = {3, 6, 12, 24};
  std::int64_t window = 7;
  double stochastic_depth = 0.2;  // of the last block; falls linearly to 0 at the first
  /// Classes of the classifier that torch draws weights for when it builds the network, and that a
  /// detector leaves out; 0: none.
  std::int64_t classifier = 1000;
};

/// A Swin Transformer without its last norm and classifier (Liu et al. 2021): patches of 4x4 px,
/// four stages. Pictures of any size. Names (features.*) and semantics: torchvision's
/// SwinTransformer; the maps are the outputs of features.1, .3, .5 and .7, [N, C, h, w],
/// channels-last in memory. Its norms are layer norms, whatever the norm of a ResNet would be.
class SwinImpl : public Body {
 public:
  explicit SwinImpl(const SwinOptions& options);
  std::vector<torch::Tensor> forward(const torch::Tensor& x,
                                     const torch::Generator& generator) override;
  std::vector<std::int64_t> channels() const override;
  void initialise(torch::Generator& generator) override;
  void train_layers(std::int64_t count) override;

 private:
  SwinOptions options_;
  Conv patches_ = nullptr;
  torch::nn::LayerNorm norm_ = nullptr;
  std::array<std::vector<SwinBlock>, 4> stages_;
  std::vector<PatchMerging> merges_;  // before each stage but the first
};
TORCH_MODULE(Swin);

}  // namespace batchscope::models
