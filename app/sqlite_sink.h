#pragma once

#include "engine/contract/records.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>

namespace batchscope::app {

struct SinkOptions {
  /// Rows are committed at most this long after they were given.
  std::chrono::milliseconds commit_every{100};
  /// The heartbeat is refreshed this often.
  std::chrono::milliseconds heartbeat_every{1000};
  /// For how many seconds the training has not gone on: the heartbeat is of the time when it last
  /// did. Called in the writer's thread; empty: it always goes on.
  std::function<double()> idle_seconds;
  /// What may wait in memory.
  std::size_t queue_bytes = 64U << 20;
  /// begin() tries a file that another process keeps busy for so long.
  std::chrono::milliseconds begin_patience{30000};
  /// Without success, writing is tried again after 20 ms, then twice as long, up to this.
  std::chrono::milliseconds longest_pause{1000};
  /// finish() tries for so long to store what still waits.
  std::chrono::milliseconds last_patience{10000};
};

/// What a sink tells; called in the writer's thread, the first `committed` in begin().
struct SinkListener {
  /// The newest sequence number that readers can see, after each commit that added rows.
  std::function<void(std::int64_t)> committed;
  /// Why nothing can be written now, one sentence; empty once it is over.
  std::function<void(const std::string&)> trouble;
  /// A line for the person at the terminal. Where there is none: stderr.
  std::function<void(const std::string&)> say;
};

/// Telemetry into FOLDER/run.sqlite through a thread of its own that alone touches the file. The
/// caller's side is one thread and never waits for the disk (except in begin, flush and finish, and
/// when the queue is full). What cannot be written (a full disk, a lock) waits in the queue and is
/// tried again for as long as the training goes on; where the queue is full by then, the oldest
/// rows, predictions and states are dropped and counted, everything else is kept. Once writing goes
/// on, an event "telemetry_gap" says what happened. A record that can never be stored is left out.
/// The caller holds the run's lock.
class SqliteSink : public contract::TelemetrySink {
 public:
  explicit SqliteSink(std::filesystem::path folder,
                      SinkListener listener = {},
                      SinkOptions options = {});
  /// Commits what was given. Without finish() the run's record stays open, as after a crash.
  ~SqliteSink() override;

  void begin(const contract::RunInfo& info, bool resumed) override;
  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& series) override;
  void segment(const contract::SegmentRecord& record) override;
  void step(const contract::StepRecord& record) override;
  void event(const contract::EventRecord& record) override;
  void eval(const contract::EvalRecord& record) override;
  void probe(const contract::ProbeRecord& record) override;
  void prediction(const contract::PredictionRecord& record) override;
  /// An event of the engine at the newest row or segment stored. From any thread.
  void note(const std::string& kind, const std::string& text);
  void checkpoint(const contract::CheckpointRecord& record) override;
  void checkpoint_removed(const std::string& file) override;
  /// In the writer's thread, until the sink is destroyed at the latest. A call that follows a
  /// record which can never be stored is left out with it; dropped rows do not hold it up.
  void after_commit(std::function<void()> call) override;
  /// From any thread.
  void status(const contract::StatusReport& report) override;
  /// Returns early while nothing can be written.
  void flush() override;
  void finish(contract::RunState state, int exit_code) override;
  /// What was lost for good other than by dropping: a record that can never be stored, or what
  /// still waited at the end.
  std::string failure() const override;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace batchscope::app
