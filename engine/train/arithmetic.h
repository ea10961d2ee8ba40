#pragma once

#include <torch/types.h>

#include <string>

namespace batchscope::train {

/// While it lives, this thread's forward passes on `device` run as precision.mode says: "bf16"
/// autocasts convolutions and matrix products (parameters, losses, boxes and the update stay
/// float32), the others change nothing here. One at a time per thread.
class Arithmetic {
 public:
  Arithmetic(const std::string& mode, torch::Device device);
  ~Arithmetic();
  Arithmetic(const Arithmetic&) = delete;
  Arithmetic& operator=(const Arithmetic&) = delete;

 private:
  torch::DeviceType device_;
  bool on_;
};

/// "tf32" lets CUDA's products of float32 matrices drop to 10 bits of mantissa, in the whole
/// process.
void allow_tf32(const std::string& mode);

}  // namespace batchscope::train
