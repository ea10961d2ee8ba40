#pragma once

#include "app/train_arguments.h"
#include "engine/contract/run_spec.h"

#include <filesystem>
#include <functional>
#include <string>

namespace batchscope::app {

/// A run that can start: its folder has a spec.
struct PreparedRun {
  std::string id;
  std::filesystem::path folder;
  contract::RunSpec spec;
  std::filesystem::path from;  // checkpoint to go on from, or empty
  bool goes_on = false;
  std::string passed_over, passed_over_spec;  // sentences about what was damaged; mostly empty
};

/// The stored spec of a run. Throws contract::StorageError, SpecError.
contract::RunSpec read_spec(const std::filesystem::path& folder);

/// A new folder with this spec. Throws contract::StorageError.
PreparedRun make_run_folder(const std::filesystem::path& library, const contract::RunSpec& spec);

/// Checks spec and settings, and makes a folder for the run. Throws contract::SpecError,
/// StorageError.
PreparedRun prepare_new_run(const TrainArguments& arguments);

/// What is wrong with a saved state, in one sentence; empty: it is whole (state_check.h).
using StateProblem = std::function<std::string(const std::filesystem::path&)>;

/// Finds the run that is to go on; nothing is changed. Throws contract::SpecError, StorageError.
PreparedRun find_resume(const TrainArguments& arguments);

/// The rest, with the run's lock held: the newest whole checkpoint on its live line, on record or
/// in its folder, and its spec, with the settings that training does not depend on changed in it;
/// those that a command can change are left to the trainer, others are refused. Where spec.toml is
/// not of this training, the record's spec is taken. Other ranks keep the effective batch where
/// accumulation can. Throws contract::SpecError, StorageError; DataError when no checkpoint is
/// whole.
void prepare_resume(PreparedRun& run,
                    const TrainArguments& arguments,
                    const StateProblem& problem_of);

/// What the end of a run's ranks leaves to the supervisor: if rank 0 wrote no end, the record gets
/// a closing event and the state failed. Call with the run's lock held.
void close_record(const std::filesystem::path& folder, const std::string& sentence, int exit_code);

/// The same, of a record that rank 0 has closed: it knew less.
void add_cause(const std::filesystem::path& folder, const std::string& sentence, int exit_code);

}  // namespace batchscope::app
