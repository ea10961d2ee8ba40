#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace batchscope::storage {

/// Names inside a run folder.
inline constexpr const char* kRunFile = "run.sqlite";
inline constexpr const char* kSpecFile = "spec.toml";
inline constexpr const char* kForkFile = "fork.json";  // of a fork or a rerun
inline constexpr const char* kControlFile =
    "control.json";  // {"socket": path, "pid": n, "host": name, "protocol": 1}, written by rank 0
inline constexpr const char* kLockFile = "run.lock";  // held with flock while a writer lives
inline constexpr const char* kCheckpointFolder = "checkpoints";
inline constexpr const char* kLogFolder = "logs";

/// $XDG_DATA_HOME/batchscope/library, else ~/.local/share/batchscope/library. Not created.
std::filesystem::path default_library();
/// A fresh 12-digit hexadecimal run id, and the folder library/<id>.
std::string new_run_id();
std::filesystem::path run_folder(const std::filesystem::path& library, const std::string& id);
/// The run file of a run folder; a file is itself.
std::filesystem::path run_file_of(const std::filesystem::path& path);
/// The run folder of a folder or of its run.sqlite; empty for a file elsewhere (*.bscope).
std::filesystem::path folder_of_run(const std::filesystem::path& path);
/// ISO 8601 UTC with milliseconds: 2026-11-20T22:30:00.123Z.
std::string now_utc();

/// Forces a file to the disk. Throws contract::StorageError.
void sync_file(const std::filesystem::path& file);
/// Forces the names in a folder to the disk, after a rename (empty: the current folder). File
/// systems that cannot are left alone.
void sync_folder(const std::filesystem::path& folder) noexcept;

/// A file that appears whole or not at all, after a power cut too: written beside, renamed by
/// commit(), removed by the destructor without one. Throws contract::StorageError.
class ReplacingFile {
 public:
  explicit ReplacingFile(const std::filesystem::path& path);
  ~ReplacingFile();
  ReplacingFile(const ReplacingFile&) = delete;
  ReplacingFile& operator=(const ReplacingFile&) = delete;
  void write(std::string_view text);
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  std::FILE* file_ = nullptr;
};

}  // namespace batchscope::storage
