#include "app/sink_queue.h"

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

namespace batchscope::app {
namespace {

using Kind = SinkEntry::Kind;

constexpr std::size_t kEntryBytes = 256;  // of a entry without its payload

std::size_t size_of(const SinkEntry& entry) {
  return entry.bytes + kEntryBytes;
}

void count(SinkLosses& losses, const SinkEntry& entry) {
  losses.rows += entry.kind == Kind::kRow ? 1 : 0;
  losses.predictions += entry.kind == Kind::kPrediction ? 1 : 0;
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
  return entries_.empty();
}

void SinkQueue::push(SinkEntry entry) {
  const std::size_t bytes = size_of(entry);
  const bool droppable = entry.kind != Kind::kKept;
  entries_.push_back(std::move(entry));
  bytes_ += bytes;
  droppable_bytes_ += droppable ? bytes : 0;
  ++given_;
  wake_.notify_all();
}

void SinkQueue::add(SinkEntry entry) {
  const std::lock_guard guard(mutex_);
  push(std::move(entry));
}

void SinkQueue::give(SinkEntry entry) noexcept {
  std::unique_lock guard(mutex_);
  drained_.wait(guard, [this] { return bytes_ < limit_ || hindered_ || !open_; });
  if (!open_) {
    return;
  }
  try {
    if (bytes_ >= limit_) {
      make_room();
    }
    if (bytes_ >= limit_ && entry.kind != Kind::kKept) {
      count(losses_, entry);
      return;
    }
    push(std::move(entry));
  } catch (const std::exception&) {  // no memory
    count(losses_, entry);
  }
}

/// Drops the oldest, a quarter of the limit at once, so that a full queue is seldom walked.
void SinkQueue::make_room() {
  if (droppable_bytes_ == 0) {
    return;
  }
  const std::size_t wanted = limit_ - limit_ / 4;
  const auto goes = [&](const SinkEntry& entry) {
    if (entry.kind == Kind::kKept || bytes_ < wanted) {
      return false;
    }
    bytes_ -= size_of(entry);
    droppable_bytes_ -= size_of(entry);
    count(losses_, entry);
    ++done_;
    return true;
  };
  std::erase_if(entries_, goes);
}

void SinkQueue::flush() {
  std::unique_lock guard(mutex_);
  flush_wanted_ = true;
  wake_.notify_all();
  const std::uint64_t target = given_;
  drained_.wait(guard, [this, target] { return done_ >= target || hindered_ || !open_; });
}

std::deque<SinkEntry> SinkQueue::take(Clock::time_point until, std::chrono::milliseconds gather) {
  std::unique_lock guard(mutex_);
  wake_.wait_until(
      guard, until, [this] { return stopping_ || flush_wanted_ || !entries_.empty(); });
  // Rows gather for a moment, so that a fast training costs ten transactions a second.
  wake_.wait_for(guard, entries_.empty() ? std::chrono::milliseconds(0) : gather, [this] {
    return stopping_ || flush_wanted_ || bytes_ >= limit_ / 4;
  });
  std::deque<SinkEntry> batch;
  for (std::size_t bytes = 0; !entries_.empty() && bytes < limit_ / 4; entries_.pop_front()) {
    SinkEntry& entry = entries_.front();
    bytes += size_of(entry);
    droppable_bytes_ -= entry.kind == Kind::kKept ? 0 : size_of(entry);
    batch.push_back(std::move(entry));
  }
  flush_wanted_ = flush_wanted_ && !entries_.empty();
  return batch;
}

void SinkQueue::put_back(std::deque<SinkEntry> batch) {
  const std::lock_guard guard(mutex_);
  for (const SinkEntry& entry : batch) {
    droppable_bytes_ += entry.kind == Kind::kKept ? 0 : size_of(entry);
  }
  std::move(entries_.begin(), entries_.end(), std::back_inserter(batch));
  entries_ = std::move(batch);
}

void SinkQueue::settle(const std::deque<SinkEntry>& batch) {
  const std::lock_guard guard(mutex_);
  done_ += batch.size();
  for (const SinkEntry& entry : batch) {
    bytes_ -= size_of(entry);
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
  for (const SinkEntry& entry : entries_) {
    count(all, entry);
  }
  return all;
}

}  // namespace batchscope::app
