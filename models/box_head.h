#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>

#include <optional>
#include <vector>

namespace batchscope::models {

struct BoxHeadOptions {
  std::int64_t hidden = 1024;
  std::int64_t convolutions = 0;    // 0: two hidden layers; else that many 3x3, then one
  std::optional<NormOptions> norm;  // of the convolutions
};

/// Pooled regions [K, channels, size, size] -> [K, hidden].
class BoxHead : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& pooled) = 0;
  /// torchvision's draws, in its order.
  virtual void initialise(torch::Generator& generator) = 0;
};

/// torchvision's TwoMLPHead (fc6, fc7), or its FastRCNNConvFCHead (0, 1, …: convolutions; after
/// the number of the flattening: the hidden layer).
std::shared_ptr<BoxHead> make_box_head(std::int64_t channels,
                                       std::int64_t size,
                                       const BoxHeadOptions& options);

/// Class logits and box offsets from hidden features: children cls_score and bbox_pred.
class BoxPredictorImpl : public torch::nn::Module {
 public:
  BoxPredictorImpl(std::int64_t hidden, std::int64_t num_classes);
  /// [K, C] and [K, 4·C].
  std::pair<torch::Tensor, torch::Tensor> forward(const torch::Tensor& features);
  /// torch's defaults for linear layers.
  void initialise(torch::Generator& generator);

 private:
  Dense cls_score_ = nullptr, bbox_pred_ = nullptr;
};
TORCH_MODULE(BoxPredictor);

}  // namespace batchscope::models
