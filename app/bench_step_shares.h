#pragma once

#include "optim/optimizer.h"

#include <torch/types.h>

#include <vector>

namespace batchscope {

/// What the parts of an update cost that a training step has beside its forward and backward
/// passes, in ms, each the median of `pairs` with and without, one right after the other.
struct StepShares {
  double update_ms = 0;  // the update, gradients in hand, without norms
  double norms_ms = 0;   // what the norms of weights, updates and moments add to it
  double agvm_ms = 0;    // AGVM's products of two halves of the gradient, with their mean
};

/// Measures them for SGD with the gradients at hand (their values are kept; the weights change by
/// next to nothing).
StepShares measure_shares(const std::vector<optim::Parameter>& parameters,
                          const std::vector<torch::Tensor>& gradients,
                          int pairs);

}  // namespace batchscope
