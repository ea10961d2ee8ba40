#pragma once

#include "engine/contract/messages.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::contract {

/// One named curve of a run. Names are those of the CSV export: "lr", "loss", "loss/<part>",
/// "grad_norm", "images_per_s", "d/<module>", "mu/<module>", "noise/<module>", "pmd_c",
/// "beta1_eff", "m_norm/<module>", ...
struct SeriesInfo {
  std::string name;
  std::string unit;    // "", "1/s", "px", ...
  std::string module;  // the module it speaks of, or empty
  std::string help;    // one line: what is measured, and its formula
  bool operator==(const SeriesInfo&) const = default;
};

/// What is known of a run before its first step. Stored once.
struct RunInfo {
  std::string id;  // 12 lower-case hex digits
  std::string name;
  std::string spec_toml;  // canonical spec, absolute paths
  std::string engine_version;
  std::string host;
  std::string device;         // "cpu", "cuda: NVIDIA H200", ...
  std::int64_t threads = 1;   // intra-op threads of one rank
  std::string data_checksum;  // hex, of annotations and picture list; empty for synthetic data
  std::vector<std::string> modules;  // module groups in order, index 0 = the default AGVM anchor
  std::vector<std::string> classes;  // class names, index 0 = label 1
  std::int64_t steps = 0;            // planned updates
  std::int64_t total_images = 0;     // planned pictures
  std::string parent_run;            // fork or rerun of, or empty
  std::int64_t parent_step = 0;
  std::string started;  // ISO 8601 UTC
};

/// The measurements of one update. `step` = updates completed including this one (1…N); rows of an
/// abandoned segment stay, so a step may occur in several segments. `seq` is unique in the run and
/// grows by one a row.
struct StepRecord {
  std::int64_t seq = 0;
  std::int64_t segment = 0;
  std::int64_t step = 0;
  std::int64_t images = 0;  // pictures consumed including this update
  double seconds =
      0;  // training time since the run's first start: wall time less pauses and evaluations
  /// (index into the run's series table, value). What was not measured is absent; NaN and
  /// infinities are measurements.
  std::vector<std::pair<std::int32_t, double>> values;
};

/// What happened, when, and who asked. Scripted, live and automatic changes are all events.
struct EventRecord {
  std::int64_t segment = 0;
  std::int64_t step = 0;  // after this many updates
  std::int64_t seq = 0;   // newest row at that time
  std::string time;       // ISO 8601 UTC
  /// "start", "resume", "fork", "pause", "continue", "optimizer", "lr", "accumulation", "end",
  /// "shadow", "checkpoint", "restore_point", "undo", "abnormal", "diverged", "nonfinite",
  /// "target", "stop", "finish", "error", "warning", "agvm_skipped", "weights", "telemetry_gap".
  std::string kind;
  std::string source;  // "user", "spec", "engine", "supervisor"
  std::string text;    // one sentence for a person
  std::map<std::string, std::string>
      args;  // the command's arguments and what came of them (old, new, path, …)
};

/// One evaluation. metrics: "AP", "AP50", … as in runs show; non-finite values are kept as they
/// are.
struct EvalRecord {
  std::int64_t segment = 0;
  std::int64_t step = 0;
  std::int64_t images = 0;
  double seconds = 0;
  std::int64_t pictures = 0;  // evaluated
  double eval_seconds = 0;
  std::map<std::string, double> metrics;
};

/// A box with its class: x1, y1, x2, y2 in pixels of the stored picture; label 1…C; score 1 for
/// truth.
struct BoxRecord {
  float x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  std::int32_t label = 0;
  float score = 1;
};
/// What is known of a picture's single pixels. Each list is empty where there is nothing.
struct PixelRecord {
  /// One mask per box: lengths of the runs of 0, 1, 0, … down the columns, from the left.
  std::vector<std::vector<std::uint32_t>> masks;
  /// The class of every pixel, row by row: label (0: none), length, label, length, …
  std::vector<std::uint32_t> labels;
};
/// A fixed picture that is predicted at every evaluation. Stored once; `png` is the encoded
/// picture.
struct ProbeRecord {
  std::int64_t probe = 0;
  std::string name;
  std::int32_t width = 0, height = 0;
  std::string png;
  std::vector<BoxRecord> truth;
  PixelRecord pixels;  // of the truth
};
struct PredictionRecord {
  std::int64_t probe = 0;
  std::int64_t segment = 0;
  std::int64_t step = 0;
  std::vector<BoxRecord> boxes;
  PixelRecord pixels;
};

/// A line of steps without a jump. Segment 0 starts the run; undo opens a new one and marks the
/// rest of the old abandoned.
struct SegmentRecord {
  std::int64_t segment = 0;
  std::int64_t parent = -1;     // -1: none
  std::int64_t start_step = 0;  // its first row is start_step + 1
  std::int64_t abandoned_after =
      -1;  // rows of this segment with step > abandoned_after are abandoned; -1: none are
  std::string reason;  // "start", "resume", "undo", "fork"
};

/// A saved state on disk.
struct CheckpointRecord {
  std::int64_t segment = 0;
  std::int64_t step = 0;
  std::string file;  // relative to the run folder
  std::string kind;  // "checkpoint" or "restore_point"
  std::int64_t bytes = 0;
};

/// Where the training thread puts what it measured. Implemented outside the engine (storage is not
/// known to it). Calls come from one thread, return at once and, but for begin(), never throw:
/// losing telemetry never ends a training. What was lost is reported through `failure()`.
class TelemetrySink {
 public:
  virtual ~TelemetrySink() = default;
  /// First call. Re-opening a run (resume) passes the stored id; `resumed` says so. Throws
  /// StorageError where there is no record to write to.
  virtual void begin(const RunInfo& info, bool resumed) = 0;
  /// Adds curves; returns their indices in order. A name that exists keeps its index (and is not
  /// added twice).
  virtual std::vector<std::int32_t> add_series(const std::vector<SeriesInfo>& series) = 0;
  virtual void segment(const SegmentRecord& record) = 0;
  virtual void step(const StepRecord& record) = 0;
  virtual void event(const EventRecord& record) = 0;
  virtual void eval(const EvalRecord& record) = 0;
  virtual void probe(const ProbeRecord& record) = 0;
  virtual void prediction(const PredictionRecord& record) = 0;
  virtual void checkpoint(const CheckpointRecord& record) = 0;
  virtual void checkpoint_removed(const std::string& file) = 0;
  /// Calls `call` once all that was given before can be read back; never, if it cannot be stored.
  /// On another thread where the sink has one. (As it stands: for sinks that store at once.)
  virtual void after_commit(std::function<void()> call) { std::exchange(call, nullptr)(); }
  /// State, step and heartbeat; call at least every 2 s (also while paused).
  virtual void status(const StatusReport& report) = 0;
  /// Blocks until everything given so far is committed.
  virtual void flush() = 0;
  /// Last call: final state, exit code; makes the run file one self-contained file.
  virtual void finish(RunState state, int exit_code) = 0;
  /// What was lost for good, or empty.
  virtual std::string failure() const = 0;
};

}  // namespace batchscope::contract
