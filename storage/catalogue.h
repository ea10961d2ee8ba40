#pragma once

#include "engine/contract/messages.h"

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace batchscope::storage {

/// One run as lists show it. `state` and `evidence` are computed when read.
struct RunSummary {
  std::string id, name, group;
  std::filesystem::path folder;  // folder of the run, or the .bscope file
  contract::RunState state = contract::RunState::kLost;
  std::string evidence;  // "lock held, heartbeat 0.8 s ago"
  std::int64_t step = 0, steps = 0, images = 0;
  std::string optimizer;  // with modifiers: "pmd_lamb + agvm"
  std::int64_t effective_batch = 0;
  std::string started, finished;  // ISO 8601 UTC or empty
  std::string phase;
  std::string trouble;                    // what hinders it now, one sentence, or empty
  std::map<std::string, double> metrics;  // last evaluation
  bool dead = false;                      // finished, but the loss never fell below its start
  std::string error;                      // why the run file cannot be read, or empty
};

/// State of one run from evidence: is the run's lock held, does the pid live (same start time and
/// boot id), how old is the heartbeat, what was written last.
RunSummary summarise(const std::filesystem::path& folder_or_file);

/// All runs of a library, newest first. Uses and refreshes the derived catalogue file, which may be
/// deleted at any time; a damaged run is listed with its error and hides no other. Throws
/// StorageError only if the folder itself cannot be read. `cancelled`, once set, ends it early:
/// what was found by then is returned.
std::vector<RunSummary> list_runs(const std::filesystem::path& library,
                                  const std::atomic<bool>* cancelled = nullptr);

/// Finds a run by id, unique prefix of one, unique name, folder or file. A word without a slash is
/// a run of the library before it is a file of that name. Throws contract::SpecError (exit 2) with
/// the candidates if it is ambiguous or unknown.
std::filesystem::path find_run(const std::filesystem::path& library, const std::string& reference);

}  // namespace batchscope::storage
