#pragma once

#include "storage/run_reader.h"

#include <filesystem>
#include <optional>
#include <string>

namespace batchscope::storage {

/// Without a heartbeat for so many seconds a run "gives no sign of life".
inline constexpr double kSilentAfterSeconds = 15;

/// What is known of a run from outside.
struct StatusEvidence {
  contract::RunState written = contract::RunState::kQueued;  // last written state
  bool lock_held = false;
  std::int64_t pid = 0;      // the writer's; 0: no writer yet
  bool pid_alive = false;    // that process lives: same boot, same start time
  bool same_boot = false;    // it was written on this machine since its start
  double heartbeat_age = 0;  // seconds
  std::optional<int> exit_code;
};

/// The true state. A written end (finished, stopped, failed) stands. Otherwise the run is as
/// written while its lock is held; with the lock free it is lost, unless its process lives or
/// another machine wrote (the lock of a network folder may be invisible here) less than 15 s ago. A
/// run that never had a writer is queued, or starting once its lock is held.
contract::RunState decide_state(const StatusEvidence& evidence);

/// "lock held, heartbeat 0.8 s ago": the reasons of decide_state for a person.
std::string describe(const StatusEvidence& evidence);

/// Collects the evidence now. `folder` is empty for a file outside a run folder (no lock).
StatusEvidence gather_evidence(const std::filesystem::path& folder, const StoredState& stored);

/// Identity of a process on this machine: a pid alone may be used again.
std::string current_boot_id();
/// Start time of a process in clock ticks since boot, as /proc says; empty if there is none.
std::string process_start(std::int64_t pid);
/// Seconds since 1970.
double unix_now();

}  // namespace batchscope::storage
