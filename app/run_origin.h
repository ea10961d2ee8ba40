#pragma once

#include "engine/contract/records.h"
#include "engine/contract/run_spec.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace batchscope::app {

/// A point on a run's live line: the state after update `step`, before the changes that were made
/// there, and how it is reached again.
struct RunOrigin {
  std::filesystem::path folder;  // of the run, or its file
  contract::RunInfo info;
  contract::RunSpec spec;  // in force at the point
  std::int64_t step = 0, segment = 0;
  double seconds = -1;         // training time until then; -1: not recorded
  std::string file;            // saved state, relative to the folder; empty: the first step
  std::int64_t file_step = 0;  // the updates after it, up to `step`, are executed again …
  std::vector<contract::ScriptedEvent> changes;  // … with these live changes on the way
  std::vector<double> losses;  // that the run recorded for them; empty: not recorded
};

/// The steps of the live line whose state is on disk, ascending.
std::vector<std::int64_t> saved_steps(const std::filesystem::path& run);

/// The point after update `step`, from the newest state that was saved at or before it. With
/// `file`, from that state alone. Throws contract::SpecError for a step that the run has not
/// reached (the sentence lists the steps that are saved), StorageError.
RunOrigin find_origin(const std::filesystem::path& run,
                      std::int64_t step,
                      const std::string& file = "");

/// The last update on the live line; 0: none.
std::int64_t last_live_step(const std::filesystem::path& run);

/// The spec of a run with the live changes of its live line as scripted events: trains the same
/// again. Throws contract::SpecError, StorageError.
contract::RunSpec spec_with_changes(const std::filesystem::path& run);

}  // namespace batchscope::app
