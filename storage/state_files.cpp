#include "storage/state_files.h"

#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"

#include <algorithm>
#include <optional>
#include <set>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::CheckpointRecord;

/// The state of its parent lies in a fork's folder until it has one of its own.
constexpr const char* kParentState = "parent.ckpt";

/// A name in the folder of states, and nothing that leads elsewhere.
bool is_own_name(const std::string& file) {
  const fs::path path(file);
  return path.parent_path() == kCheckpointFolder && path.has_filename() && path.filename() != "..";
}

/// What is wrong with a named state, as seen from outside; empty: nothing.
std::string problem_of(const fs::path& folder, const CheckpointRecord& record) {
  const std::string name = "checkpoint '" + record.file + "'";
  if (!is_own_name(record.file)) {
    return name + " of the record does not lie in the run's folder of checkpoints";
  }
  const fs::path file = folder / record.file;
  std::error_code error;
  const fs::file_status status = fs::symlink_status(file, error);
  if (!fs::exists(status)) {
    return name + " is in the record and not in the folder";
  }
  if (!fs::is_regular_file(status)) {
    return name + " is no plain file";
  }
  const auto bytes = static_cast<std::int64_t>(fs::file_size(file, error));
  return bytes == record.bytes ? std::string()
                               : name + " has " + std::to_string(bytes) + " bytes, expected " +
                                     std::to_string(record.bytes);
}

bool is_named(const std::vector<CheckpointRecord>& records, const std::string& file) {
  return std::ranges::any_of(records, [&](const auto& record) { return record.file == file; });
}

}  // namespace

StateFiles compare_states(const fs::path& folder) {
  RunReader reader(folder);
  StateFiles states;
  const std::vector<CheckpointRecord> records = reader.checkpoints();
  std::set<std::string> known;
  for (const CheckpointRecord& record : records) {
    known.insert(fs::path(record.file).filename());
    const std::string problem = problem_of(folder, record);
    if (problem.empty()) {
      states.there.push_back(record);
    } else if (is_named(reader.checkpoints(), record.file)) {  // and not taken away meanwhile
      states.problems.push_back(problem);
    }
  }
  if (run_is_locked(folder)) {
    return states;
  }
  std::error_code error;
  if (fs::exists(folder / kForkFile, error)) {
    known.insert(kParentState);
  }
  for (fs::directory_iterator entry(folder / kCheckpointFolder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (!known.contains(entry->path().filename())) {
      states.orphans.push_back(entry->path());
    }
  }
  std::ranges::sort(states.orphans);
  return states;
}

}  // namespace batchscope::storage
