#pragma once

#include "engine/contract/records.h"
#include "engine/contract/run_spec.h"
#include "optim/lr_ramp.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// A restore point that undo can go back to.
struct RestorePoint {
  std::string file;  // relative to the run folder
  std::int64_t segment = 0, step = 0;
  std::string change;  // the command that it was written for
  bool operator==(const RestorePoint&) const = default;
};

/// A switch whose learning-rate mapping waits for the next update's gradient: the optimizer that
/// was left (its state travels in the tensors), its settings and the rate it had.
struct PendingMatch {
  contract::RunSpec old_spec;
  std::vector<double> old_factor;  // of a ramp that was still going on, per module
};

/// The plain part of what decides the updates that follow, beside the tensors of optimizer and AGVM
/// (Updater) and the weights.
struct UpdateState {
  contract::RunSpec spec;              // as changed so far
  contract::BatchSection start_batch;  // schedules and defaults follow the batch of the start
  std::int64_t step = 0;               // updates completed
  std::int64_t images = 0;             // pictures consumed, the position in the stream
  std::int64_t total_images = 0;
  std::int64_t skipped = 0;  // updates that were not applied
  optim::LrRamp ramp;
  std::vector<double> last_trust;  // mean trust ratio per module in the last applied update
  std::optional<PendingMatch> pending;
};

/// The plain part of what a training is at a step boundary: with the tensors of model, optimizer
/// and AGVM it decides everything that follows.
struct TrainingState : UpdateState {
  std::int64_t segment = 0;
  std::int64_t events_done = 0;                   // scripted events carried out
  std::int64_t restore_serial = 0;                // restore points made so far
  double seconds = 0;                             // training time
  std::vector<contract::SegmentRecord> segments;  // the line that leads here, oldest first
  std::vector<RestorePoint> restore_points;       // oldest first
  std::vector<std::string> checkpoints;           // on disk, oldest first
  std::map<std::string, double> metrics;          // last evaluation
  std::int64_t evaluated_step = -1;               // of the last evaluation; -1: none
  bool target_reached = false;
};

/// What a reader of a checkpoint needs to build its model.
struct CheckpointInfo {
  std::string run_id, engine_version, data_checksum;
  std::int64_t threads = 1, ranks = 1;
  std::vector<std::string> classes;
  std::vector<std::int64_t> category_ids;  // of the classes; empty: an older engine did not say
};

/// True for the name of a checkpoint or restore point as the engine gives them, relative to the run
/// folder: such a file is the run's own, and no other is read or removed for a state's sake.
bool is_state_name(const std::string& name);

/// As JSON text, bit-exact for every number.
std::string to_words(const TrainingState& state, const CheckpointInfo& info);
std::string to_words(const RestorePoint& point);
/// Of what to_words() made.
RestorePoint restore_point_from_words(const std::string& words);
/// Throws contract::DataError naming `origin`, and what in it is not as written by to_words(): a
/// state file may come from anybody.
std::pair<TrainingState, CheckpointInfo> from_words(const std::string& words,
                                                    const std::string& origin);

}  // namespace batchscope::train
