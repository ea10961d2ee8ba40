#pragma once

#include "optim/half_dots.h"
#include "optim/kernels/device_step.h"

#include <torch/types.h>

#include <vector>

namespace batchscope::optim {

/// Type of a gradient on a CUDA device. Throws std::invalid_argument for others than float32,
/// float64, float16 and bfloat16.
kernels::GradType grad_type(torch::ScalarType type);

/// Memory of updates on one CUDA device, kept from step to step. One thread.
class DevicePass {
 public:
  explicit DevicePass(torch::Device device) : device_(device) {}

  /// Enqueues the update of these tensors: one copy to the device from pinned memory and a handful
  /// of launches, no look back.
  void enqueue(const kernels::DeviceRules& rules, const std::vector<kernels::DevicePiece>& pieces);
  /// Waits for the last enqueued update and reads what happened.
  kernels::DeviceReport read(std::vector<kernels::DeviceOutcome>& outcomes) const;

 private:
  torch::Device device_;
  torch::Tensor host_, table_, partial_, result_;
  std::int64_t count_ = 0;
};

/// halves_mean on a CUDA device for dense pairs of one order; mean[i] undefined: not written. One
/// look back, at the end. sums: d12, d11, d22 and the square of the mean of each tensor.
std::vector<double> device_halves(const std::vector<torch::Tensor>& a,
                                  const std::vector<torch::Tensor>& b,
                                  const std::vector<torch::Tensor>& mean,
                                  double weight);

}  // namespace batchscope::optim
