#pragma once

#include "app/train_arguments.h"
#include "engine/contract/run_spec.h"

#include <filesystem>
#include <string>

namespace batchscope::app {

/// A run that can start: its folder has a spec.
struct PreparedRun {
  std::string id;
  std::filesystem::path folder;
  contract::RunSpec spec;
  std::filesystem::path from;  // checkpoint to go on from, or empty
  bool goes_on = false;
};

/// The stored spec of a run. Throws contract::StorageError, SpecError.
contract::RunSpec read_spec(const std::filesystem::path& folder);

/// A new folder with this spec. Throws contract::StorageError.
PreparedRun make_run_folder(const std::filesystem::path& library, const contract::RunSpec& spec);

/// Checks spec and settings, and makes a folder for the run. Throws contract::SpecError,
/// StorageError.
PreparedRun prepare_new_run(const TrainArguments& arguments);

/// Finds a run and the newest checkpoint on its live line. Settings that training does not depend
/// on are changed in its spec; those that a command can change are left to the trainer; others are
/// refused. Throws contract::SpecError, StorageError.
PreparedRun prepare_resume(const TrainArguments& arguments);

/// What the end of a run's ranks leaves to the supervisor: if rank 0 wrote no end, the record gets
/// a closing event and the state failed. Call with the run's lock held.
void close_record(const std::filesystem::path& folder, const std::string& sentence, int exit_code);

}  // namespace batchscope::app
