#pragma once

#include "app/sink_queue.h"
#include "app/sqlite_sink.h"
#include "storage/run_writer.h"

#include <map>
#include <string>
#include <thread>
#include <utility>

namespace batchscope::app {

/// The writer's thread of a SqliteSink, and what it shares with the caller.
class SqliteSink::Worker {
 public:
  Worker(std::filesystem::path folder, SinkListener listener, SinkOptions options);
  ~Worker();

  void begin(const contract::RunInfo& info, bool resumed);
  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& series);
  void give(SinkEntry::Kind kind,
            std::size_t bytes,
            std::function<void(storage::RunWriter&)> store,
            std::function<void()> stored = {}) {
    queue_.give({std::move(store), std::move(stored), bytes, kind});
  }
  /// Of the writer's thread: where the training was at the newest row or segment stored.
  void moved_to(std::int64_t segment, std::int64_t step) { place_ = {segment, step}; }
  /// Of the writer's thread: the event at that place.
  contract::EventRecord placed(contract::EventRecord event) const;
  void flush() { queue_.flush(); }
  void finish(contract::RunState state, int exit_code);
  std::string failure() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Place {
    std::int64_t segment = 0, step = 0;
  };

  void run();
  bool store(std::deque<SinkEntry>& batch, bool beat) noexcept;
  void apply(std::deque<SinkEntry>& batch);
  void refuse(SinkEntry& entry, const std::string& sentence);
  void call_back(const std::deque<SinkEntry>& batch) noexcept;
  void hindered(const char* sentence) noexcept;
  void free_again();
  void give_up();
  double idle() const { return options_.idle_seconds ? options_.idle_seconds() : 0; }
  void close(contract::RunState state, int exit_code);
  void lost(const std::string& sentence);
  void tell_committed(std::int64_t seq) noexcept;
  void tell_trouble() noexcept;
  void say(const std::string& line) const noexcept;

  const std::filesystem::path folder_;
  const SinkListener listener_;
  const SinkOptions options_;
  SinkQueue queue_;
  std::map<std::string, std::int32_t> index_of_;  // caller's thread
  std::thread thread_;

  // Of the writer's thread between begin() and finish().
  std::unique_ptr<storage::RunWriter> writer_;
  std::int64_t committed_ = 0;
  Place place_;
  std::string trouble_;  // empty: none
  Clock::time_point trouble_since_;
  std::chrono::milliseconds pause_{0};
  bool refused_ = false;  // a record since the last call back

  mutable std::mutex failure_mutex_;
  std::string failure_;
};

}  // namespace batchscope::app
