#include "optim/kernels/device_step.h"

#include <stdexcept>

namespace batchscope::optim::kernels {

namespace {

[[noreturn]] void refuse() {
  throw std::invalid_argument(
      "optimizer: this build has no CUDA kernels, and the tensors are on CUDA");
}

}  // namespace

void launch_device_step(const DeviceRules& /*rules*/,
                        const DeviceMemory& /*memory*/,
                        int /*index*/) {
  refuse();
}

void launch_device_halves(const DeviceHalfMemory& /*memory*/, int /*index*/) {
  refuse();
}

}  // namespace batchscope::optim::kernels
