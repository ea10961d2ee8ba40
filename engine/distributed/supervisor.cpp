#include "engine/distributed/supervisor.h"

#include "engine/contract/error.h"
#include "engine/distributed/rank_process.h"
#include "engine/distributed/signals_held.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fstream>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace batchscope::train {
namespace {

using Clock = std::chrono::steady_clock;
using contract::ExitCode;

bool is_one_of(int code, std::initializer_list<ExitCode> codes) {
  return std::any_of(codes.begin(), codes.end(), [&](ExitCode c) { return int(c) == code; });
}

/// Ends that all ranks come to together.
bool is_agreed(int code) {
  return is_one_of(code, {ExitCode::kDone, ExitCode::kNonFinite, ExitCode::kInterrupted});
}
/// Errors of one rank that say more than that it was lost.
bool is_own_error(int code) {
  return is_one_of(code, {ExitCode::kUsage, ExitCode::kData, ExitCode::kStorage});
}

class SupervisedJob {
 public:
  SupervisedJob(const SupervisorOptions& options, const std::vector<std::string>& arguments)
      : options_(options), board_(options.ranks), watch_(options.timeout) {
    end_.ranks.resize(std::size_t(options.ranks));
    pids_.assign(std::size_t(options.ranks), -1);
    try {
      const StoreSocket store;
      for (std::int64_t rank = 0; rank < options.ranks; ++rank) {
        end_.ranks[std::size_t(rank)].rank = rank;
        pids_[std::size_t(rank)] = start_rank(options, arguments, rank, store, board_);
      }
    } catch (...) {
      kill_and_reap();
      throw;
    }
  }
  ~SupervisedJob() { kill_and_reap(); }
  SupervisedJob(const SupervisedJob&) = delete;
  SupervisedJob& operator=(const SupervisedJob&) = delete;

  JobEnd run(const SignalsHeld& signals, int& stops) {
    while (alive() > 0) {
      const int signal = signals.next();
      if (signal != 0 && signal != SIGCHLD) {
        ++stops;
        send(stops < 3 ? SIGTERM : SIGKILL);
      }
      reap(stops);
      look_for_stuck();
      escalate();
    }
    conclude(stops);
    return end_;
  }

 private:
  std::ptrdiff_t alive() const {
    return std::count_if(pids_.begin(), pids_.end(), [](pid_t pid) { return pid > 0; });
  }
  void send(int signal) {
    for (std::size_t rank = 0; rank < pids_.size(); ++rank) {
      if (pids_[rank] > 0) {
        kill(pids_[rank], signal);
        end_.ranks[rank].forced = end_.ranks[rank].forced || signal == SIGKILL;
      }
    }
  }
  void kill_and_reap() {
    send(SIGKILL);
    for (pid_t& pid : pids_) {
      if (pid > 0) {
        waitpid(pid, nullptr, 0);
        pid = -1;
      }
    }
  }
  /// Ranks that are to end, and those of a job that is stopped, are not waited for.
  void look_for_stuck() {
    if (asked_ || Clock::now() < next_look_) {
      return;
    }
    next_look_ = Clock::now() + std::chrono::seconds(1);
    if (const auto news = watch_.look(board_.read()); news && options_.on_stuck) {
      options_.on_stuck(*news);
    }
  }
  void reap(int stops) {
    for (std::size_t rank = 0; rank < pids_.size(); ++rank) {
      int status = 0;
      if (pids_[rank] <= 0 || waitpid(pids_[rank], &status, WNOHANG) != pids_[rank]) {
        continue;
      }
      pids_[rank] = -1;
      board_.slot(std::int64_t(rank)).since_ms = 0;  // it is not waited for any more
      RankExit& ended = end_.ranks[rank];
      ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
      ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      ended.words = last_words(rank);
      note(ended, stops);
    }
  }
  /// The last sentence in a rank's log; empty where its output is ours.
  std::string last_words(std::size_t rank) const {
    if (options_.log_folder.empty() || (rank == 0 && options_.show_rank0)) {
      return {};
    }
    std::ifstream log(options_.log_folder + "/rank" + std::to_string(rank) + ".log");
    std::string line, last;
    while (std::getline(log, line)) {
      last = line.empty() ? last : line;
    }
    constexpr std::string_view kOurs = "batchscope-engine: ";
    return last.starts_with(kOurs) ? last.substr(kOurs.size()) : std::string();
  }
  /// Several may be found dead at once: a rank that lost another is not why the job ended.
  static int weight(const RankExit& exit) {
    if (exit.forced || is_agreed(exit.code)) {
      return 0;
    }
    return exit.code == int(ExitCode::kPeer) ? 1 : 2;
  }
  void note(const RankExit& ended, int stops) {
    if (weight(ended) > (first_ ? weight(*first_) : 0)) {
      first_ = ended;
    }
    const bool asked = stops > 0 && ended.signal == SIGTERM;  // it had no handler yet
    if (asked || weight(ended) > 0 || ended.rank == 0) {
      begin_end(ended.rank == 0 && weight(ended) == 0);
    }
  }
  /// They cannot hear that they are to end.
  void kill_halted() {
    for (std::size_t rank = 0; rank < pids_.size(); ++rank) {
      if (pids_[rank] > 0 && end_.ranks[rank].halted) {
        kill(pids_[rank], SIGKILL);
        end_.ranks[rank].forced = true;
      }
    }
  }
  /// From now on the ranks that are left have the grace to end. After an agreed end of rank 0 they
  /// are at it already.
  void begin_end(bool quietly) {
    if (alive() == 0) {
      return;
    }
    if (!quietly && !asked_) {
      asked_ = true;
      if (const auto stuck = find_stuck(board_.read(), options_.timeout)) {
        stuck_ = *stuck;
      }
      for (std::size_t rank = 0; rank < pids_.size(); ++rank) {
        end_.ranks[rank].halted = pids_[rank] > 0 && is_halted(pids_[rank]);
      }
      send(SIGTERM);
      kill_halted();
    }
    if (!deadline_) {
      deadline_ = Clock::now() + options_.grace;
    }
  }
  void escalate() {
    if (!deadline_ || Clock::now() < *deadline_) {
      return;
    }
    if (!asked_) {
      deadline_.reset();
      begin_end(false);
    } else {
      send(SIGKILL);
    }
  }
  /// A rank that did not answer and had to be killed, while the others say no more than that they
  /// lost one.
  std::optional<RankExit> silent() const {
    if (first_ && weight(*first_) > 1) {
      return std::nullopt;
    }
    const auto found = std::find_if(
        end_.ranks.begin(), end_.ranks.end(), [](const RankExit& rank) { return rank.forced; });
    return found == end_.ranks.end() ? std::nullopt : std::optional(*found);
  }
  void conclude(int stops) {
    const RankExit& zero = end_.ranks.front();
    const bool by_itself = zero.code >= 0 && (is_agreed(zero.code) || is_own_error(zero.code) ||
                                              zero.code == int(ExitCode::kPeer));
    end_.rank0_lost = !by_itself;
    if (stuck_ && first_ && weight(*first_) == 1) {
      end_.reason = stuck_->clause() + "; " + first_->text();
      end_.culprit = stuck_->ranks.front();
      end_.code = int(stops >= 3 ? ExitCode::kInterrupted : ExitCode::kPeer);
    } else if (const auto lost = silent(); lost && first_) {
      end_.reason = lost->text() + "; " + first_->text();
      end_.culprit = lost->rank;
      end_.code = int(stops >= 3 ? ExitCode::kInterrupted : ExitCode::kPeer);
    } else if (first_) {
      end_.reason = first_->text();
      end_.culprit = first_->rank;
      end_.code = is_own_error(first_->code) ? first_->code : int(ExitCode::kPeer);
      if (stops > 0 && first_->signal == SIGTERM) {
        end_.code = int(ExitCode::kInterrupted);
      }
    } else if (by_itself) {
      end_.code = zero.code;
    } else {
      end_.reason = zero.text();
      end_.culprit = 0;
      end_.code = int(stops >= 3 ? ExitCode::kInterrupted : ExitCode::kPeer);
    }
  }

  const SupervisorOptions& options_;
  RankBoard board_;
  StuckWatch watch_;
  Clock::time_point next_look_{};
  std::optional<StuckRanks> stuck_;  // when the job was to end
  std::vector<pid_t> pids_;
  JobEnd end_;
  std::optional<RankExit> first_;  // what went wrong first
  std::optional<Clock::time_point> deadline_;
  bool asked_ = false;  // SIGTERM was sent because the job is over
};

}  // namespace

std::string RankExit::text() const {
  std::string said = "rank " + std::to_string(rank);
  if (signal != 0 && forced) {
    said.append(halted ? " stood still (it was stopped by a signal)" : " did not answer");
    said.append(" and was killed");
  } else if (signal != 0) {
    said.append(" was killed by signal ").append(std::to_string(signal));
    said.append(" (").append(strsignal(signal)).append(")");
  } else if (code == 127) {
    said.append(" could not be started");
  } else {
    said.append(" ended with exit code ").append(std::to_string(code));
    if (!words.empty()) {
      said.append(": ").append(words);
    }
  }
  return said;
}

JobEnd supervise(const SupervisorOptions& options) {
  const SignalsHeld signals;
  int stops = 0;
  std::vector<std::string> arguments = options.arguments;
  for (std::int64_t restarts = 0;; ++restarts) {
    JobEnd end = SupervisedJob(options, arguments).run(signals, stops);
    if (end.rank0_lost && options.on_rank0_lost) {
      options.on_rank0_lost(end);
    }
    if (end.code != int(ExitCode::kPeer) || stops > 0 || restarts >= options.restarts ||
        !options.restart_arguments) {
      return end;
    }
    auto next = options.restart_arguments(end);
    if (!next) {
      return end;
    }
    arguments = std::move(*next);
  }
}

}  // namespace batchscope::train
