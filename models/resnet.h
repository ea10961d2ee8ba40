#pragma once

#include "models/layers.h"

#include <torch/torch.h>

#include <array>
#include <vector>

namespace batchscope::models {

struct ResNetOptions {
  std::array<std::int64_t, 4> widths = {64, 128, 256, 512};
  std::array<std::int64_t, 4> blocks = {2, 2, 2, 2};
  Norm norm = Norm::kBatch;
};

/// Two 3x3 convolutions around a shortcut; names conv1, bn1, conv2, bn2, downsample.
class BasicBlockImpl : public torch::nn::Module {
 public:
  BasicBlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride, Norm norm);
  torch::Tensor forward(const torch::Tensor& x);

 private:
  Conv conv1_ = nullptr, conv2_ = nullptr;
  torch::nn::AnyModule bn1_, bn2_;
  ConvBlock downsample_ = nullptr;  // empty where the shapes agree
};
TORCH_MODULE(BasicBlock);

/// A residual network without its classifier: 7x7 stem of stride 2, max pooling, four layers.
/// [N, 3, H, W] -> feature maps of strides 4, 8, 16, 32. Names and semantics: torchvision's ResNet.
class ResNetImpl : public torch::nn::Module {
 public:
  explicit ResNetImpl(const ResNetOptions& options);
  std::vector<torch::Tensor> forward(const torch::Tensor& x);
  /// Kaiming normal (fan out) convolutions.
  void initialise(torch::Generator& generator);
  /// Trains the last `count` of conv1, layer1…layer4 (0…5; 5 trains the stem's norm too) and
  /// freezes the rest. Throws std::invalid_argument for another count.
  void train_layers(std::int64_t count);

 private:
  Conv conv1_ = nullptr;
  torch::nn::AnyModule bn1_;
  std::array<std::vector<BasicBlock>, 4> layers_;
};
TORCH_MODULE(ResNet);

}  // namespace batchscope::models
