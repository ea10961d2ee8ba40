#pragma once

#include "engine/distributed/stuck_ranks.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// How one rank ended.
struct RankExit {
  std::int64_t rank = 0;
  int code = -1;        // exit code; -1: killed by a signal
  int signal = 0;       // that killed it
  bool forced = false;  // the supervisor killed it
  bool halted = false;  // it stood still (SIGSTOP) when the job was to end
  std::string words;    // its last sentence, where it has a log
  /// "rank 1 was killed by signal 9 (Killed)", "rank 1 ended with exit code 3: The picture …".
  std::string text() const;
};

/// How a job ended.
struct JobEnd {
  int code = 0;               // for the supervisor to exit with: contract::ExitCode
  bool rank0_lost = false;    // rank 0 could not write its closing event
  std::string reason;         // what went wrong first; empty when nothing did
  std::int64_t culprit = -1;  // the rank that it went wrong on
  std::vector<RankExit> ranks;
};

struct SupervisorOptions {
  std::string program = "/proc/self/exe";
  std::vector<std::string> arguments;              // of every rank, without the program's name
  std::map<std::string, std::string> environment;  // added to every rank's
  std::int64_t ranks = 1;
  std::string log_folder;   // rankN.log are appended there; empty: all ranks write to our output
  bool show_rank0 = false;  // rank 0 writes to our output, so that its progress is seen
  int lock_fd = -1;         // the run's lock: only rank 0 inherits it, as BATCHSCOPE_LOCK_FD
  std::chrono::milliseconds grace{10000};  // between asking a rank to end and killing it
  double timeout = 600;                    // distributed.timeout, s: of find_stuck()
  std::int64_t restarts = 0;               // times that a lost job is started again
  /// Called when ranks are stuck, before anything is ended for it, and when they go on.
  std::function<void(const StuckNews&)> on_stuck;
  /// Called when all ranks are gone and rank 0 did not end by itself: writes the closing event.
  std::function<void(const JobEnd&)> on_rank0_lost;
  /// Arguments to start again with after a lost peer (from the last checkpoint); nothing: give up.
  std::function<std::optional<std::vector<std::string>>(const JobEnd&)> restart_arguments;
};

/// Starts the ranks on this machine, in process groups of their own, with RANK, WORLD_SIZE,
/// LOCAL_RANK, MASTER_ADDR, MASTER_PORT, BATCHSCOPE_SUPERVISOR (our pid) and, for rank 0,
/// BATCHSCOPE_STORE_FD (a socket that listens on the loopback interface) set, and
/// BATCHSCOPE_BOARD_FD (a RankBoard); waits until all have
/// ended. When one dies, the others get SIGTERM and, after the grace, SIGKILL. The first SIGINT,
/// SIGTERM or SIGHUP, and the second, reach the ranks as SIGTERM (stop and save, stop now); the
/// third kills them. Whatever happens no rank is left, also when we are killed: ranks get SIGTERM
/// then (see rank_watch.h). Code: that of rank 0; of a rank that failed with 2, 3 or 4; 5 when a
/// rank was lost; 130 when stopped by force. One call at a time, from the main thread. Throws
/// contract::Error when the ranks cannot be started.
JobEnd supervise(const SupervisorOptions& options);

}  // namespace batchscope::train
