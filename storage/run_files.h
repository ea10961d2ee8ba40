#pragma once

#include <filesystem>
#include <string>

namespace batchscope::storage {

/// Names inside a run folder.
inline constexpr const char* kRunFile = "run.sqlite";
inline constexpr const char* kSpecFile = "spec.toml";
inline constexpr const char* kControlFile =
    "control.json";  // {"socket": path, "pid": n, "protocol": 1}, written by rank 0
inline constexpr const char* kLockFile = "run.lock";  // held with flock while a writer lives
inline constexpr const char* kCheckpointFolder = "checkpoints";
inline constexpr const char* kLogFolder = "logs";

/// $XDG_DATA_HOME/batchscope/library, else ~/.local/share/batchscope/library. Not created.
std::filesystem::path default_library();
/// A fresh 12-digit hexadecimal run id, and the folder library/<id>.
std::string new_run_id();
std::filesystem::path run_folder(const std::filesystem::path& library, const std::string& id);
/// ISO 8601 UTC with milliseconds: 2026-11-20T22:30:00.123Z.
std::string now_utc();

}  // namespace batchscope::storage
