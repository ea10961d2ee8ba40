#pragma once

#include "engine/contract/run_spec.h"

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::train {

/// What a replay did.
struct ReplaySummary {
  std::int64_t steps = 0, skipped = 0, measured = 0;
  std::int64_t tensors = 0, modules = 0;
  std::vector<std::string> events;  // a sentence for each that was carried out
};

/// Plays the gradients stored in `in` through the optimizer of `spec`, as a training would update
/// (Updater), and writes what came out to `out`; docs/optim-replay.md defines both files. Sections
/// about pictures, model and evaluation are ignored; one step consumes the spec's effective batch.
/// Throws contract::SpecError for a spec that cannot be replayed, contract::DataError for a damaged
/// or unfit file, contract::StorageError when `out` cannot be written.
ReplaySummary replay(const contract::RunSpec& spec,
                     const std::filesystem::path& in,
                     const std::filesystem::path& out,
                     torch::Device device = torch::kCPU);

}  // namespace batchscope::train
