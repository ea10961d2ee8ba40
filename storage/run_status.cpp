#include "storage/run_status.h"

#include "storage/run_lock.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace batchscope::storage {
namespace {

using contract::RunState;

bool is_end(RunState state) {
  return state == RunState::kFinished || state == RunState::kStopped ||
         state == RunState::kFailed || state == RunState::kLost;
}

std::string seconds_text(double seconds) {
  char text[64];
  if (seconds < 100) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 7200) {
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  } else if (seconds < 2 * 86400) {
    std::snprintf(text, sizeof text, "%.0f h", seconds / 3600);
  } else {
    std::snprintf(text, sizeof text, "%.0f days", seconds / 86400);
  }
  return text;
}

}  // namespace

RunState decide_state(const StatusEvidence& evidence) {
  if (is_end(evidence.written)) {
    return evidence.written;
  }
  if (evidence.pid == 0) {
    return evidence.lock_held ? RunState::kStarting : RunState::kQueued;
  }
  if (evidence.lock_held) {
    return evidence.written;
  }
  const bool fresh = evidence.heartbeat_age < kSilentAfterSeconds;
  const bool may_live = evidence.same_boot ? evidence.pid_alive : true;
  return fresh && may_live ? evidence.written : RunState::kLost;
}

std::string describe(const StatusEvidence& evidence) {
  if (is_end(evidence.written)) {
    std::string text = "ended";
    if (evidence.exit_code) {
      text += " with exit code " + std::to_string(*evidence.exit_code);
    }
    return evidence.lock_held ? text + ", lock still held" : text;
  }
  std::string text = evidence.lock_held ? "lock held" : "lock free";
  if (evidence.pid == 0) {
    return text + ", nothing written yet";
  }
  const std::string process = "process " + std::to_string(evidence.pid);
  if (!evidence.same_boot) {
    text += ", " + process + " was on another machine or before a restart";
  } else if (!evidence.pid_alive) {
    text += ", " + process + " is gone";
  } else if (!evidence.lock_held) {
    text += ", " + process + " lives";
  }
  const bool silent = evidence.heartbeat_age >= kSilentAfterSeconds;
  return text + (silent ? (evidence.lock_held ? ", no progress for " : ", no sign of life for ") +
                              seconds_text(evidence.heartbeat_age)
                        : ", heartbeat " + seconds_text(evidence.heartbeat_age) + " ago");
}

StatusEvidence gather_evidence(const std::filesystem::path& folder, const StoredState& stored) {
  StatusEvidence evidence;
  evidence.written = stored.report.state;
  evidence.lock_held = !folder.empty() && run_is_locked(folder);
  evidence.pid = stored.pid;
  evidence.same_boot = !stored.boot_id.empty() && stored.boot_id == current_boot_id();
  evidence.pid_alive = evidence.same_boot && !stored.pid_started.empty() &&
                       stored.pid_started == process_start(stored.pid);
  // A clock that was set back must not make a heartbeat younger than now.
  evidence.heartbeat_age = std::max(0.0, unix_now() - stored.heartbeat_unix);
  evidence.exit_code = stored.exit_code;
  return evidence;
}

std::string current_boot_id() {
  static const std::string id = [] {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string line;
    std::getline(file, line);
    return line;
  }();
  return id;
}

std::string process_start(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(file, line)) {
    return {};
  }
  // The name in parentheses may hold spaces and parentheses itself; fields count from its end.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) {
    return {};
  }
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  constexpr int kStateField = 3, kStartField = 22;
  for (int number = kStateField; number <= kStartField; ++number) {
    fields >> field;
    if (number == kStateField && (field == "Z" || field == "X")) {
      return {};  // ended, and not yet waited for
    }
  }
  return field;
}

double unix_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

}  // namespace batchscope::storage
