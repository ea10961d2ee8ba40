#pragma once

#include <torch/nn/module.h>

#include <vector>

namespace batchscope::train {

/// The buffers of a model that a forward pass moves (a batch norm's running statistics), so that an
/// update which is not applied leaves no trace in them. One thread.
class RunningStatistics {
 public:
  explicit RunningStatistics(const torch::nn::Module& model);
  /// What restore() brings back.
  void remember();
  void restore();

 private:
  std::vector<torch::Tensor> buffers_, kept_;
};

}  // namespace batchscope::train
