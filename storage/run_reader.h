#pragma once

#include "engine/contract/records.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::storage {

/// The x axes of a block of rows, parallel vectors in seq order.
struct RowAxis {
  std::vector<std::int64_t> seq, segment, step, images;
  std::vector<double> seconds;
};
/// Samples of one series in seq order (only rows where it was measured).
struct SeriesSamples {
  std::vector<std::int64_t> seq;
  std::vector<double> value;
};
struct StoredEvent {
  std::int64_t id = 0;
  contract::EventRecord record;
};
struct StoredEval {
  std::int64_t id = 0;
  contract::EvalRecord record;
};
/// What the writer said last; believe status.h, not this.
struct StoredState {
  contract::StatusReport report;
  std::int64_t pid = 0;
  std::string boot_id, pid_started;  // /proc start time of pid
  double heartbeat_unix = 0;         // seconds
  std::optional<int> exit_code;
  std::string finished;  // ISO 8601 or empty
};

/// Reads one run: a folder with run.sqlite, a run.sqlite, or a *.bscope. Read-only: a run file is
/// never changed by reading. Own connection; one thread. Every call is one short transaction (under
/// 200 ms for the documented loads). Throws contract::StorageError naming the file and what is
/// wrong with it (not a run file, newer version, damaged).
class RunReader {
 public:
  explicit RunReader(const std::filesystem::path& path);
  ~RunReader();
  RunReader(RunReader&&) noexcept;
  RunReader(const RunReader&) = delete;

  contract::RunInfo info();
  std::vector<contract::SeriesInfo> series();  // index = series id
  std::vector<contract::SegmentRecord> segments();
  StoredState state();
  std::int64_t last_seq();
  /// Appends rows with seq > after; returns the newest seq read (`after` if none).
  std::int64_t read_axis(std::int64_t after, RowAxis& out);
  std::int64_t read_series(std::int32_t series, std::int64_t after, SeriesSamples& out);
  std::vector<StoredEvent> events(std::int64_t after_id);
  std::vector<StoredEval> evals(std::int64_t after_id);
  std::vector<contract::ProbeRecord> probes();
  /// Predictions of the newest evaluation at or before `step` on the live lineage of `segment`.
  std::vector<contract::PredictionRecord> predictions(std::int64_t segment, std::int64_t step);
  std::vector<contract::CheckpointRecord> checkpoints();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The segments that lead to `segment`, oldest first, each with the last step that counts: what is
/// drawn as the run's line; all other rows are abandoned.
struct LineageSpan {
  std::int64_t segment = 0, first_step = 0, last_step = 0;
};
std::vector<LineageSpan> lineage(const std::vector<contract::SegmentRecord>& segments);

}  // namespace batchscope::storage
