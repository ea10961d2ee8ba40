#include "engine/contract/error.h"
#include "engine/distributed/c10d_group.h"

namespace batchscope::train {

void add_nccl(c10d::ProcessGroup&, const C10dGroup::Options&) {
  throw contract::Error(contract::ExitCode::kUsage,
                        "this engine was built without CUDA, so its ranks cannot use NCCL; choose "
                        "--device cpu or build with BATCHSCOPE_CUDA=ON");
}

}  // namespace batchscope::train
