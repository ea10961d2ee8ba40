#pragma once

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace batchscope::optim {

/// Sum of squares of consecutive pieces of a contiguous tensor [sum of sizes], float32 or float64.
/// Accumulated in float64 in fixed blocks, so the result does not depend on the thread count. One
/// synchronisation on a CUDA device.
std::vector<double> square_sums(const torch::Tensor& flat, std::span<const std::int64_t> sizes);

/// <a,b>, <a,a>, <b,b> of two tensors of the same shape and dtype, accumulated as above.
std::array<double, 3> three_dots(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace batchscope::optim
