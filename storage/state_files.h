#pragma once

#include "engine/contract/records.h"

#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::storage {

/// The saved states of a run: what its record names, and what lies in its folder.
struct StateFiles {
  std::vector<contract::CheckpointRecord> there;  // named, and of the size that was written
  std::vector<std::string> problems;              // one sentence each
  /// Unfinished files and states that the record does not name. Not looked for while the run is
  /// written: its newest may be on their way.
  std::vector<std::filesystem::path> orphans;
};

/// Changes nothing. Throws contract::StorageError if the record cannot be read.
StateFiles compare_states(const std::filesystem::path& folder);

}  // namespace batchscope::storage
