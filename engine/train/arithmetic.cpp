#include "engine/train/arithmetic.h"

#include <ATen/Context.h>
#include <ATen/autocast_mode.h>

namespace batchscope::train {

Arithmetic::Arithmetic(const std::string& mode, torch::Device device)
    : device_(device.type()), on_(mode == "bf16") {
  if (on_) {
    at::autocast::set_autocast_dtype(device_, torch::kBFloat16);
    at::autocast::set_autocast_enabled(device_, true);
  }
}

Arithmetic::~Arithmetic() {
  if (on_) {
    at::autocast::set_autocast_enabled(device_, false);
    // The casts of the parameters, which the update is about to change.
    at::autocast::clear_cache();
  }
}

void allow_tf32(const std::string& mode) {
  at::globalContext().setAllowTF32CuBLAS(mode == "tf32");
  at::globalContext().setAllowTF32CuDNN(mode == "tf32");
}

}  // namespace batchscope::train
