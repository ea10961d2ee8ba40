#include "app/sink_queue.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

namespace batchscope::app {
namespace {

using Kind = SinkJob::Kind;

constexpr std::size_t kJobBytes = 256;  // of a job without its payload

std::size_t size_of(const SinkJob& job) {
  return job.bytes + kJobBytes;
}

void count(SinkLosses& losses, const SinkJob& job) {
  losses.rows += job.kind == Kind::kRow ? 1 : 0;
  losses.predictions += job.kind == Kind::kPrediction ? 1 : 0;
}

}  // namespace

void SinkQueue::open() {
  const std::lock_guard guard(mutex_);
  open_ = true;
}

void SinkQueue::close() {
  const std::lock_guard guard(mutex_);
  open_ = false;
  drained_.notify_all();
}

void SinkQueue::stop() {
  const std::lock_guard guard(mutex_);
  stopping_ = true;
  wake_.notify_all();
}

bool SinkQueue::stopping() const {
  const std::lock_guard guard(mutex_);
  return stopping_;
}

bool SinkQueue::empty() const {
  const std::lock_guard guard(mutex_);
  return jobs_.empty();
}

void SinkQueue::push(SinkJob job) {
  const std::size_t bytes = size_of(job);
  const bool droppable = job.kind != Kind::kKept;
  jobs_.push_back(std::move(job));
  bytes_ += bytes;
  droppable_bytes_ += droppable ? bytes : 0;
  ++given_;
  wake_.notify_all();
}

void SinkQueue::add(SinkJob job) {
  const std::lock_guard guard(mutex_);
  push(std::move(job));
}

void SinkQueue::give(SinkJob job) noexcept {
  std::unique_lock guard(mutex_);
  drained_.wait(guard, [this] { return bytes_ < limit_ || hindered_ || !open_; });
  if (!open_) {
    return;
  }
  try {
    if (bytes_ >= limit_) {
      make_room();
    }
    if (bytes_ >= limit_ && job.kind != Kind::kKept) {
      count(losses_, job);
      return;
    }
    push(std::move(job));
  } catch (const std::exception&) {  // no memory
    count(losses_, job);
  }
}

/// Drops the oldest, a quarter of the limit at once, so that a full queue is seldom walked.
void SinkQueue::make_room() {
  if (droppable_bytes_ == 0) {
    return;
  }
  const std::size_t wanted = limit_ - limit_ / 4;
  const auto goes = [&](const SinkJob& job) {
    if (job.kind == Kind::kKept || bytes_ < wanted) {
      return false;
    }
    bytes_ -= size_of(job);
    droppable_bytes_ -= size_of(job);
    count(losses_, job);
    ++done_;
    return true;
  };
  std::erase_if(jobs_, goes);
}

void SinkQueue::flush() {
  std::unique_lock guard(mutex_);
  flush_wanted_ = true;
  wake_.notify_all();
  const std::uint64_t target = given_;
  drained_.wait(guard, [this, target] { return done_ >= target || hindered_ || !open_; });
}

std::deque<SinkJob> SinkQueue::take(Clock::time_point until, std::chrono::milliseconds gather) {
  std::unique_lock guard(mutex_);
  wake_.wait_until(guard, until, [this] { return stopping_ || flush_wanted_ || !jobs_.empty(); });
  // Rows gather for a moment, so that a fast training costs ten transactions a second.
  wake_.wait_for(guard, jobs_.empty() ? std::chrono::milliseconds(0) : gather, [this] {
    return stopping_ || flush_wanted_ || bytes_ >= limit_ / 4;
  });
  std::deque<SinkJob> batch;
  for (std::size_t bytes = 0; !jobs_.empty() && bytes < limit_ / 4; jobs_.pop_front()) {
    SinkJob& job = jobs_.front();
    bytes += size_of(job);
    droppable_bytes_ -= job.kind == Kind::kKept ? 0 : size_of(job);
    batch.push_back(std::move(job));
  }
  flush_wanted_ = flush_wanted_ && !jobs_.empty();
  return batch;
}

void SinkQueue::put_back(std::deque<SinkJob> batch) {
  const std::lock_guard guard(mutex_);
  for (const SinkJob& job : batch) {
    droppable_bytes_ += job.kind == Kind::kKept ? 0 : size_of(job);
  }
  std::move(jobs_.begin(), jobs_.end(), std::back_inserter(batch));
  jobs_ = std::move(batch);
}

void SinkQueue::settle(const std::deque<SinkJob>& batch) {
  const std::lock_guard guard(mutex_);
  done_ += batch.size();
  for (const SinkJob& job : batch) {
    bytes_ -= size_of(job);
  }
  drained_.notify_all();
}

void SinkQueue::set_hindered(bool hindered) {
  const std::lock_guard guard(mutex_);
  hindered_ = hindered;
  drained_.notify_all();
}

void SinkQueue::pause(std::chrono::milliseconds time) {
  std::unique_lock guard(mutex_);
  const bool stopped = stopping_;
  wake_.wait_for(guard, time, [this, stopped] { return stopping_ != stopped; });
}

SinkLosses SinkQueue::take_losses() {
  const std::lock_guard guard(mutex_);
  return std::exchange(losses_, {});
}

SinkLosses SinkQueue::waiting() const {
  const std::lock_guard guard(mutex_);
  SinkLosses all = losses_;
  for (const SinkJob& job : jobs_) {
    count(all, job);
  }
  return all;
}

}  // namespace batchscope::app
