#pragma once

#include <torch/types.h>

/// Weight initialisation from an explicit generator: the same draws, in the same order, as
/// torch.nn.init makes from the global one.
namespace batchscope::models::init {

/// A CPU generator with this seed.
torch::Generator make_generator(std::uint64_t seed);

/// Normal, standard deviation sqrt(2 / fan_out). weight: [out, in, k, k] or [out, in].
void kaiming_normal_fan_out(const torch::Tensor& weight, torch::Generator& generator);
/// Uniform in ±sqrt(6 / ((1 + a²) fan_in)).
void kaiming_uniform(const torch::Tensor& weight, double a, torch::Generator& generator);
/// Uniform in ±sqrt(6 / (fan_in + fan_out)).
void xavier_uniform(const torch::Tensor& weight, torch::Generator& generator);
/// All zeros; an undefined tensor stays undefined.
void zero(const torch::Tensor& tensor);
/// Normal, cut at ±2: as nn.init.trunc_normal_ draws it.
void truncated_normal(const torch::Tensor& weight, double std, torch::Generator& generator);
void normal(const torch::Tensor& weight, double std, torch::Generator& generator);
/// What torch.nn.Conv2d and Linear do when they are built: kaiming_uniform with a = sqrt(5), then
/// the bias uniform in ±1/sqrt(fan_in). An undefined bias draws nothing.
void torch_default(const torch::Tensor& weight,
                   const torch::Tensor& bias,
                   torch::Generator& generator);

}  // namespace batchscope::models::init
