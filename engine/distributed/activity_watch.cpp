#include "engine/distributed/activity_watch.h"

#include <chrono>
#include <csignal>
#include <exception>
#include <utility>

namespace batchscope::train {

ActivityWatch::ActivityWatch(Read read, double timeout, std::function<void(const StuckNews&)> tell)
    : read_(std::move(read)), watch_(timeout), tell_(std::move(tell)) {
  sigset_t all, before;  // signals are the training thread's
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ActivityWatch::~ActivityWatch() {
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void ActivityWatch::run() noexcept {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    try {
      const std::vector<RankActivity> all = read_();
      if (const auto news = watch_.look(all); news && tell_) {
        tell_(*news);
      }
    } catch (const std::exception&) {
      return;
    }
    lock.lock();
    wake_.wait_for(lock, std::chrono::seconds(1), [this] { return ending_; });
  }
}

}  // namespace batchscope::train
