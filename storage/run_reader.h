#pragma once

#include "engine/contract/records.h"
#include "storage/sqlite.h"

#include <cstdint>
#include <filesystem>
#include <limits>
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
/// What a series amounts to. min and max are NaN if no sample is finite.
struct SeriesSummary {
  std::int64_t count = 0, nonfinite = 0;
  double min = 0, max = 0, first = 0, last = 0;
};
struct StoredEvent {
  std::int64_t id = 0;
  contract::EventRecord record;
};
struct StoredEval {
  std::int64_t id = 0;
  contract::EvalRecord record;
};
/// An evaluation (or the look before the first one) that pictures were predicted at.
struct StoredPredictions {
  std::int64_t id = 0;  // grows with what is written
  std::int64_t segment = 0, step = 0;
};
/// What the writer said last; believe run_status.h, not this.
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
/// wrong with it (not a run file, newer version, damaged), and nothing else: the file may come from
/// a stranger.
class RunReader {
 public:
  explicit RunReader(const std::filesystem::path& path, ReadLimits limits = {});
  ~RunReader();
  RunReader(RunReader&&) noexcept;
  RunReader(const RunReader&) = delete;

  static constexpr std::int64_t kNewest = std::numeric_limits<std::int64_t>::max();

  contract::RunInfo info();
  std::vector<contract::SeriesInfo> series();  // index = series id
  std::vector<contract::SegmentRecord> segments();
  StoredState state();
  std::int64_t last_seq();
  /// Appends rows with after < seq <= through; returns the newest seq read (`after` if none). A row
  /// never changes once it was read, so that axes and series read one after the other agree.
  std::int64_t read_axis(std::int64_t after, RowAxis& out, std::int64_t through = kNewest);
  std::int64_t read_series(std::int32_t series,
                           std::int64_t after,
                           SeriesSamples& out,
                           std::int64_t through = kNewest);
  /// Smallest and largest finite value, first and last value, and counts of one series over all its
  /// segments, from the chunks' summaries; count 0 if it was never measured.
  SeriesSummary summary(std::int32_t series);
  std::vector<StoredEvent> events(std::int64_t after_id);
  std::vector<StoredEval> evals(std::int64_t after_id);
  std::vector<contract::ProbeRecord> probes();
  std::int64_t probe_count();
  /// Where pictures were predicted since, in the order of writing; one place comes again when more
  /// of its predictions are committed. All places where the newest id is below `after_id`: ids
  /// begin anew when a compact copy takes the file's place.
  std::vector<StoredPredictions> predicted(std::int64_t after_id);
  /// Predictions made at exactly this step of this segment, abandoned or not.
  std::vector<contract::PredictionRecord> predictions_at(std::int64_t segment, std::int64_t step);
  /// Predictions of the newest evaluation at or before `step` on the live lineage of `segment`.
  std::vector<contract::PredictionRecord> predictions(std::int64_t segment, std::int64_t step);
  std::vector<contract::CheckpointRecord> checkpoints();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::storage
