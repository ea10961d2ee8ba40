#pragma once

#include <torch/types.h>

namespace batchscope::models {

/// The tensor in float32 if it is float16 or bfloat16, else itself. Under autocast heads answer in
/// the short type; boxes, scores and losses need the long one.
inline torch::Tensor full_precision(const torch::Tensor& tensor) {
  const auto type = tensor.scalar_type();
  return type == torch::kBFloat16 || type == torch::kHalf ? tensor.to(torch::kFloat32) : tensor;
}

/// While it lives, this thread's operators ignore autocast.
class WithoutAutocast {
  c10::impl::ExcludeDispatchKeyGuard guard_{c10::autocast_dispatch_keyset};
};

}  // namespace batchscope::models
