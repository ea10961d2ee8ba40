#include "engine/train/running_statistics.h"

#include <ATen/ops/_foreach_copy.h>
#include <torch/utils.h>

namespace batchscope::train {

RunningStatistics::RunningStatistics(const torch::nn::Module& model) {
  for (const torch::Tensor& buffer : model.buffers()) {
    buffers_.push_back(buffer);
    kept_.push_back(torch::empty_like(buffer));
  }
  remember();
}

void RunningStatistics::remember() {
  const torch::NoGradGuard no_grad;
  if (!buffers_.empty()) {
    at::_foreach_copy_(kept_, buffers_);
  }
}

void RunningStatistics::restore() {
  const torch::NoGradGuard no_grad;
  if (!buffers_.empty()) {
    at::_foreach_copy_(buffers_, kept_);
  }
}

}  // namespace batchscope::train
