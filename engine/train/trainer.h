#pragma once

#include "engine/contract/records.h"
#include "engine/data/loader.h"
#include "engine/distributed/gradient_sync.h"
#include "engine/train/command_inbox.h"
#include "engine/train/evaluator.h"
#include "engine/train/guard.h"
#include "engine/train/probes.h"
#include "engine/train/run_record.h"
#include "engine/train/running_statistics.h"
#include "engine/train/shadows.h"
#include "engine/train/shared_norms.h"
#include "engine/train/state_file.h"
#include "engine/train/state_store.h"
#include "engine/train/stopwatch.h"
#include "engine/train/training_setup.h"
#include "engine/train/training_state.h"
#include "engine/train/updater.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// One rank of a training. All ranks construct it alike and call run() together. Training thread
/// only.
class Trainer {
 public:
  /// Throws contract::SpecError or DataError for what cannot be trained.
  explicit Trainer(TrainerSetup setup);
  ~Trainer();

  /// Trains to the end of the run, or until a command, a signal or the guard ends it. What breaks
  /// it is stored as an event and thrown on.
  Outcome run();

  // The parts of run(), for tests.
  void begin();
  bool ended() const;
  void step();
  void boundary();
  Outcome finish();
  /// Carries out a command at this boundary, as all ranks do. Refusals are replies, not exceptions.
  contract::Reply apply(const contract::CommandBody& body, const std::string& source);

  const TrainingState& state() const { return state_; }
  const optim::Optimizer& optimizer() const { return updater_->optimizer(); }
  const optim::Agvm& agvm() const { return updater_->agvm(); }
  const std::vector<optim::Parameter>& parameters() const { return updater_->parameters(); }
  const std::vector<std::string>& modules() const { return updater_->modules(); }
  const StateStore& store() const { return store_; }
  contract::StatusReport status() const;

 private:
  enum class End { kNone, kReached, kTarget, kStopped, kStoppedNow, kInterrupted, kDiverged };
  struct StepSums {
    std::vector<double> parts;  // mean losses over the step, all ranks
    double loss = 0;
    double data_ms = 0;
  };

  // trainer.cpp: one update
  void announce_ahead();
  torch::Tensor forward_backward(const StepPlan& plan, double& data_ms);
  MicroBatch next_batch();
  StepSums reduce(const torch::Tensor& sums, const StepPlan& plan, double data_ms);
  void measure_variance(const StepGradients& gradients);
  void record(const StepPlan& plan, const StepSums& sums, const optim::StepReport& report);
  void watch(double loss, const optim::StepReport& report);
  void keep_budget(double step_ms);
  void feed_shadows(const StepGradients& gradients);

  // trainer_begin.cpp: before the first update
  void build_model();
  std::unique_ptr<Loader> make_loader(std::int64_t seed) const;
  void start_record();
  void note_start();
  void note_ranks();
  void note_norms();
  void note_warnings();

  // trainer_run.cpp: around the updates
  void take_buffers_of_rank_0();
  void evaluate_if_due();
  void evaluate_now();
  void ask_for_stop();
  void probe_now();
  void save_if_due();
  void check_target(const contract::EvalRecord& eval);
  void note(const std::string& kind,
            const std::string& source,
            const std::string& text,
            std::map<std::string, std::string> args = {});
  void set_phase(const std::string& phase);
  void heartbeat(bool force = false);
  std::int64_t planned_steps() const;
  std::int64_t effective_batch() const { return state_.spec.batch.effective(); }
  void on_divergence(const GuardVerdict& verdict);
  Outcome outcome();
  void save_what_is_whole();
  void fail(const std::string& sentence, contract::ExitCode code);
  Outcome stop_alone(const std::string& why);
  void leave();

  // trainer_commands.cpp
  void apply_scripted();
  void apply_waiting();
  void wait_while_paused();
  StopRequest stop_request() const;
  torch::Tensor stop_flags();
  void take_stop(double of_rank_0, double of_others);
  contract::Reply carry_out(const contract::CommandBody& body, const std::string& source);
  contract::Reply change_optimizer(const contract::OptimizerCommand& c, const std::string& source);
  contract::Reply change_lr(const contract::LrCommand& c, const std::string& source);
  contract::Reply change_accumulation(const contract::AccumulationCommand& c,
                                      const std::string& source);
  contract::Reply change_end(const contract::EndCommand& c, const std::string& source);
  contract::Reply change_shadow(const contract::ShadowCommand& c, const std::string& source);
  contract::Reply undo(const std::string& source);
  void abandon_after(const RestorePoint& point, const std::vector<contract::SegmentRecord>& line);
  void keep_undone(const RestorePoint& point);
  contract::Reply done(const std::string& detail = "") const;
  const contract::ResolvedPlan& plan() const { return updater_->plan(); }

  // trainer_shadows.cpp
  void build_shadows();
  void follow_shadows();
  void note_shadows();

  // trainer_state.cpp
  StateFile snapshot() const;
  CheckpointInfo load(const std::string& bytes, const std::string& origin);
  void save_restore_point(const std::string& change);
  void resume_from(const ResumePoint& point);
  void adopt_settings(const contract::RunSpec& asked);
  void keep_effective_batch(const contract::BatchSection& saved);

  // trainer_fork.cpp
  void start_line_of_fork(const ForkStart& fork);
  void execute_again(const ForkStart& fork);
  void check_executed_again(const ForkStart& fork, double& worst) const;
  void apply_again(const ForkStart& fork, std::size_t& next);
  std::string read_on_rank_0(const std::filesystem::path& file);

  TrainerSetup setup_;
  TrainingState state_;
  RunRecord record_;
  StateStore store_;
  CommandInbox inbox_;
  std::vector<std::string> loss_names_;
  std::unique_ptr<GradientSync> sync_;
  std::unique_ptr<SharedNorms> norms_;
  std::unique_ptr<RunningStatistics> statistics_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<Updater> updater_;
  std::unique_ptr<Probes> probes_;
  std::unique_ptr<ShadowSet> shadows_;  // rank 0 alone
  Guard guard_;
  torch::Generator generator_;
  EvalOptions eval_options_;

  // Not part of a checkpoint.
  Stopwatch clock_;  // training time: stands still in pauses and evaluations
  double last_loss_ = 0, last_row_seconds_ = 0;
  double diagnostics_ms_ = 0, diagnostics_percent_ = 0, shadow_percent_ = 0;
  bool shadows_fed_ = false;  // in this update
  std::int64_t module_interval_ = 1, announced_ = 0, first_step_ = 0;
  bool paused_ = false, commands_wait_ = false, save_at_end_ = true;
  bool broken_wait_ = false;     // some rank has found pictures that cannot be read
  bool executes_again_ = false;  // updates of a fork's parent: nothing is recorded or saved
  bool saves_ = false;           // rank 0 has a folder for checkpoints
  bool whole_ = false;           // the state is one that a training can go on from
  bool diverged_ = false, divergence_noted_ = false;  // no checkpoint; do not report it again
  bool alone_ = false;  // the others are not at this place: no more collectives
  End end_ = End::kNone;
  std::string phase_ = "starting", end_text_;
  std::chrono::steady_clock::time_point last_beat_{};
  /// The batch and base rate of a state that was loaded, where it ran on another number of ranks.
  std::optional<std::pair<contract::BatchSection, double>> ran_with_;
};

/// The weights of a model in a checkpoint, and back. load_model throws contract::DataError naming
/// the tensor that is missing or has another shape.
void add_model(StateFile& file, const torch::nn::Module& model);
void load_model(torch::nn::Module& model, const StateFile& file, const std::string& origin);

}  // namespace batchscope::train
