#pragma once

#include "engine/contract/error.h"
#include "engine/contract/records.h"
#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"
#include "engine/distributed/group.h"
#include "engine/train/command_port.h"
#include "models/detector.h"
#include "models/weights/load_weights.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// A new run that goes on from another one's state, with a record of its own that starts after
/// update `step`. Every rank needs it.
struct ForkStart {
  std::int64_t step = 0;
  std::optional<contract::RunSpec> spec;  // the parent's at its start, where no state is given
  /// The updates from the state to `step` are executed again, with these commands on the way
  /// (ascending steps), and compared with the losses that the parent recorded (empty: not
  /// recorded).
  std::vector<contract::ScriptedEvent> changes;
  std::vector<double> losses;
  std::int64_t seed = 0;  // of the parent's pictures; afterwards those of the spec's run.seed come
  double seconds = -1;    // the parent's training time at `step`; -1: that of the state
  std::map<std::string, std::string> args;  // of the event "fork"
};

/// Where a resumed run goes on. Only rank 0 needs the numbers.
struct ResumePoint {
  std::filesystem::path checkpoint;  // empty: from the first step again
  std::int64_t next_seq = 1, next_segment = 1;
  std::string text;                  // why and from where, for the event
  std::int64_t evaluated_step = -1;  // of the newest evaluation on record; the state may not know
  std::int64_t recorded_step = -1;   // of the newest row on record; -1: nobody knows
  std::optional<ForkStart> fork;
};

/// A request from outside to end: how often it was made (1: save first, 2 or more: at once), and
/// why.
struct StopRequest {
  int count = 0;
  std::string why;
};

/// What a training is made of. sink and port are rank 0's, null elsewhere; a null port listens to
/// nobody.
struct TrainerSetup {
  contract::RunSpec spec;
  contract::RunInfo info;  // id, engine_version, host, device, parents: the trainer fills the rest
  std::filesystem::path folder;  // of the run, on rank 0; empty: no checkpoints, no undo
  torch::Device device = torch::kCPU;
  torch::ScalarType dtype = torch::kFloat32;
  std::shared_ptr<Group> group;
  std::shared_ptr<models::Detector> model;
  std::optional<models::LoadReport> loaded;  // of model.weights, for the record
  std::shared_ptr<const Dataset> training_set, validation_set;
  std::vector<std::string> data_warnings;  // for the record, beside those of the training set
  contract::TelemetrySink* sink = nullptr;
  CommandPort* port = nullptr;
  std::function<StopRequest()> interrupted;  // asked on rank 0
  std::function<void(const contract::StatusReport&, double loss)> progress;
  std::optional<ResumePoint> resume;
  std::vector<contract::CommandBody> first_commands;  // applied before the first update (--set)
};

struct Outcome {
  contract::RunState state = contract::RunState::kFinished;
  contract::ExitCode code = contract::ExitCode::kDone;
  std::string sentence;
};

}  // namespace batchscope::train
