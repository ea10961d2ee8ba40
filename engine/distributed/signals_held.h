#pragma once

#include <csignal>
#include <ctime>

namespace batchscope::train {

/// SIGCHLD, SIGINT, SIGTERM and SIGHUP wait for next() instead of going to handlers, from
/// construction to destruction, in this thread and those that it starts. For who starts and watches
/// processes. Those that were ignored before (nohup, a shell's background job) stay ignored.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigemptyset(&held_);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) {
      struct sigaction now {};
      const bool ignored = sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
      if (signal == SIGCHLD || !ignored) {
        sigaddset(&held_, signal);
      }
    }
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &plain, &child_);  // if it were ignored, exit codes would be lost
    pthread_sigmask(SIG_BLOCK, &held_, &before_);
  }
  ~SignalsHeld() {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    sigaction(SIGCHLD, &child_, nullptr);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;
  /// The mask from before, which a started process should have.
  const sigset_t& before() const { return before_; }
  /// The next signal, or 0 after a tenth of a second.
  int next() const {
    const timespec limit{0, 100000000};
    const int signal = sigtimedwait(&held_, nullptr, &limit);
    return signal > 0 ? signal : 0;
  }

 private:
  sigset_t held_{}, before_{};
  struct sigaction child_ {};
};

}  // namespace batchscope::train
