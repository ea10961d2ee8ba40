#pragma once

#include <chrono>

namespace batchscope::train {

/// Seconds that can be held. One thread.
class Stopwatch {
 public:
  void start() {
    if (!running_) {
      since_ = Clock::now();
      running_ = true;
    }
  }
  void hold() {
    seconds_ = seconds();
    running_ = false;
  }
  void set(double seconds) {
    seconds_ = seconds;
    since_ = Clock::now();
  }
  bool running() const { return running_; }
  double seconds() const {
    return seconds_ + (running_ ? std::chrono::duration<double>(Clock::now() - since_).count() : 0);
  }

 private:
  using Clock = std::chrono::steady_clock;
  double seconds_ = 0;
  bool running_ = false;
  Clock::time_point since_;
};

/// Holds a stopwatch while it lives, if it was running.
class Hold {
 public:
  explicit Hold(Stopwatch& watch) : watch_(watch), ran_(watch.running()) { watch_.hold(); }
  ~Hold() {
    if (ran_) {
      watch_.start();
    }
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  Stopwatch& watch_;
  bool ran_;
};

}  // namespace batchscope::train
