#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/pimpl.h>

#include <string>
#include <utility>

namespace batchscope::models {

/// The layers of the detectors. Unlike torch::nn's, they draw no random numbers when they are
/// built: weights start at zero and the builder initialises them from its own generator.
/// Parameter names are torch's.

struct ConvOptions {
  std::int64_t in = 0, out = 0;
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
  std::int64_t padding = -1;  // -1: (kernel - 1) / 2
  bool bias = true;
};

/// [N, in, H, W] -> [N, out, H', W'].
class ConvImpl : public torch::nn::Module {
 public:
  explicit ConvImpl(const ConvOptions& options);
  torch::Tensor forward(const torch::Tensor& x) const;
  /// The same convolution with another weight and bias.
  torch::Tensor forward_with(const torch::Tensor& x,
                             const torch::Tensor& other_weight,
                             const torch::Tensor& other_bias) const;

  torch::Tensor weight;  // [out, in, kernel, kernel]
  torch::Tensor bias;    // [out], or undefined

 private:
  std::int64_t stride_, padding_;
};
TORCH_MODULE(Conv);

/// [N, in] -> [N, out].
class DenseImpl : public torch::nn::Module {
 public:
  DenseImpl(std::int64_t in, std::int64_t out);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight;  // [out, in]
  torch::Tensor bias;    // [out]
};
TORCH_MODULE(Dense);

/// Group normalisation over `groups` groups of channels.
class GroupNormImpl : public torch::nn::Module {
 public:
  GroupNormImpl(std::int64_t groups, std::int64_t channels, double eps = 1e-5);
  torch::Tensor forward(const torch::Tensor& x);

  torch::Tensor weight, bias;  // [channels]

 private:
  std::int64_t groups_;
  double eps_;
};
TORCH_MODULE(GroupNorm);

/// Batch normalisation with everything fixed: four buffers, nothing to train.
/// Source: torchvision.ops.FrozenBatchNorm2d.
class FrozenBatchNormImpl : public torch::nn::Module {
 public:
  explicit FrozenBatchNormImpl(std::int64_t channels, double eps = 1e-5);
  torch::Tensor forward(const torch::Tensor& x);
  /// The convolution and this norm after it as one convolution: its output for `x` costs no pass
  /// over the feature map beyond the convolution's own.
  torch::Tensor forward_with(const Conv& conv, const torch::Tensor& x) const;

  torch::Tensor weight, bias, running_mean, running_var;  // [channels]

 private:
  /// What every channel is multiplied by, and what is added then.
  std::pair<torch::Tensor, torch::Tensor> affine() const;

  double eps_;
};
TORCH_MODULE(FrozenBatchNorm);

enum class Norm { kGroup, kFrozen, kBatch, kSyncBatch };

/// "gn", "frozen", "bn" or "syncbn". Throws std::invalid_argument for another name.
Norm parse_norm(const std::string& name);

struct NormOptions {
  Norm kind = Norm::kBatch;
  double eps = 1e-5;  // torchvision's COCO_V1 detectors with frozen norms need 0
};

/// A normalisation layer of that kind: groups of 8 channels for kGroup (at least one group).
torch::nn::AnyModule make_norm(const NormOptions& norm, std::int64_t channels);

/// norm(conv(x)); a frozen norm is folded into the convolution. Nothing else holds the result, so
/// that it may be changed in place.
torch::Tensor conv_norm(const Conv& conv, torch::nn::AnyModule& norm, const torch::Tensor& x);

/// Convolution, normalisation and ReLU as children "0", "1", "2", as in torchvision's
/// Conv2dNormActivation; without a norm the convolution has a bias.
class ConvBlockImpl : public torch::nn::Module {
 public:
  explicit ConvBlockImpl(ConvOptions options, bool relu);
  ConvBlockImpl(ConvOptions options, torch::nn::AnyModule norm, bool relu);
  torch::Tensor forward(const torch::Tensor& x);

  Conv conv = nullptr;

 private:
  torch::nn::AnyModule norm_;
  bool relu_;
};
TORCH_MODULE(ConvBlock);

}  // namespace batchscope::models
