#include "engine/train/plan_options.h"
#include "engine/train/updater.h"

#include <torch/utils.h>

#include <algorithm>

namespace batchscope::train {
namespace {

/// One trial: rates and reports of an update that is not made.
std::vector<ModuleUpdate> trial(optim::Optimizer& optimizer,
                                const std::vector<torch::Tensor>& gradient,
                                double lr,
                                const std::vector<double>& factors) {
  const optim::StepReport report = optimizer.shadow_step(gradient, lr, factors, nullptr);
  std::vector<ModuleUpdate> updates(factors.size());
  for (std::size_t m = 0; m < factors.size(); ++m) {
    updates[m].lr = lr * factors[m];
    if (report.applied) {
      updates[m].norm = report.module_update_norm[m];
      updates[m].trust = report.module_trust[m];
    }
    updates[m].shrink =
        optim::shrink_per_step(optimizer.options(), updates[m].lr, updates[m].trust);
  }
  return updates;
}

}  // namespace

ChangePreview Updater::preview(PlannedChange planned,
                               const contract::OptimizerCommand& command) const {
  const torch::NoGradGuard no_grad;
  ChangePreview preview;
  preview.optimizer_changes = planned.next != nullptr;
  if (!preview.optimizer_changes) {
    return preview;
  }
  std::int64_t bytes = 0;
  for (const optim::Parameter& parameter : parameters_) {
    bytes += static_cast<std::int64_t>(parameter.tensor.nbytes());
  }
  preview.state_floats_before = optimizer_->state_floats();
  preview.state_floats_after = planned.next->state_floats();
  preview.state_bytes_before = bytes * preview.state_floats_before;
  preview.state_bytes_after = bytes * preview.state_floats_after;

  std::vector<torch::Tensor> gradient;
  for (const optim::CanonicalState& state : optimizer_->canonical()) {
    preview.gradient_known = preview.gradient_known || state.mhat.defined();
    gradient.push_back(state.mhat);
  }
  if (!preview.gradient_known) {
    return preview;
  }
  const contract::RunSpec& next_spec = planned.change.spec;
  const double lr_old = optim::scheduled_lr(schedule_, plan_.lr, state_.images);
  const double lr_new = optim::scheduled_lr(schedule_, planned.change.lr_to, state_.images);
  std::vector<double> factor(modules_.size(), 1);
  if (command.lr_mapping == contract::LrMapping::kRewarmup) {
    std::ranges::fill(factor,
                      1 / static_cast<double>(std::max<std::int64_t>(1, plan_.warmup_steps)));
  } else if (command.lr_mapping == contract::LrMapping::kMatchUpdate) {
    const optim::LrRamp ramp =
        matched_ramp(*optimizer_, state_.spec, ramp_factors(), *planned.next, lr_new, gradient);
    for (std::size_t m = 0; m < factor.size(); ++m) {
      factor[m] = ramp.factor(static_cast<std::int64_t>(m));
    }
  }
  optim::Agvm agvm = *agvm_;
  agvm.set_options(agvm_options(next_spec, plan_for(next_spec), modules_));
  std::vector<double> factors = agvm.mu();
  for (std::size_t m = 0; m < factors.size(); ++m) {
    factors[m] *= factor[m];
  }
  const auto present = optim::make_optimizer(optimizer_->options(), parameters_, module_count());
  present->load(optimizer_->save());
  const auto before = trial(*present, gradient, lr_old, module_factors());
  const auto after = trial(*planned.next, gradient, lr_new, factors);
  for (std::size_t m = 0; m < modules_.size(); ++m) {
    preview.modules.push_back({modules_[m], before[m], after[m], factor[m]});
  }
  return preview;
}

}  // namespace batchscope::train
