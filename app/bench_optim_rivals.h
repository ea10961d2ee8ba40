#pragma once

#include "app/bench_optim_shapes.h"
#include "optim/optimizer.h"

#include <torch/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace batchscope {

/// Weights, gradients of two halves and everything that the subjects and their peers work on.
class OptimBenchData {
 public:
  explicit OptimBenchData(const std::vector<BenchShape>& shapes);
  /// The gradients as they were before any step used them up.
  void refill();

  std::vector<optim::Parameter> parameters;
  std::vector<torch::Tensor> weights, grads, other_grads;
  std::vector<double> squares;  // of grads
  std::vector<double> mu;
  std::int64_t elements = 0;

 private:
  std::vector<torch::Tensor> pristine_;
};

/// What is timed: one call is one update, or one measurement.
using Timed = std::function<void()>;

// Peers from torch, on the same tensors. Their state lives as long as the function.
Timed torch_fused_sgd(OptimBenchData& data);
Timed torch_fused_adamw(OptimBenchData& data);
Timed torch_frontend_sgd(OptimBenchData& data);
Timed torch_frontend_adamw(OptimBenchData& data);
/// LAMB in ATen operators, tensor by tensor.
Timed naive_lamb(OptimBenchData& data);
/// The products of the halves by at::dot and two norms per tensor.
Timed naive_half_dots(OptimBenchData& data);

}  // namespace batchscope
