#include "app/bench_optim_rivals.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <torch/utils.h>

namespace batchscope {
namespace {

constexpr double kRivalLr = 1e-9, kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-6, kDecay = 1e-4;

std::vector<torch::Tensor> zeros_like(const std::vector<torch::Tensor>& list) {
  std::vector<torch::Tensor> out;
  out.reserve(list.size());
  for (const torch::Tensor& x : list) {
    out.push_back(torch::zeros_like(x));
  }
  return out;
}

/// Leaves that share the memory of the weights, with the gradients beside.
std::vector<torch::Tensor> leaves(const OptimBenchData& data) {
  std::vector<torch::Tensor> out;
  for (std::size_t i = 0; i < data.weights.size(); ++i) {
    torch::Tensor leaf = data.weights[i].detach();
    leaf.set_requires_grad(true);
    leaf.mutable_grad() = data.grads[i];
    out.push_back(leaf);
  }
  return out;
}

}  // namespace

OptimBenchData::OptimBenchData(const std::vector<BenchShape>& shapes)
    : mu(static_cast<std::size_t>(kBenchModules), 1.0) {
  const auto generator = at::detail::createCPUGenerator(1);
  const auto draw = [&](const std::vector<std::int64_t>& shape, double scale) {
    return torch::empty(shape).normal_(0, scale, generator);
  };
  for (const BenchShape& s : shapes) {
    weights.push_back(draw(s.shape, 0.05));
    grads.push_back(draw(s.shape, 0.01));
    other_grads.push_back(draw(s.shape, 0.01));
    pristine_.push_back(grads.back().clone());
    parameters.push_back({s.name, s.module, weights.back()});
    squares.push_back(grads.back().to(torch::kDouble).square().sum().item<double>());
    elements += weights.back().numel();
  }
}

void OptimBenchData::refill() {
  const torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < grads.size(); ++i) {
    grads[i].copy_(pristine_[i]);
  }
}

Timed torch_fused_sgd(OptimBenchData& data) {
  return [&data, m = zeros_like(data.weights)] {
    const torch::NoGradGuard no_grad;
    at::_fused_sgd_(data.weights,
                    data.grads,
                    m,
                    kDecay,
                    /*momentum=*/0.9,
                    kRivalLr,
                    /*dampening=*/0.0,
                    /*nesterov=*/false,
                    /*maximize=*/false,
                    /*is_first_step=*/false);
  };
}

Timed torch_fused_adamw(OptimBenchData& data) {
  std::vector<torch::Tensor> steps;
  for (std::size_t i = 0; i < data.weights.size(); ++i) {
    steps.push_back(torch::ones({}));
  }
  return [&data, steps, m = zeros_like(data.weights), v = zeros_like(data.weights)] {
    const torch::NoGradGuard no_grad;
    at::_fused_adamw_(data.weights,
                      data.grads,
                      m,
                      v,
                      /*max_exp_avg_sqs=*/{},
                      steps,
                      kRivalLr,
                      kBeta1,
                      kBeta2,
                      kDecay,
                      kEps,
                      /*amsgrad=*/false,
                      /*maximize=*/false);
  };
}

Timed torch_frontend_sgd(OptimBenchData& data) {
  const auto optimizer = std::make_shared<torch::optim::SGD>(
      leaves(data), torch::optim::SGDOptions(kRivalLr).momentum(0.9).weight_decay(kDecay));
  return [optimizer] { optimizer->step(); };
}

Timed torch_frontend_adamw(OptimBenchData& data) {
  const auto optimizer = std::make_shared<torch::optim::AdamW>(
      leaves(data), torch::optim::AdamWOptions(kRivalLr).weight_decay(kDecay));
  return [optimizer] { optimizer->step(); };
}

Timed naive_lamb(OptimBenchData& data) {
  return [&data, m = zeros_like(data.weights), v = zeros_like(data.weights)]() mutable {
    const torch::NoGradGuard no_grad;
    for (std::size_t i = 0; i < m.size(); ++i) {
      const torch::Tensor& g = data.grads[i];
      torch::Tensor& w = data.weights[i];
      m[i].mul_(kBeta1).add_(g, 1 - kBeta1);
      v[i].mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
      const torch::Tensor u = (m[i] * 1.5) / ((v[i] * 1.2).sqrt() + kEps) + w * kDecay;
      const auto norm_w = w.norm().item<double>(), norm_u = u.norm().item<double>();
      w.sub_(u, kRivalLr * (norm_w > 0 && norm_u > 0 ? norm_w / norm_u : 1.0));
    }
  };
}

Timed naive_half_dots(OptimBenchData& data) {
  return [&data] {
    double dots[kBenchModules][3] = {};
    for (std::size_t i = 0; i < data.grads.size(); ++i) {
      const torch::Tensor a = data.grads[i].view({-1}), b = data.other_grads[i].view({-1});
      double* const to = dots[data.parameters[i].module];
      const auto norm_a = a.norm().item<double>(), norm_b = b.norm().item<double>();
      to[0] += at::dot(a, b).item<double>();
      to[1] += norm_a * norm_a;
      to[2] += norm_b * norm_b;
    }
  };
}

}  // namespace batchscope
