#pragma once

#include "engine/distributed/c10d_group.h"
#include "engine/distributed/gradient_sync.h"

#include <torch/csrc/distributed/c10d/logger.hpp>
#include <torch/csrc/distributed/c10d/reducer.hpp>

#include <memory>
#include <vector>

namespace batchscope::train {

/// c10d's Reducer (the one of PyTorch's DDP) with a communication hook that sums each bucket over
/// all ranks, or over this rank's half alone. Parameters that got no gradient count as zeros, so
/// ranks that disagree about them never wait for each other. Training thread only.
class DdpReducer {
 public:
  DdpReducer(const std::vector<torch::Tensor>& parameters, std::shared_ptr<C10dGroup> group);
  ~DdpReducer();

  /// Backward of the last micro-batch of this rank, overlapped with the sums. Afterwards grad() of
  /// each parameter is the sum over the ranks (of the half, if `half`); still undefined where no
  /// rank of the world has a gradient.
  void backward(const torch::Tensor& loss, const torch::Tensor& seed, bool half);
  /// For a rank that has no gradient in this step: takes part with zeros.
  void backward_of_nothing(bool half);
  /// After backward(…, true): swaps sums with the partner rank of the other half.
  void exchange_halves(StepGradients& out);

 private:
  class Hook;
  struct Bucket {
    torch::Tensor own;                    // this half's sum, flat: the Reducer's own buffer
    torch::Tensor other;                  // the partner's
    std::vector<std::size_t> parameters;  // their indices
    std::vector<torch::Tensor> own_views, other_views;
  };
  void run(const torch::Tensor& output, const torch::Tensor& seed, bool half);
  c10::intrusive_ptr<c10::ivalue::Future> reduce(c10d::GradBucket& bucket);
  void remember(c10d::GradBucket& bucket);

  const std::vector<torch::Tensor> parameters_;
  const std::shared_ptr<C10dGroup> group_;
  std::shared_ptr<C10dGroup> half_group_;  // made by the first measuring step
  bool half_ = false;
  std::vector<Bucket> buckets_;
  std::vector<c10::intrusive_ptr<c10d::Work>> works_;  // of the present step
  std::shared_ptr<c10d::Reducer> reducer_;
  // The Reducer calls it without asking whether there is one.
  std::shared_ptr<c10d::Logger> logger_;
};

}  // namespace batchscope::train
