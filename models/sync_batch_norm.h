#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/pimpl.h>

#include <functional>
#include <memory>

namespace batchscope::models {

/// What the normalisations of one rank need to share their batch statistics with other ranks.
struct SharedStatistics {
  /// In place, the sum over the ranks that share. Every one of them calls it equally often, in the
  /// same order. tensor: float64, one dimension, on the activations' device.
  std::function<void(torch::Tensor& tensor)> sum;
  /// Off: this rank's activations are nobody's statistics; it goes along for the others' sake.
  bool counts = true;
};

/// Batch normalisation over the pictures of several ranks (MegDet's cross-GPU batch normalisation,
/// algorithms.md 7.2): in training mean and variance are those of all elements of a channel on all
/// ranks, each weighing the same, and gradients flow through both. Names, running statistics and
/// everything outside of training are torch::nn::BatchNorm2d's, and training too until the layer
/// shares. Two sums over the ranks per forward pass (of C + 1 and C numbers) and one per backward
/// pass (of 2C).
class SyncBatchNormImpl : public torch::nn::BatchNorm2dImpl {
 public:
  using torch::nn::BatchNorm2dImpl::BatchNorm2dImpl;
  /// [N, C, H, W] -> the same.
  torch::Tensor forward(const torch::Tensor& x);

  std::shared_ptr<SharedStatistics> shared;  // null: its rank's pictures alone
};
TORCH_MODULE(SyncBatchNorm);

/// Gives all SyncBatchNorm layers of a model the same partners. Returns how many there are.
std::int64_t share_statistics(torch::nn::Module& model,
                              const std::shared_ptr<SharedStatistics>& shared);

}  // namespace batchscope::models
