#include "storage/run_removal.h"

#include "engine/contract/error.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_lock.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::StorageError;

/// Names that a run gives to its files; unfinished ones have an end more.
bool is_own_file(const std::string& name) {
  constexpr std::array<std::string_view, 5> kOwn = {
      kRunFile, kSpecFile, kForkFile, kControlFile, kLockFile};
  return std::ranges::any_of(kOwn, [&name](std::string_view own) {
    return name == own || name.starts_with(std::string(own) + ".part") ||
           (own == kRunFile && name.starts_with(std::string(own) + "-"));
  });
}
bool is_own_state(const std::string& name) {
  return name.find(".ckpt") != std::string::npos;
}
bool is_own_log(const std::string& name) {
  return name.ends_with(".log");
}

void erase(const fs::path& path) {
  std::error_code error;
  fs::remove(path, error);
  if (error) {
    throw StorageError("'" + path.string() + "' cannot be removed: " + error.message());
  }
}

/// Removes the files that are the run's, and the folder if it is empty then. What stays goes to
/// `left`. A link is removed, and not followed.
void remove_own(const fs::path& folder,
                bool (*is_own)(const std::string&),
                std::vector<fs::path>& left) {
  std::error_code error;
  if (fs::is_symlink(folder, error)) {
    erase(folder);
    return;
  }
  std::vector<fs::path> entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(entry->path());
  }
  const std::size_t before = left.size();
  for (const fs::path& entry : entries) {
    if (is_own(entry.filename().string()) && !fs::is_directory(fs::symlink_status(entry, error))) {
      erase(entry);
    } else if (entry.filename() != kCheckpointFolder && entry.filename() != kLogFolder) {
      left.push_back(entry);
    }
  }
  if (left.size() == before) {
    fs::remove(folder, error);  // unless another process has put something there meanwhile
  }
}

}  // namespace

std::vector<fs::path> remove_run(const fs::path& folder_or_file) {
  const fs::path folder = folder_of_run(folder_or_file);
  std::vector<fs::path> left;
  if (folder.empty()) {
    if (!is_run_file(folder_or_file)) {
      throw StorageError("'" + folder_or_file.string() + "' is no run: nothing was removed");
    }
    erase(folder_or_file);
    return left;
  }
  if (!is_run_folder(folder)) {
    throw StorageError("'" + folder.string() + "' holds no run: nothing was removed");
  }
  const RunLock lock(folder);
  const fs::path real = fs::canonical(folder);
  remove_own(real / kCheckpointFolder, is_own_state, left);
  remove_own(real / kLogFolder, is_own_log, left);
  remove_own(real, is_own_file, left);
  std::error_code error;
  if (left.empty() && fs::is_symlink(folder, error)) {
    erase(folder);
  }
  return left;
}

}  // namespace batchscope::storage
