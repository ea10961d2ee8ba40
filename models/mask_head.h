#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <vector>

namespace batchscope::models {

struct MaskHeadOptions {
  std::int64_t channels = 256;      // of every convolution
  std::int64_t convolutions = 4;    // 3x3, on the pooled regions
  std::optional<NormOptions> norm;  // of those; none: with a bias
  std::int64_t pool_size = 14;      // bins per direction; masks have twice as many
};

/// 3x3 convolutions on pooled regions: torchvision's MaskRCNNHeads (children 0, 1, …).
class MaskHeadImpl : public torch::nn::Module {
 public:
  MaskHeadImpl(std::int64_t in, const MaskHeadOptions& options);
  /// [K, in, s, s] -> [K, channels, s, s].
  torch::Tensor forward(const torch::Tensor& pooled);
  /// torchvision's draws, in its order.
  void initialise(torch::Generator& generator);

 private:
  std::vector<ConvBlock> convs_;
};
TORCH_MODULE(MaskHead);

/// Doubles the sides and gives a logit per class: torchvision's MaskRCNNPredictor (children
/// conv5_mask, mask_fcn_logits).
class MaskPredictorImpl : public torch::nn::Module {
 public:
  MaskPredictorImpl(std::int64_t channels, std::int64_t num_classes);
  /// [K, channels, s, s] -> [K, C, 2s, 2s].
  torch::Tensor forward(const torch::Tensor& x);
  void initialise(torch::Generator& generator);

 private:
  Conv conv5_ = nullptr, logits_ = nullptr;
};
TORCH_MODULE(MaskPredictor);

/// What the mask of each region should be. masks: [T, H, W] of any number type, 0 or 1; truth:
/// [K] int64, each region's true object; regions: [K, 4] boxes in pixels of the masks. Returns
/// [K, size, size] of the regions' dtype: the mask averaged over the bins of the region. Memory
/// beyond the result is that of a few masks. Source: torchvision's project_masks_on_boxes.
torch::Tensor project_masks(const torch::Tensor& masks,
                            const torch::Tensor& truth,
                            const torch::Tensor& regions,
                            std::int64_t size);

/// Masks of regions as masks of a picture. probabilities: [K, M, M]; boxes: [K, 4] in its pixels.
/// Returns [K, height, width] uint8: 1 where the probability is > 0.5. Source: torchvision's
/// paste_masks_in_image (boxes grown by one bin and cut to whole pixels, bilinear).
torch::Tensor paste_masks(const torch::Tensor& probabilities,
                          const torch::Tensor& boxes,
                          std::int64_t height,
                          std::int64_t width);

}  // namespace batchscope::models
