#pragma once

#include "engine/train/change_preview.h"
#include "engine/train/optimizer_change.h"
#include "engine/train/state_file.h"
#include "engine/train/training_state.h"
#include "optim/agvm.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "optim/switching.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::train {

/// Mean gradients of the two halves of an update's micro-batches, one tensor per parameter.
struct HalfGradients {
  const std::vector<torch::Tensor>& half1;
  const std::vector<torch::Tensor>& half2;
  double pictures1 = 0, pictures2 = 0;
  /// Products of the halves of each parameter, where they were taken on the way; null: not yet.
  const std::vector<optim::HalfDots>* dots = nullptr;
};

/// Turns gradients into updates: optimizer, AGVM, learning-rate schedule and ramps, and the changes
/// of all of them while a run goes on. Knows no model, no pictures and no other ranks: a training
/// and `optim replay` update through the same code. One thread.
class Updater {
 public:
  /// `state` is borrowed, outlives the updater and tells the settings (spec, start_batch); what is
  /// unknown in it (total_images 0) is filled in. training_pictures turns epochs into pictures.
  /// Throws contract::SpecError or std::invalid_argument for settings out of range.
  Updater(UpdateState& state,
          std::vector<std::string> modules,
          std::vector<optim::Parameter> parameters,
          std::int64_t training_pictures);
  ~Updater();

  /// True when the next update is to be measured, if it has `micros` micro-batches.
  bool measures(std::int64_t micros) const;
  /// Takes AGVM's measurement of the next update, before it. False: it was not finite and was left
  /// out.
  bool measure(const HalfGradients& halves);
  /// One update of the weights by the mean gradient (used as scratch; undefined counts as zero),
  /// which `pictures` pictures gave. refused: its loss was no good, so it is counted and reported,
  /// but not applied; neither is a gradient that is not finite. squares: sum of squares of each
  /// mean, where they were taken on the way; empty: not yet.
  optim::StepReport update(std::vector<torch::Tensor>& mean,
                           std::int64_t pictures,
                           bool refused,
                           const std::vector<double>& squares = {});

  /// Takes over other settings at a step boundary: schedule and rates, not yet the optimizer.
  void use_spec(const contract::RunSpec& spec);
  /// Throws contract::SpecError for an argument out of range; changes nothing.
  static void check(const contract::LrCommand& command);
  static void check(const contract::AccumulationCommand& command);
  void check(const contract::EndCommand& command) const;
  /// Each checks its command and carries it out.
  void apply(const contract::LrCommand& command);
  void apply(const contract::AccumulationCommand& command);
  void apply(const contract::EndCommand& command);
  /// The settings' micro-batches and ranks with this accumulation, after `old`: the rate follows
  /// optim.lr_on_batch_change where the effective batch is another one.
  void take_over_batch(const contract::BatchSection& old, std::int64_t accumulation);
  /// Works an optimizer change out without changing anything. Throws contract::SpecError.
  PlannedChange plan_change(const contract::OptimizerCommand& command) const;
  /// Carries it out.
  void apply(PlannedChange planned, const contract::OptimizerCommand& command);

  /// What the first update after a change would be; changes nothing.
  ChangePreview preview(PlannedChange planned, const contract::OptimizerCommand& command) const;

  /// "optimizer/…", "old_optimizer/…", "agvm/…": with the state's words all that is to be kept.
  /// Moments are views, which the next update changes.
  void save(StateFile& file) const;
  /// Follows a state that was replaced, with the tensors that were saved with it.
  void load(const StateFile& file);

  contract::ResolvedPlan plan_for(const contract::RunSpec& spec) const;
  const contract::ResolvedPlan& plan() const { return plan_; }
  const optim::Schedule& schedule() const { return schedule_; }
  const optim::Optimizer& optimizer() const { return *optimizer_; }
  const optim::Agvm& agvm() const { return *agvm_; }
  const std::vector<optim::Parameter>& parameters() const { return parameters_; }
  const std::vector<std::string>& modules() const { return modules_; }
  /// Module of each parameter.
  const std::vector<std::int64_t>& module_of() const { return module_of_; }
  /// Scheduled rate of the last update; AGVM's factors in it.
  double last_lr() const { return last_lr_; }
  /// Of the next update: the base rate after warm-up and decay.
  double next_lr() const;
  const std::vector<double>& last_mu() const { return last_mu_; }
  /// Factors of a ramp for the next update, per module; empty: there is none.
  std::vector<double> ramp_factors() const;
  /// Mean trust ratio of the last applied update over all parameters; 1 before.
  double mean_trust() const;

 private:
  std::int64_t module_count() const { return static_cast<std::int64_t>(modules_.size()); }
  optim::Options options_of(const contract::RunSpec& spec) const;
  void build();
  void start_ramp(const std::vector<torch::Tensor>& mean);
  /// Starts where `next` moves the weights as far as `old` does; `factor`: of a ramp that `old` was
  /// still on.
  optim::LrRamp matched_ramp(optim::Optimizer& old,
                             const contract::RunSpec& old_spec,
                             const std::vector<double>& factor,
                             optim::Optimizer& next,
                             double lr_target,
                             const std::vector<torch::Tensor>& gradient) const;
  optim::StepReport refused_report(const std::vector<torch::Tensor>& mean) const;
  std::vector<double> module_factors() const;
  void begin_lr_mapping(contract::LrMapping mapping,
                        const contract::RunSpec& old_spec,
                        const std::vector<double>& old_factor);

  UpdateState& state_;
  std::vector<std::string> modules_;
  std::vector<optim::Parameter> parameters_;
  std::vector<std::int64_t> module_of_;
  std::int64_t training_pictures_ = 0;
  contract::ResolvedPlan plan_;
  optim::Schedule schedule_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::Agvm> agvm_;
  std::unique_ptr<optim::Optimizer> old_optimizer_;  // until the first update after a switch
  double last_lr_ = 0;
  std::vector<double> last_mu_;
};

}  // namespace batchscope::train
