#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace batchscope {

/// Boxes x1 y1 x2 y2 as [N, 4] float32.
inline torch::Tensor corners(const std::vector<float>& values) {
  return torch::tensor(values).view({static_cast<std::int64_t>(values.size()) / 4, 4});
}

}  // namespace batchscope
