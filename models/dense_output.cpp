#include "models/dense_output.h"

namespace batchscope::models {

torch::Tensor per_anchor(const torch::Tensor& map, std::int64_t columns) {
  return map.permute({0, 2, 3, 1}).reshape({map.size(0), -1, columns});
}

}  // namespace batchscope::models
