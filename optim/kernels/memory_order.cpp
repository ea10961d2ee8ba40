#include "optim/kernels/memory_order.h"

namespace batchscope::optim::kernels {

bool same_order(const torch::Tensor& a, const torch::Tensor& b) {
  if (a.sizes() != b.sizes() || !a.is_non_overlapping_and_dense() ||
      !b.is_non_overlapping_and_dense()) {
    return false;
  }
  for (std::int64_t d = 0; d < a.dim(); ++d) {
    if (a.size(d) != 1 && a.stride(d) != b.stride(d)) {
      return false;
    }
  }
  return true;
}

bool native(const torch::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kDouble);
}

Dtype dtype_of(const torch::Tensor& x) {
  return x.scalar_type() == torch::kDouble ? Dtype::kFloat64 : Dtype::kFloat32;
}

}  // namespace batchscope::optim::kernels
