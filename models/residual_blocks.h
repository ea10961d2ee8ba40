#pragma once

#include "models/layers.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>

#include <memory>

namespace batchscope::models {

/// Convolutions around a shortcut, [N, in, H, W] -> [N, out, H / stride, W / stride]. Names and
/// semantics: torchvision's BasicBlock and Bottleneck (stride in the 3x3 convolution).
class ResidualBlock : public torch::nn::Module {
 public:
  virtual torch::Tensor forward(const torch::Tensor& x) = 0;
  /// What building the block in torch draws: its shortcut's convolution first.
  void draw_defaults(torch::Generator& generator);

 protected:
  /// A convolution without bias and its norm, as children `conv<number>` and `bn<number>`.
  struct Stage {
    Conv conv = nullptr;
    torch::nn::AnyModule norm;
    torch::Tensor forward(const torch::Tensor& x) { return conv_norm(conv, norm, x); }
  };
  Stage add_stage(int number, const ConvOptions& conv, const NormOptions& norm);
  /// The child downsample, where the shapes differ.
  void add_shortcut(std::int64_t in,
                    std::int64_t out,
                    std::int64_t stride,
                    const NormOptions& norm);
  /// relu(y + shortcut of x); y is changed.
  torch::Tensor join(const torch::Tensor& y, const torch::Tensor& x);

 private:
  ConvBlock downsample_ = nullptr;  // empty where the shapes agree
};

/// Two 3x3 convolutions of `width` channels; out = width.
class BasicBlock : public ResidualBlock {
 public:
  static constexpr std::int64_t kExpansion = 1;
  BasicBlock(std::int64_t in, std::int64_t width, std::int64_t stride, const NormOptions& norm);
  torch::Tensor forward(const torch::Tensor& x) override;

 private:
  Stage first_, second_;
};

/// 1x1, 3x3 and 1x1 convolutions, the first two of `width` channels; out = 4 width.
class Bottleneck : public ResidualBlock {
 public:
  static constexpr std::int64_t kExpansion = 4;
  Bottleneck(std::int64_t in, std::int64_t width, std::int64_t stride, const NormOptions& norm);
  torch::Tensor forward(const torch::Tensor& x) override;

 private:
  Stage first_, second_, third_;
};

}  // namespace batchscope::models
