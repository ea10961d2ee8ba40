#pragma once

#include "engine/distributed/group.h"

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace batchscope::train {

/// The gradients of one update, equal on all ranks, one tensor per parameter (zeros where no
/// gradient came).
struct StepGradients {
  std::vector<torch::Tensor> mean;  // gradient of the mean loss over the step's pictures
  std::vector<torch::Tensor> half1,
      half2;  // gradients of the mean losses of the two halves; empty unless measured
  double pictures1 = 0, pictures2 = 0;  // pictures in the halves
};

/// What finish() has to deliver for the step that begins.
struct SyncPlan {
  std::int64_t pictures = 0;                     // of the step, all ranks
  std::int64_t micros = 0;                       // N
  std::int64_t first_micro = 0, last_micro = 0;  // this rank's
  std::int64_t micro = 1;                        // pictures per micro-batch
  bool measure = false;                          // also deliver the halves (needs N >= 2)
  bool interleave = false;  // halves are even and odd j instead of j < floor(N/2) and the rest
};

/// Turns backward passes of micro-batches into the step's gradient on all ranks: local
/// accumulation, then c10d's Reducer (bucketed all-reduce overlapped with the last backward). On
/// measuring steps a communication hook reduces inside the two halves first. Every mixture of ranks
/// and micro-batches gives the same gradients (DESIGN.md section 7). Training thread only.
class GradientSync {
 public:
  GradientSync(std::vector<torch::Tensor> parameters, std::shared_ptr<Group> group);
  ~GradientSync();
  void begin(const SyncPlan& plan);
  /// Backward of micro-batch `number` with `pictures` pictures; `loss` is the mean over them.
  /// Called in order of number.
  void backward(const torch::Tensor& loss, std::int64_t number, std::int64_t pictures);
  /// All ranks call it, those without a micro-batch too.
  StepGradients finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::train
