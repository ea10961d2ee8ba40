#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace batchscope::optim {

/// Products of two half-batch mean gradients, in float64: <1,2>, <1,1>, <2,2>.
struct HalfDots {
  double d12 = 0, d11 = 0, d22 = 0;
};

/// What one pass over both halves gives, one entry per tensor.
struct HalfMean {
  std::vector<HalfDots> dots;
  std::vector<torch::Tensor> mean;
  std::vector<double> squares;  // of the mean: what Optimizer::step_measured takes
};

/// The products of each tensor of two lists of gradients (8 bytes per element of float32); where
/// one of a pair is undefined it is a gradient of zeros. The same bits for every number of threads.
/// Throws std::invalid_argument for lists of different lengths or pairs of other shapes or dtypes.
std::vector<HalfDots> tensor_dots(const std::vector<torch::Tensor>& g1,
                                  const std::vector<torch::Tensor>& g2);

/// The same, with the mean g1 + weight2·(g2 - g1) written in the same pass (12 bytes per element
/// and what the caches fetch of new memory). `in_place`: over g1, where g1 is dense.
HalfMean halves_mean(const std::vector<torch::Tensor>& g1,
                     const std::vector<torch::Tensor>& g2,
                     double weight2,
                     bool in_place = false);

/// Sums of products over the tensors of each module; module[i] in [0, modules).
std::vector<HalfDots> dots_by_module(const std::vector<HalfDots>& dots,
                                     const std::vector<std::int64_t>& module,
                                     std::int64_t modules);

/// The three products of two lists of tensors per module.
std::vector<HalfDots> half_dots(const std::vector<torch::Tensor>& g1,
                                const std::vector<torch::Tensor>& g2,
                                const std::vector<std::int64_t>& module,
                                std::int64_t modules);

}  // namespace batchscope::optim
