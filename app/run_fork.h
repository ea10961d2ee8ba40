#pragma once

#include "app/run_origin.h"
#include "app/run_preparation.h"
#include "storage/run_files.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::app {

/// Name in a child's folder of what read_fork_note() reads.
using storage::kForkFile;

/// What a child is to be.
struct ForkChild {
  std::string name;                  // empty: `family`, with what differs
  std::optional<std::int64_t> seed;  // of the coming pictures; none: the parent's pictures
  std::vector<std::string> sets;     // key=value, as commands_for() and kept_in_spec() know them
  std::string family = {};           // empty: the parent's name
};

/// What the ranks of a child need to begin it.
struct ForkNote {
  std::string parent;
  bool rerun = false;  // only the parent counts: it begins like any new run
  std::int64_t step = 0, segment = 0, seed = 0;  // the parent's
  double seconds = -1;
  std::filesystem::path state;  // absolute; empty: the first step …
  contract::RunSpec spec;       // … with the parent's spec at its start
  std::vector<contract::ScriptedEvent> changes;
  std::vector<double> losses;
  std::vector<std::string> sets;
};

/// Splits "a=1,b=[0.9, 0.99],c=\"x,y\"" at the commas outside brackets and quotes. Throws
/// contract::SpecError for a part without "=".
std::vector<std::string> split_sets(const std::string& text);

/// Makes a child's folder: its spec, the state that it starts from (shared with the parent on disk
/// where that can be, else a copy) and the note. Throws contract::SpecError naming the key at
/// fault, StorageError.
PreparedRun prepare_fork(const std::filesystem::path& library,
                         const RunOrigin& origin,
                         const ForkChild& child);

/// Makes the folder of a run that trains a stored one's spec again from step 0, with the live
/// changes of its live line as events if asked. Throws contract::SpecError, StorageError.
PreparedRun prepare_rerun(const std::filesystem::path& library,
                          const std::filesystem::path& run,
                          const std::string& name,
                          const std::vector<std::string>& sets,
                          bool with_changes);

/// The note of a fork at this point without settings; its state is where the parent has it.
ForkNote note_of(const RunOrigin& origin);

/// The note of a child; nothing for other runs. Throws contract::StorageError.
std::optional<ForkNote> read_fork_note(const std::filesystem::path& folder);

}  // namespace batchscope::app
