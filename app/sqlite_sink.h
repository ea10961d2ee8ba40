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
  /// The heartbeat is refreshed this often, whatever the caller does.
  std::chrono::milliseconds heartbeat_every{1000};
  /// Callers wait (for the disk) once this much is queued.
  std::size_t queue_bytes = 64U << 20;
  /// A file that another process keeps busy is tried again for so long before it is a failure.
  std::chrono::milliseconds busy_patience{30000};
};

/// Telemetry into FOLDER/run.sqlite through a thread of its own that alone touches the file. The
/// caller's side is one thread, never waits for the disk (except in begin, flush and finish, and
/// when the queue is full) and never sees an exception: after the first failure, which failure()
/// tells, everything is dropped and the training goes on. The caller holds the run's lock.
class SqliteSink : public contract::TelemetrySink {
 public:
  /// `on_committed` is called in the writer's thread with the newest sequence number that readers
  /// can see, after each commit that added rows.
  explicit SqliteSink(std::filesystem::path folder,
                      std::function<void(std::int64_t)> on_committed = {},
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
  void checkpoint(const contract::CheckpointRecord& record) override;
  void checkpoint_removed(const std::string& file) override;
  void status(const contract::StatusReport& report) override;
  void flush() override;
  void finish(contract::RunState state, int exit_code) override;
  std::string failure() const override;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace batchscope::app
