#pragma once

#include "engine/distributed/group.h"
#include "optim/half_dots.h"

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace batchscope::train {

/// The gradients of one update, equal on all ranks, one tensor per parameter (zeros where no
/// gradient came). They may be changed in place, and are valid until the next begin().
struct StepGradients {
  std::vector<torch::Tensor> mean;  // gradient of the mean loss over the step's pictures
  std::vector<torch::Tensor> half1,
      half2;  // gradients of the mean losses of the two halves; empty unless measured
  std::vector<optim::HalfDots> dots;    // products of the halves of each parameter; as they are
  std::vector<double> squares;          // sums of squares of the mean of each parameter; likewise
  double pictures1 = 0, pictures2 = 0;  // pictures in the halves
};

/// What finish() has to deliver for the step that begins. Micro-batch j has `micro` pictures, the
/// last one (N - 1) the rest. With K micro-batches per rank, rank r holds r·K <= j < min((r+1)·K,
/// N): in a small last step the last ranks may hold fewer, or none (first_micro == last_micro).
struct SyncPlan {
  std::int64_t pictures = 0;                     // of the step, all ranks
  std::int64_t micros = 0;                       // N
  std::int64_t first_micro = 0, last_micro = 0;  // this rank's are first_micro <= j < last_micro
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
  /// All parameters require gradients and share one dtype and device (else std::invalid_argument).
  /// Their grad() belongs to this object from now on.
  GradientSync(std::vector<torch::Tensor> parameters, std::shared_ptr<Group> group);
  ~GradientSync();
  /// Throws std::invalid_argument for a plan that contradicts itself, or measures with N < 2.
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
