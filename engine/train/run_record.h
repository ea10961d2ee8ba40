#pragma once

#include "engine/contract/records.h"
#include "engine/train/step_series.h"
#include "engine/train/training_state.h"

#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// ISO 8601 UTC with milliseconds.
std::string utc_now();

/// What the curves of a run are named after.
struct CurveNames {
  std::vector<std::string> modules, losses, tensors;
};

/// The record of a run: rows, events and segments, numbered and put in their place. On a rank
/// without a sink every call does nothing. Training thread only.
class RunRecord {
 public:
  /// `state` tells the place (segment, step) and gets the segments; it outlives the record.
  RunRecord(contract::TelemetrySink* sink, TrainingState& state) : sink_(sink), state_(state) {}

  /// The numbers after those that are stored already.
  void go_on_after(std::int64_t seq, std::int64_t segment);
  void restart_segments() { next_segment_ = 1; }
  /// Throws contract::StorageError when nothing can be recorded: then nothing is to be trained.
  void begin(const contract::RunInfo& info, bool goes_on, const CurveNames& names);
  bool begun() const { return begun_; }
  /// Updates of a fork's parent that are executed again belong to the parent's record.
  void mute(bool muted) { muted_ = muted; }
  /// Rows and events are recorded now.
  bool listens() const { return begun_ && !muted_; }

  /// Numbers the row and puts it in its place. Only while it listens.
  contract::StepRecord row(StepObservation seen);
  void step(const contract::StepRecord& row);
  void event(const std::string& kind,
             const std::string& source,
             const std::string& text,
             std::map<std::string, std::string> args = {});
  /// Of an earlier step.
  void event_at(std::int64_t step,
                const std::string& kind,
                const std::string& text,
                const std::map<std::string, std::string>& args);
  void eval(const contract::EvalRecord& record);
  void probe(const contract::ProbeRecord& record);
  void prediction(const contract::PredictionRecord& record);
  void checkpoint(const contract::CheckpointRecord& record);
  /// The state is no longer offered; `then` once that, and all recorded before it, is stored.
  void checkpoint_removed(const std::string& file, std::function<void()> then);
  /// Ready once all that was recorded so far is stored; at once where nothing is recorded.
  std::future<void> stored() const;
  /// A new line of updates from the present step on.
  void open_segment(std::int64_t parent, const std::string& reason);
  /// Stores a segment again whose end has changed.
  void segment(const contract::SegmentRecord& record);
  void status(const contract::StatusReport& report);
  void finish(contract::RunState state, contract::ExitCode code);

  contract::TelemetrySink* sink() const { return sink_; }
  /// Of the newest row.
  std::int64_t seq() const { return seq_; }

 private:
  contract::TelemetrySink* sink_;
  TrainingState& state_;
  std::unique_ptr<StepSeries> series_;
  std::int64_t seq_ = 0, next_segment_ = 1;
  bool begun_ = false, muted_ = false;
};

}  // namespace batchscope::train
