#pragma once

#include "models/detector.h"
#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <utility>
#include <vector>

namespace batchscope::models {

struct SemanticHeadOptions {
  std::int64_t num_classes = 54;  // the head's: its class 0 may stand for several labels
  /// Target::semantic's labels 1…k are class 0, label k + c is class c.
  std::int64_t labels_of_class_0 = 1;
  std::int64_t channels = 128;  // of every convolution; groups of 4 are normalised
  double loss_weight = 1;
};

/// Classes of pixels from a feature pyramid: per level 3x3 convolutions with group normalisation,
/// ReLU and doubling of the sides up to the finest level's, their sum, a 1x1 convolution, and four
/// times the sides (in the loss and the labelling, where that many logits need not all exist).
/// Children: levels.<level>.<convolution>.{0, 1}, predictor. Source: Kirillov et al. 2019, Panoptic
/// Feature Pyramid Networks, figure 3; the layout is detectron2's SemSegFPNHead.
class SemanticHeadImpl : public torch::nn::Module {
 public:
  SemanticHeadImpl(std::int64_t in, std::int64_t levels, const SemanticHeadOptions& options);

  /// features: at least as many levels [N, in, H, W] as the head has, finest (stride 4) first, each
  /// with half the sides of the one before. Returns logits [N, num_classes, H, W] as the finest.
  torch::Tensor forward(const std::vector<torch::Tensor>& features);
  /// Cross entropy as a mean over all labelled pixels of the micro-batch, times the weight; 0 where
  /// none is labelled. logits: of forward(); each counts for 4x4 pixels, with bilinear weights.
  torch::Tensor loss(const torch::Tensor& logits, const std::vector<Target>& targets) const;
  /// Kaiming normal (fan out) weights, biases 0.
  void initialise(torch::Generator& generator);

  const SemanticHeadOptions& options() const { return options_; }

 private:
  SemanticHeadOptions options_;
  std::vector<std::vector<ConvBlock>> levels_;
  Conv predictor_ = nullptr;
};
TORCH_MODULE(SemanticHead);

/// The best class of each pixel of a picture. logits: [C, H, W] at stride 4; size: the picture's
/// part of the 4H x 4W pixels.
/// Returns [height, width] int64, 0…C - 1, on the logits' device.
torch::Tensor best_classes(const torch::Tensor& logits, std::pair<std::int64_t, std::int64_t> size);

}  // namespace batchscope::models
