#include "models/sync_batch_norm.h"

#include <torch/autograd.h>
#include <torch/utils.h>

#include <algorithm>
#include <utility>

namespace batchscope::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

/// Of each channel, over all ranks; float64, and `count` the number of elements of one channel.
struct Moments {
  torch::Tensor mean, var;
  double count = 0;
};

/// Each rank's own mean and variance, merged by Chan's formula: no difference of large squares.
Moments shared_moments(const torch::Tensor& x, const SharedStatistics& shared) {
  const auto channels = x.size(1);
  const std::int64_t elements = shared.counts ? x.numel() / channels : 0;
  const auto own = static_cast<double>(elements);
  const auto local = at::var_mean(x, at::IntArrayRef{0, 2, 3}, /*unbiased=*/false);
  const torch::Tensor own_var = std::get<0>(local).to(torch::kFloat64);
  const torch::Tensor own_mean = std::get<1>(local).to(torch::kFloat64);
  torch::Tensor sums = torch::cat({own_mean * own, own_mean.new_full({1}, own)});
  shared.sum(sums);
  Moments all;
  all.count = sums[channels].item<double>();
  const double divisor = std::max(1.0, all.count);  // no rank has pictures: anything will do
  all.mean = sums.slice(0, 0, channels) / divisor;
  torch::Tensor squares = (own_var + (own_mean - all.mean).square()) * own;
  shared.sum(squares);
  all.var = squares / divisor;
  return all;
}

struct Partners : torch::CustomClassHolder {
  explicit Partners(std::shared_ptr<SharedStatistics> s) : shared(std::move(s)) {}
  std::shared_ptr<SharedStatistics> shared;
};

torch::Tensor per_channel(const torch::Tensor& values, const torch::Tensor& like) {
  return values.to(like.scalar_type()).view({1, -1, 1, 1});
}

/// y = weight (x - mean) / sqrt(var + eps) + bias with the ranks' mean and variance.
struct SharedNormalisation : torch::autograd::Function<SharedNormalisation> {
  static torch::Tensor forward(AutogradContext* ctx,
                               const torch::Tensor& x,
                               const torch::Tensor& weight,
                               const torch::Tensor& bias,
                               const Moments& moments,
                               double eps,
                               const std::shared_ptr<SharedStatistics>& shared) {
    const torch::Tensor scale = (moments.var + eps).rsqrt();
    ctx->save_for_backward({x, weight, moments.mean, scale});
    ctx->saved_data["count"] = moments.count;
    ctx->saved_data["partners"] = c10::IValue::make_capsule(c10::make_intrusive<Partners>(shared));
    const torch::Tensor factor = weight.to(torch::kFloat64) * scale;
    const torch::Tensor offset = bias.to(torch::kFloat64) - moments.mean * factor;
    return (x * per_channel(factor, x)).add_(per_channel(offset, x));
  }

  static tensor_list backward(AutogradContext* ctx, const tensor_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1], &mean = saved[2], &scale = saved[3];
    const torch::Tensor& dy = grads[0];
    const auto channels = x.size(1);
    const torch::Tensor own =
        torch::cat({dy.sum({0, 2, 3}), (dy * (x - per_channel(mean, x))).sum({0, 2, 3})})
            .to(torch::kFloat64);
    const auto partners = ctx->saved_data["partners"].toCapsule();
    const SharedStatistics& shared = *static_cast<const Partners&>(*partners).shared;
    torch::Tensor sums = shared.counts ? own.clone() : torch::zeros_like(own);
    shared.sum(sums);
    // dx = factor (dy - mean of dy - (x - mean) scale² · mean of dy (x - mean))
    const torch::Tensor means = sums / std::max(1.0, ctx->saved_data["count"].toDouble());
    const torch::Tensor factor = weight.to(torch::kFloat64) * scale;
    const torch::Tensor slope = -factor * scale.square() * means.slice(0, channels);
    const torch::Tensor offset = -factor * means.slice(0, 0, channels) - slope * mean;
    const torch::Tensor dx = (x * per_channel(slope, x))
                                 .add_(per_channel(offset, x))
                                 .addcmul_(dy, per_channel(factor, x));
    return {dx,
            (own.slice(0, channels) * scale).to(weight.scalar_type()),
            own.slice(0, 0, channels).to(weight.scalar_type()),
            {},
            {},
            {}};
  }
};

}  // namespace

torch::Tensor SyncBatchNormImpl::forward(const torch::Tensor& x) {
  if (!is_training() || shared == nullptr) {
    return torch::nn::BatchNorm2dImpl::forward(x);
  }
  const torch::Tensor own = x.scalar_type() == weight.scalar_type() ? x : x.to(weight.dtype());
  Moments moments;
  {
    const torch::NoGradGuard no_grad;
    moments = shared_moments(own, *shared);
    if (moments.count > 1) {  // the unbiased variance of one element is not a number
      const double momentum = options.momentum().value_or(0.1);
      const double unbiased = moments.count / (moments.count - 1);
      running_mean.mul_(1 - momentum).add_(moments.mean.to(running_mean.dtype()), momentum);
      running_var.mul_(1 - momentum)
          .add_((moments.var * unbiased).to(running_var.dtype()), momentum);
      num_batches_tracked.add_(1);
    }
  }
  return SharedNormalisation::apply(own, weight, bias, moments, options.eps(), shared)
      .to(x.scalar_type());
}

std::int64_t share_statistics(torch::nn::Module& model,
                              const std::shared_ptr<SharedStatistics>& shared) {
  std::int64_t layers = 0;
  for (const auto& module : model.modules()) {
    if (auto* norm = module->as<SyncBatchNormImpl>()) {
      norm->shared = shared;
      ++layers;
    }
  }
  return layers;
}

}  // namespace batchscope::models
