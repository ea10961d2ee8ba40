#include "models/layers.h"

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

torch::Tensor ConvImpl::forward(const torch::Tensor& x) {
  return at::conv2d(x, weight, bias, stride_, padding_);
}

DenseImpl::DenseImpl(std::int64_t in, std::int64_t out) {
  weight = register_parameter("weight", torch::zeros({out, in}));
  bias = register_parameter("bias", torch::zeros({out}));
}

torch::Tensor DenseImpl::forward(const torch::Tensor& x) {
  return at::linear(x, weight, bias);
}

GroupNormImpl::GroupNormImpl(std::int64_t groups, std::int64_t channels) : groups_(groups) {
  weight = register_parameter("weight", torch::ones({channels}));
  bias = register_parameter("bias", torch::zeros({channels}));
}

torch::Tensor GroupNormImpl::forward(const torch::Tensor& x) {
  return at::group_norm(x, groups_, weight, bias, 1e-5);
}

FrozenBatchNormImpl::FrozenBatchNormImpl(std::int64_t channels, double eps) : eps_(eps) {
  weight = register_buffer("weight", torch::ones({channels}));
  bias = register_buffer("bias", torch::zeros({channels}));
  running_mean = register_buffer("running_mean", torch::zeros({channels}));
  running_var = register_buffer("running_var", torch::ones({channels}));
}

torch::Tensor FrozenBatchNormImpl::forward(const torch::Tensor& x) {
  const torch::Tensor scale = weight * (running_var + eps_).rsqrt();
  const torch::Tensor shift = bias - running_mean * scale;
  return x * scale.view({1, -1, 1, 1}) + shift.view({1, -1, 1, 1});
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
  throw std::invalid_argument("model.norm: expected gn, frozen or bn, found \"" + name + "\"");
}

torch::nn::AnyModule make_norm(Norm norm, std::int64_t channels) {
  switch (norm) {
    case Norm::kGroup:
      return torch::nn::AnyModule(GroupNorm(std::max<std::int64_t>(1, channels / 8), channels));
    case Norm::kFrozen:
      return torch::nn::AnyModule(FrozenBatchNorm(channels));
    case Norm::kBatch:
      return torch::nn::AnyModule(torch::nn::BatchNorm2d(channels));
  }
  throw std::invalid_argument("make_norm: not a norm");
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
  torch::Tensor y = conv->forward(x);
  if (!norm_.is_empty()) {
    y = norm_.forward<torch::Tensor>(y);
  }
  return relu_ ? y.relu_() : y;
}

}  // namespace batchscope::models
