#include "engine/distributed/activity.h"
#include "engine/train/number_text.h"
#include "engine/train/trainer.h"

#include <cmath>

namespace batchscope::train {
namespace {

using contract::RunState;

constexpr double kBeatSeconds = 0.5;  // between status reports

struct GivenUp {};

Activity activity_in(const std::string& phase) {
  return phase == "evaluating" ? Activity::kEvaluating
         : phase == "saving"   ? Activity::kSaving
         : phase == "paused"   ? Activity::kPaused
                               : Activity::kComputing;
}

}  // namespace

void Trainer::evaluate_if_due() {
  const contract::EvalSection& e = state_.spec.eval;
  if (setup_.validation_set != nullptr && state_.evaluated_step != state_.step && state_.step > 0) {
    const bool by_step = e.every_steps > 0 && state_.step % e.every_steps == 0;
    const double epoch = e.every_epochs * static_cast<double>(setup_.training_set->size());
    const auto images = static_cast<double>(state_.images);
    const bool by_epoch =
        epoch > 0 && std::floor(images / epoch) >
                         std::floor((images - static_cast<double>(effective_batch())) / epoch);
    const bool at_end = e.at_end && state_.images >= state_.total_images;
    if (by_step || by_epoch || at_end) {
      evaluate_now();
      return;
    }
  }
  // Readers see what the model finds long before the first evaluation.
  if (state_.step == std::max<std::int64_t>(1, plan().warmup_steps) && state_.evaluated_step < 0) {
    probe_now();
  }
}

/// A stop need not wait for an evaluation: all ranks ask between its blocks.
void Trainer::ask_for_stop() {
  enter(Activity::kEvaluating);
  heartbeat();
  inbox_.gather();
  const torch::Tensor stop_waits =
      torch::full({1}, inbox_.stop_waits() ? 1.0 : 0.0, torch::kFloat64);
  torch::Tensor asked = torch::cat({stop_flags(), stop_waits});
  setup_.group->all_reduce_sum(asked);
  take_stop(asked[0].item<double>(), asked[1].item<double>());
  commands_wait_ = commands_wait_ || asked[2].item<double>() > 0;
  if (end_ != End::kNone || commands_wait_) {
    throw GivenUp();
  }
}

void Trainer::evaluate_now() {
  const Hold hold(clock_);
  if (state_.images >= state_.total_images && store_.changed() && !guard_.abnormal() &&
      !diverged_) {
    store_.begin_save();  // whatever the last evaluation meets, the training is kept
  }
  set_phase("evaluating");
  take_buffers_of_rank_0();
  EvalResult result;
  try {
    result = evaluate(*setup_.model, *setup_.validation_set, *setup_.group, eval_options_, [this] {
      ask_for_stop();
    });
  } catch (const GivenUp&) {
    setup_.model->train();
    note("evaluation", "engine", "The evaluation was given up for a stop.");
    set_phase("training");
    return;
  }
  for (const std::string& why : result.left_out) {
    note("warning", "engine", "A picture is left out of the evaluation: " + why);
  }
  state_.evaluated_step = state_.step;
  state_.metrics = result.metrics;
  store_.touch();
  const contract::EvalRecord record{state_.segment,
                                    state_.step,
                                    state_.images,
                                    state_.seconds,
                                    result.pictures,
                                    result.seconds,
                                    result.metrics};
  // The predictions first: a reader that sees the evaluation asks for them.
  probe_now();
  record_.eval(record);
  check_target(record);
  set_phase("training");
}

void Trainer::probe_now() {
  if (probes_ == nullptr) {
    return;
  }
  const Hold hold(clock_);
  for (const contract::PredictionRecord& prediction :
       probes_->predict(*setup_.model, state_.segment, state_.step)) {
    record_.prediction(prediction);
  }
}

void Trainer::check_target(const contract::EvalRecord& eval) {
  const contract::TargetSpec& target = state_.spec.eval.target;
  const auto found = eval.metrics.find(target.metric);
  if (target.metric.empty() || state_.target_reached || found == eval.metrics.end() ||
      found->second < target.value) {
    return;
  }
  state_.target_reached = true;
  note("target",
       "engine",
       target.metric + " reached " + number_text(found->second) + " (target " +
           number_text(target.value) + ") after " + std::to_string(eval.step) + " steps, " +
           std::to_string(eval.images) + " pictures and " + number_text(eval.seconds) + " s.",
       {{"metric", target.metric},
        {"value", number_text(found->second)},
        {"target", number_text(target.value)},
        {"steps", std::to_string(eval.step)},
        {"images", std::to_string(eval.images)},
        {"seconds", number_text(eval.seconds)}});
  if (target.stop && end_ == End::kNone) {
    end_ = End::kTarget;
  }
}

void Trainer::save_if_due() {
  store_.poll();
  // A state from an abnormal stretch is not worth going back to: wait until it is over.
  if (store_.due() && !guard_.abnormal() && !diverged_) {
    const Hold hold(clock_);
    store_.begin_save();
  }
}

void Trainer::on_divergence(const GuardVerdict& verdict) {
  diverged_ = true;
  divergence_noted_ = true;
  const std::string module =
      verdict.module < 0 ? "" : modules()[static_cast<std::size_t>(verdict.module)];
  const std::string where = module.empty() ? "" : ", first in " + module;
  const std::string ratio = std::isfinite(verdict.ratio)
                                ? number_text(verdict.ratio) + " times its recent median"
                                : "not finite";
  const std::map<std::string, std::string> args = {
      {"first_step", std::to_string(verdict.abnormal_step)},
      {"module", module},
      {"ratio", std::isfinite(verdict.ratio) ? number_text(verdict.ratio) : "inf"},
      {"action", state_.spec.guard.on_diverge}};
  record_.event_at(verdict.abnormal_step,
                   "abnormal",
                   "The first abnormal update was " + std::to_string(verdict.abnormal_step) +
                       where + (module.empty() ? "" : ": its gradient norm was " + ratio) + ".",
                   args);
  end_text_ = "The training diverged at step " + std::to_string(state_.step) + ": " +
              verdict.reason + "; it began at step " + std::to_string(verdict.abnormal_step) +
              where + ".";
  note("diverged", "engine", end_text_, args);
  if (state_.spec.guard.on_diverge == "stop") {
    end_ = End::kDiverged;
  } else if (state_.spec.guard.on_diverge == "pause") {
    paused_ = true;
    guard_.forgive();
  } else {
    guard_.forgive();
  }
}

void Trainer::note(const std::string& kind,
                   const std::string& source,
                   const std::string& text,
                   std::map<std::string, std::string> args) {
  record_.event(kind, source, text, std::move(args));
}

void Trainer::set_phase(const std::string& phase) {
  phase_ = phase;
  enter(activity_in(phase));
  heartbeat(true);
  if (setup_.port != nullptr) {
    setup_.port->notify(contract::StateNotice{status()});
  }
}

void Trainer::heartbeat(bool force) {
  if (setup_.sink == nullptr) {
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  if (!force && std::chrono::duration<double>(now - last_beat_).count() < kBeatSeconds) {
    return;
  }
  last_beat_ = now;
  const contract::StatusReport report = status();
  record_.status(report);
  if (setup_.port != nullptr) {
    setup_.port->set_status(report);
  }
  if (setup_.progress) {
    setup_.progress(report, last_loss_);
  }
}

std::int64_t Trainer::planned_steps() const {
  const std::int64_t left = std::max<std::int64_t>(0, state_.total_images - state_.images);
  return state_.step + (left + effective_batch() - 1) / effective_batch();
}

contract::StatusReport Trainer::status() const {
  contract::StatusReport report;
  report.run_id = setup_.info.id;
  report.host = setup_.info.host;
  report.state = phase_ == "starting" ? RunState::kStarting
                 : end_ != End::kNone ? RunState::kStopping
                 : paused_            ? RunState::kPaused
                                      : RunState::kRunning;
  report.step = state_.step;
  report.steps = planned_steps();
  report.images = state_.images;
  report.committed_seq = record_.seq();
  report.optimizer = state_.spec.optim.name;
  report.agvm = state_.spec.optim.agvm.enabled;
  report.lr = plan().lr;
  report.lr_in_use = updater_->next_lr();
  report.micro = state_.spec.batch.micro;
  report.accumulation = state_.spec.batch.accumulation;
  report.ranks = state_.spec.batch.ranks;
  report.phase = phase_;
  report.trouble = store_.trouble();
  return report;
}

}  // namespace batchscope::train
