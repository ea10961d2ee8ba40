#pragma once

#include <torch/nn/module.h>

#include <vector>

namespace batchscope::models {

/// A network that a feature pyramid stands on.
class Body : public torch::nn::Module {
 public:
  /// [N, 3, H, W] -> four feature maps [N, C, h, w] of strides 4, 8, 16, 32. `generator`: where the
  /// random choices of a training come from; undefined: none are made.
  virtual std::vector<torch::Tensor> forward(const torch::Tensor& x,
                                             const torch::Generator& generator) = 0;
  /// Channels of the four maps.
  virtual std::vector<std::int64_t> channels() const = 0;
  /// torchvision's draws, in its order.
  virtual void initialise(torch::Generator& generator) = 0;
  /// Trains the last `count` of the stem and the four stages (0…5) and freezes the rest. Throws
  /// std::invalid_argument for another count.
  virtual void train_layers(std::int64_t count) = 0;
};

/// Throws std::invalid_argument unless count is 0…5.
void check_trained_layers(std::int64_t count);

}  // namespace batchscope::models
