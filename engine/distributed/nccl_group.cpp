#include "engine/distributed/c10d_group.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace batchscope::train {

void add_nccl(c10d::ProcessGroup& group, const C10dGroup::Options& options) {
  auto nccl_options = c10d::ProcessGroupNCCL::Options::create();
  nccl_options->timeout = options.timeout;
  auto store = c10::make_intrusive<c10d::PrefixStore>("nccl", options.store);
  auto backend =
      c10::make_intrusive<c10d::ProcessGroupNCCL>(store, options.rank, options.size, nccl_options);
  // Without it the first point-to-point exchange would have to guess the device.
  backend->setBoundDeviceId(options.device);
  group.setBackend(c10::DeviceType::CUDA,
                   c10d::ProcessGroup::BackendType::NCCL,
                   c10::static_intrusive_pointer_cast<c10d::Backend>(backend));
}

}  // namespace batchscope::train
