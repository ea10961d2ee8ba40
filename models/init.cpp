#include "models/init.h"

#include <torch/utils.h>

#include <cmath>

namespace batchscope::models::init {
namespace {

struct Fans {
  double in, out;
};

Fans fans_of(const torch::Tensor& weight) {
  const double field =
      static_cast<double>(weight.numel()) / static_cast<double>(weight.size(0) * weight.size(1));
  return {static_cast<double>(weight.size(1)) * field, static_cast<double>(weight.size(0)) * field};
}

void uniform(const torch::Tensor& tensor, double bound, torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  tensor.uniform_(-bound, bound, generator);
}

}  // namespace

torch::Generator make_generator(std::uint64_t seed) {
  return at::detail::createCPUGenerator(seed);
}

void kaiming_normal_fan_out(const torch::Tensor& weight, torch::Generator& generator) {
  normal(weight, std::sqrt(2.0) / std::sqrt(fans_of(weight).out), generator);
}

void kaiming_uniform(const torch::Tensor& weight, double a, torch::Generator& generator) {
  const double gain = std::sqrt(2.0 / (1 + a * a));
  const double std = gain / std::sqrt(fans_of(weight).in);
  uniform(weight, std::sqrt(3.0) * std, generator);
}

void xavier_uniform(const torch::Tensor& weight, torch::Generator& generator) {
  const Fans fans = fans_of(weight);
  const double std = std::sqrt(2.0 / (fans.in + fans.out));
  uniform(weight, std::sqrt(3.0) * std, generator);
}

void zero(const torch::Tensor& tensor) {
  const torch::NoGradGuard no_grad;
  if (tensor.defined()) {
    tensor.zero_();
  }
}

void normal(const torch::Tensor& weight, double std, torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  weight.normal_(0, std, generator);
}

void truncated_normal(const torch::Tensor& weight, double std, torch::Generator& generator) {
  const torch::NoGradGuard no_grad;
  const double cut = 2, end = std::erf(cut / std / std::sqrt(2.0));
  weight.uniform_(-end, end, generator).erfinv_().mul_(std * std::sqrt(2.0)).clamp_(-cut, cut);
}

void torch_default(const torch::Tensor& weight,
                   const torch::Tensor& bias,
                   torch::Generator& generator) {
  kaiming_uniform(weight, std::sqrt(5.0), generator);
  if (bias.defined()) {
    uniform(bias, 1 / std::sqrt(fans_of(weight).in), generator);
  }
}

}  // namespace batchscope::models::init
