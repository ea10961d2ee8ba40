#include "models/layers.h"

#include "models/sync_batch_norm.h"

#include <stdexcept>

namespace batchscope::models {

ConvImpl::ConvImpl(const ConvOptions& options)
    : stride_(options.stride),
      padding_(options.padding >= 0 ? options.padding : (options.kernel - 1) / 2) {
  weight = register_parameter(
      "weight", torch::zeros({options.out, options.in, options.kernel, options.kernel}));
  if (options.bias) {
    bias = register_parameter("bias", torch::zeros({options.out}));
  }
}

torch::Tensor ConvImpl::forward(const torch::Tensor& x) const {
  return forward_with(x, weight, bias);
}

torch::Tensor ConvImpl::forward_with(const torch::Tensor& x,
                                     const torch::Tensor& other_weight,
                                     const torch::Tensor& other_bias) const {
  return at::conv2d(x, other_weight, other_bias, stride_, padding_);
}

DenseImpl::DenseImpl(std::int64_t in, std::int64_t out) {
  weight = register_parameter("weight", torch::zeros({out, in}));
  bias = register_parameter("bias", torch::zeros({out}));
}

torch::Tensor DenseImpl::forward(const torch::Tensor& x) {
  return at::linear(x, weight, bias);
}

GroupNormImpl::GroupNormImpl(std::int64_t groups, std::int64_t channels, double eps)
    : groups_(groups), eps_(eps) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
}

torch::Tensor GroupNormImpl::forward(const torch::Tensor& x) {
  return at::group_norm(x, groups_, weight, bias, eps_);
}

FrozenBatchNormImpl::FrozenBatchNormImpl(std::int64_t channels, double eps) : eps_(eps) {
  weight = register_buffer("weight", torch::ones({channels}));
  bias = register_buffer("bias", torch::zeros({channels}));
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
}

std::pair<torch::Tensor, torch::Tensor> FrozenBatchNormImpl::affine() const {
  torch::Tensor scale = weight * (running_var + eps_).rsqrt();
  torch::Tensor shift = bias - running_mean * scale;
  return {std::move(scale), std::move(shift)};
}

torch::Tensor FrozenBatchNormImpl::forward(const torch::Tensor& x) {
  const auto [scale, shift] = affine();
  return x * scale.view({1, -1, 1, 1}) + shift.view({1, -1, 1, 1});
}

torch::Tensor FrozenBatchNormImpl::forward_with(const Conv& conv, const torch::Tensor& x) const {
  const auto [scale, shift] = affine();
  return conv->forward_with(x,
                            conv->weight * scale.view({-1, 1, 1, 1}),
                            conv->bias.defined() ? shift + conv->bias * scale : shift);
}

Norm parse_norm(const std::string& name) {
  if (name == "gn") {
    return Norm::kGroup;
  }
  if (name == "frozen") {
    return Norm::kFrozen;
  }
  if (name == "bn") {
    return Norm::kBatch;
  }
  if (name == "syncbn") {
    return Norm::kSyncBatch;
  }
  throw std::invalid_argument("model.norm: expected gn, frozen, bn or syncbn, found \"" + name +
                              "\"");
}

torch::nn::AnyModule make_norm(const NormOptions& norm, std::int64_t channels) {
  switch (norm.kind) {
    case Norm::kGroup:
      return torch::nn::AnyModule(
          GroupNorm(std::max<std::int64_t>(1, channels / 8), channels, norm.eps));
    case Norm::kFrozen:
      return torch::nn::AnyModule(FrozenBatchNorm(channels, norm.eps));
    case Norm::kBatch:
      return torch::nn::AnyModule(
          torch::nn::BatchNorm2d(torch::nn::BatchNorm2dOptions(channels).eps(norm.eps)));
    case Norm::kSyncBatch:
      return torch::nn::AnyModule(
          SyncBatchNorm(torch::nn::BatchNorm2dOptions(channels).eps(norm.eps)));
  }
  throw std::invalid_argument("make_norm: not a norm");
}

torch::Tensor conv_norm(const Conv& conv, torch::nn::AnyModule& norm, const torch::Tensor& x) {
  if (auto* frozen = norm.ptr()->as<FrozenBatchNorm>()) {
    return frozen->forward_with(conv, x);
  }
  return norm.forward<torch::Tensor>(conv->forward(x));
}

ConvBlockImpl::ConvBlockImpl(ConvOptions options, bool relu) : relu_(relu) {
  conv = register_module("0", Conv(options));
}

ConvBlockImpl::ConvBlockImpl(ConvOptions options, torch::nn::AnyModule norm, bool relu)
    : norm_(std::move(norm)), relu_(relu) {
  options.bias = false;
  conv = register_module("0", Conv(options));
  register_module("1", norm_.ptr());
}

torch::Tensor ConvBlockImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = norm_.is_empty() ? conv->forward(x) : conv_norm(conv, norm_, x);
  return relu_ ? y.relu_() : y;
}

}  // namespace batchscope::models
