#pragma once

#include "engine/distributed/stuck_ranks.h"

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace batchscope::train {

/// A thread that asks once a second what the ranks do, and tells what is new of those that are
/// stuck. It ends by itself when `read` throws: then the job is over.
class ActivityWatch {
 public:
  using Read = std::function<std::vector<RankActivity>()>;
  /// `tell` may be empty: then it only reads. Both are called in the thread.
  ActivityWatch(Read read, double timeout, std::function<void(const StuckNews&)> tell);
  ~ActivityWatch();
  ActivityWatch(const ActivityWatch&) = delete;
  ActivityWatch& operator=(const ActivityWatch&) = delete;

 private:
  void run() noexcept;
  const Read read_;
  StuckWatch watch_;
  const std::function<void(const StuckNews&)> tell_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace batchscope::train
