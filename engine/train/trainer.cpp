#include "engine/train/trainer.h"

#include "engine/distributed/activity.h"
#include "engine/train/arithmetic.h"
#include "engine/train/elapsed.h"

#include <cmath>

namespace batchscope::train {
namespace {

constexpr std::int64_t kStepsAhead = 4;    // announced to the loader, this one included
constexpr std::int64_t kBudgetEvery = 50;  // updates between looks at the cost of measuring
constexpr double kCostSmoothing = 0.05;    // weight of an update in the mean cost

}  // namespace

void Trainer::step() {
  const auto start = MonotonicClock::now();
  const StepPlan plan = plan_step(state_.images,
                                  state_.total_images,
                                  state_.spec.batch.micro,
                                  state_.spec.batch.accumulation,
                                  setup_.group->rank(),
                                  setup_.group->size());
  announce_ahead();
  const bool measure = updater_->measures(plan.micros);
  sync_->begin({.pictures = plan.pictures,
                .micros = plan.micros,
                .first_micro = plan.first_micro,
                .last_micro = plan.last_micro,
                .micro = plan.micro,
                .measure = measure,
                .interleave = state_.spec.optim.agvm.interleave});
  statistics_->remember();
  double data_ms = 0;
  const torch::Tensor local = forward_backward(plan, data_ms);
  StepGradients gradients = sync_->finish();
  const StepSums sums = reduce(local, plan, data_ms);
  const bool refused = guard_.refuses(sums.loss);
  store_.before_change();
  if (measure && !refused) {
    measure_variance(gradients);
  }
  shadows_fed_ = false;
  if (!refused) {
    feed_shadows(gradients);
  }
  whole_ = false;
  const optim::StepReport report =
      updater_->update(gradients.mean, plan.pictures, refused, gradients.squares);
  if (report.applied) {
    statistics_->remember();
  } else {
    statistics_->restore();  // as if its pictures had not been seen
  }
  whole_ = true;
  enter_step(state_.step);
  store_.touch();
  last_loss_ = sums.loss;
  record(plan, sums, report);
  watch(sums.loss, report);
  keep_budget(ms_since(start));
}

void Trainer::announce_ahead() {
  const std::int64_t steps = state_.spec.batch.accumulation >= 4 ? 2 : kStepsAhead;
  announced_ = std::max(announced_, state_.images);
  while (announced_ < state_.total_images &&
         announced_ < state_.images + steps * effective_batch()) {
    const StepPlan plan = plan_step(announced_,
                                    state_.total_images,
                                    state_.spec.batch.micro,
                                    state_.spec.batch.accumulation,
                                    setup_.group->rank(),
                                    setup_.group->size());
    loader_->announce(plan);
    announced_ += plan.pictures;
  }
}

torch::Tensor Trainer::forward_backward(const StepPlan& plan, double& data_ms) {
  const auto parts = static_cast<std::int64_t>(loss_names_.size());
  torch::Tensor sums =
      torch::zeros({parts}, torch::TensorOptions(torch::kFloat64).device(setup_.device));
  for (std::int64_t idle = norms_->idle_passes(plan); idle > 0; --idle) {
    const Arithmetic arithmetic(state_.spec.precision.mode, setup_.device);
    norms_->pass_without_pictures(setup_.device, setup_.dtype);
  }
  for (std::int64_t j = plan.first_micro; j < plan.last_micro; ++j) {
    const auto before = MonotonicClock::now();
    MicroBatch batch = next_batch();
    data_ms += ms_since(before);
    if (batch.number != j) {
      throw std::logic_error("loader: micro-batch " + std::to_string(batch.number) + " came for " +
                             std::to_string(j));
    }
    for (models::Target& target : batch.targets) {
      target.boxes = target.boxes.to(setup_.device, setup_.dtype);
      target.labels = target.labels.to(setup_.device);
      for (torch::Tensor* pixels : {&target.masks, &target.semantic}) {
        if (pixels->defined()) {
          *pixels = pixels->to(setup_.device);
        }
      }
    }
    generator_.set_current_seed(batch.seed);
    const models::Losses losses = [&] {
      const Arithmetic arithmetic(state_.spec.precision.mode, setup_.device);
      return setup_.model->losses(
          batch.images.to(setup_.device, setup_.dtype), batch.sizes, batch.targets, generator_);
    }();
    std::vector<torch::Tensor> values;
    for (const auto& [name, value] : losses) {
      values.push_back(value);
    }
    const torch::Tensor each = torch::stack(values);
    sync_->backward(each.sum(), j, batch.pictures());
    sums.add_(each.detach().to(torch::kFloat64), static_cast<double>(batch.pictures()));
    heartbeat();
  }
  return sums;
}

/// A picture that does not come (a mount that hangs) must not hold up a stop.
MicroBatch Trainer::next_batch() {
  const During loading(Activity::kLoading);
  return loader_->next([this] { return stop_request().count > 0; });
}

Trainer::StepSums Trainer::reduce(const torch::Tensor& sums, const StepPlan& plan, double data_ms) {
  const bool commands = inbox_.gather();
  // One small sum carries the losses and whether anything else has to be agreed upon.
  const torch::Tensor waits = torch::tensor(
      {commands ? 1.0 : 0.0, loader_->broken().has_found() ? 1.0 : 0.0}, torch::kFloat64);
  torch::Tensor all = torch::cat({sums.cpu(), waits, stop_flags()});
  setup_.group->all_reduce_sum(all);
  const auto* value = all.const_data_ptr<double>();
  StepSums step;
  step.data_ms = data_ms;
  for (std::size_t p = 0; p < loss_names_.size(); ++p) {
    step.parts.push_back(value[p] / static_cast<double>(plan.pictures));
    step.loss += step.parts.back();
  }
  commands_wait_ = value[loss_names_.size()] > 0;
  broken_wait_ = broken_wait_ || value[loss_names_.size() + 1] > 0;
  take_stop(value[loss_names_.size() + 2], value[loss_names_.size() + 3]);
  return step;
}

void Trainer::measure_variance(const StepGradients& gradients) {
  const auto start = MonotonicClock::now();
  if (!updater_->measure({gradients.half1,
                          gradients.half2,
                          gradients.pictures1,
                          gradients.pictures2,
                          &gradients.dots})) {
    note("agvm_skipped",
         "engine",
         "A measurement of the gradient variance was not finite and was left out.",
         {{"skipped", std::to_string(agvm().skipped())}});
  }
  diagnostics_ms_ += ms_since(start);
}

void Trainer::watch(double loss, const optim::StepReport& report) {
  const GuardVerdict verdict =
      guard_.look(state_.step, loss, report.module_grad_norm, report.applied);
  if (verdict.first_nonfinite) {
    note("nonfinite",
         "engine",
         "Update " + std::to_string(state_.step) +
             " had a loss or gradient that is not finite and was skipped on all ranks.");
  }
  if (verdict.diverged && !divergence_noted_) {
    on_divergence(verdict);
  }
  if (!guard_.abnormal()) {
    diverged_ = false;
    divergence_noted_ = false;
  }
}

void Trainer::record(const StepPlan& plan, const StepSums& sums, const optim::StepReport& report) {
  state_.seconds = clock_.seconds();
  const double step_ms = 1000 * (state_.seconds - last_row_seconds_);
  last_row_seconds_ = state_.seconds;
  if (!record_.listens()) {
    return;
  }
  const auto start = MonotonicClock::now();
  StepObservation seen;
  seen.step = state_.step;
  seen.images = state_.images;
  seen.pictures = plan.pictures;
  seen.seconds = state_.seconds;
  seen.step_ms = step_ms;
  seen.data_ms = sums.data_ms;
  seen.diagnostics_percent = diagnostics_percent_;
  seen.lr = updater_->last_lr();
  seen.loss = sums.loss;
  seen.parts = sums.parts;
  seen.report = &report;
  seen.agvm = &agvm();
  seen.measured = agvm().last_measured() == state_.step;
  seen.modulated = agvm().last_measured() > 0 || agvm().options().enabled;
  seen.modules = state_.step % module_interval_ == 0;
  seen.factor = updater_->ramp_factors();
  const std::int64_t tensors = state_.spec.telemetry.tensor_interval;
  seen.tensors = tensors > 0 && state_.step % tensors == 0;
  contract::StepRecord row = record_.row(std::move(seen));
  diagnostics_ms_ += ms_since(start);
  if (shadows_fed_) {
    shadows_->record(row, *record_.sink());
  }
  record_.step(row);
  heartbeat();
}

void Trainer::keep_budget(double step_ms) {
  const double shadow_ms = shadows_ != nullptr ? shadows_->take_ms() : 0;
  const double per_ms = step_ms > 0 ? 100 / step_ms : 0;
  diagnostics_percent_ +=
      ((diagnostics_ms_ + shadow_ms) * per_ms - diagnostics_percent_) * kCostSmoothing;
  shadow_percent_ += (shadow_ms * per_ms - shadow_percent_) * kCostSmoothing;
  diagnostics_ms_ = 0;
  // The shadows' own time was asked for, and recording less would not save it.
  const double percent = diagnostics_percent_ - shadow_percent_;
  const double budget = state_.spec.telemetry.budget_percent;
  if (!record_.listens() || state_.step % kBudgetEvery != 0) {
    return;
  }
  const std::int64_t asked = std::max<std::int64_t>(1, state_.spec.telemetry.module_interval);
  if (percent > budget && module_interval_ < 16 * asked) {
    module_interval_ *= 2;
  } else if (percent < budget / 4 && module_interval_ > asked) {
    module_interval_ /= 2;
  }
}

}  // namespace batchscope::train
