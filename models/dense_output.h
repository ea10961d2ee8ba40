#pragma once

#include <torch/types.h>

#include <cstdint>

namespace batchscope::models {

/// The output of a convolution, per anchor: [N, k·c, H, W] -> [N, H·W·k, c], row by row, cell by
/// cell. A view when the map is channels-last in memory.
torch::Tensor per_anchor(const torch::Tensor& map, std::int64_t columns);

}  // namespace batchscope::models
