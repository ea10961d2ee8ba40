#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>

namespace batchscope::storage {
class RunWriter;
}

namespace batchscope::app {

/// One record on its way to the run file.
struct SinkEntry {
  /// kKept is never dropped; of the others the oldest go first where there is no room.
  enum class Kind { kKept, kRow, kPrediction, kStatus };
  std::function<void(storage::RunWriter&)> store;  // empty: nothing to store
  std::function<void()> stored;                    // called once it is committed; may be empty
  std::size_t bytes = 0;                           // of what `store` holds
  Kind kind = Kind::kKept;
  bool refused = false;  // could not be stored, whatever is tried
};

/// What was dropped for want of room.
struct SinkLosses {
  std::int64_t rows = 0, predictions = 0;
};

/// Between the training's thread, which gives, and the writer's thread, which takes. Bounded in
/// bytes: who gives to a full queue waits, or, while the writer is hindered, lets the oldest rows,
/// predictions and states go. What is taken stays counted until it is settled or put back.
class SinkQueue {
 public:
  using Clock = std::chrono::steady_clock;

  explicit SinkQueue(std::size_t limit_bytes) : limit_(limit_bytes) {}

  /// Lets entries in; until then, and after close(), they vanish.
  void open();
  void close();
  /// Nothing more will be given.
  void stop();
  bool stopping() const;

  void give(SinkEntry entry) noexcept;
  /// Of the writer's thread: never waits.
  void add(SinkEntry entry);
  /// Waits until all that was given so far is settled, or the writer is hindered.
  void flush();

  /// At most a quarter of the limit (at least one entry), in order. Waits for the first entry up to
  /// `until`, then `gather` for more; empty when none came.
  std::deque<SinkEntry> take(Clock::time_point until, std::chrono::milliseconds gather);
  /// In front of all others again.
  void put_back(std::deque<SinkEntry> batch);
  void settle(const std::deque<SinkEntry>& batch);
  bool empty() const;

  void set_hindered(bool hindered);
  /// Sleeps; a stop() meanwhile ends it.
  void pause(std::chrono::milliseconds time);
  /// What was dropped since the last call.
  SinkLosses take_losses();
  /// What waits still, counted as if it was dropped.
  SinkLosses waiting() const;

 private:
  void push(SinkEntry entry);
  void make_room();

  const std::size_t limit_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, drained_;
  std::deque<SinkEntry> entries_;
  std::size_t bytes_ = 0;            // of entries_ and of what was taken
  std::size_t droppable_bytes_ = 0;  // in entries_
  std::uint64_t given_ = 0, done_ = 0;
  SinkLosses losses_;
  bool open_ = false, stopping_ = false, hindered_ = false, flush_wanted_ = false;
};

}  // namespace batchscope::app
