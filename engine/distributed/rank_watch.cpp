#include "engine/distributed/rank_watch.h"

#include "engine/contract/error.h"
#include "engine/distributed/rank_board.h"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/prctl.h>
#include <thread>
#include <unistd.h>

namespace batchscope::train {
namespace {

std::atomic<int> requests{0};
std::atomic<bool> gone{false}, starting{false};
static_assert(std::atomic<int>::is_always_lock_free);  // the signal handler touches it

void count_request(int) {
  requests.fetch_add(1);
}

/// The parent-death signal may have been missed (it is set after the fork), and the training thread
/// may be stuck in a collective: so the parent is looked at, and the end is kept.
void watch_parent(pid_t supervisor, std::chrono::milliseconds limit) {
  while (getppid() == supervisor) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  gone = true;
  if (requests.load() == 0) {
    requests = 1;
  }
  std::this_thread::sleep_for(limit);
  _exit(int(contract::ExitCode::kPeer));
}

/// Of the whole process, as what it shows its activity in.
RankBoard* board = nullptr;

void join_board(const LaunchEnv& env) {
  const char* descriptor = std::getenv("BATCHSCOPE_BOARD_FD");
  if (descriptor != nullptr && board == nullptr) {
    board = new RankBoard(std::atoi(descriptor), env.world);
    show_activity_in(board->slot(env.rank));
  }
}

}  // namespace

std::vector<RankActivity> activities_here() {
  return board != nullptr ? board->read() : std::vector<RankActivity>{own_activity()};
}

StoppableStart::StoppableStart() {
  starting = true;
  std::thread([] {
    while (starting) {
      if (requests.load() > 0) {
        std::fputs("batchscope-engine: stopped before the ranks had met: nothing was trained.\n",
                   stderr);
        _exit(int(contract::ExitCode::kInterrupted));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }).detach();
}

StoppableStart::~StoppableStart() {
  starting = false;
}

void watch_rank(const LaunchEnv& env, std::chrono::milliseconds limit) {
  struct sigaction action {};
  action.sa_handler = count_request;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  const char* supervisor = std::getenv("BATCHSCOPE_SUPERVISOR");
  if (!env.supervised || supervisor == nullptr) {
    return;
  }
  join_board(env);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(watch_parent, pid_t(std::atol(supervisor)), limit).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

int stop_requests() {
  return requests.load(std::memory_order_relaxed);
}

bool supervisor_gone() {
  return gone.load(std::memory_order_relaxed);
}

}  // namespace batchscope::train
