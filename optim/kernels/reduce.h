#pragma once

#include <torch/types.h>

#include <cstdint>
#include <span>
#include <vector>

namespace batchscope::optim {

/// Sum of squares of consecutive pieces of a contiguous tensor [sum of sizes], float32 or float64.
/// Accumulated in a fixed order, so the result does not depend on the thread count. One look back
/// per piece on a CUDA device.
std::vector<double> square_sums(const torch::Tensor& flat, std::span<const std::int64_t> sizes);

}  // namespace batchscope::optim
