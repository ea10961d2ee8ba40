#pragma once

#include "optim/kernels/multi_tensor.h"

#include <torch/types.h>

namespace batchscope::optim::kernels {

/// True when both are dense, without overlap, and hold their elements in one order.
bool same_order(const torch::Tensor& a, const torch::Tensor& b);

/// True for what the kernels read without conversion: float32 and float64 on the CPU.
bool native(const torch::Tensor& x);

/// Of a native tensor.
Dtype dtype_of(const torch::Tensor& x);

}  // namespace batchscope::optim::kernels
