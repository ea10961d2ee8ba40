#pragma once

#include <filesystem>
#include <vector>

namespace batchscope::storage {

/// Removes a run: its files in its folder, and the folder if nothing else lies there, or a
/// *.bscope. Returns what lies in the folder and is not the run's: it stays. Throws
/// contract::StorageError for a run that is being written and for what is no run; nothing is
/// removed then.
std::vector<std::filesystem::path> remove_run(const std::filesystem::path& folder_or_file);

}  // namespace batchscope::storage
