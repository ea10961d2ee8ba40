#include "engine/contract/error.h"
#include "engine/train/plan_options.h"
#include "engine/train/updater.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace batchscope::train {
namespace {

/// Pictures are counted in whole numbers that doubles hold exactly.
constexpr std::int64_t kMostPictures = 1'000'000'000'000'000;

optim::StatePolicy policy_of(contract::StatePolicy policy) {
  switch (policy) {
    case contract::StatePolicy::kCarry:
      return optim::StatePolicy::kCarry;
    case contract::StatePolicy::kConvert:
      return optim::StatePolicy::kConvert;
    case contract::StatePolicy::kReset:
      return optim::StatePolicy::kReset;
  }
  return optim::StatePolicy::kCarry;
}

}  // namespace

contract::ResolvedPlan Updater::plan_for(const contract::RunSpec& spec) const {
  contract::RunSpec at_start = spec;
  at_start.batch = state_.start_batch;
  return contract::resolve(at_start, training_pictures_);
}

optim::Options Updater::options_of(const contract::RunSpec& spec) const {
  return optimizer_options(spec, plan_for(spec));
}

void Updater::use_spec(const contract::RunSpec& spec) {
  plan_ = plan_for(spec);
  state_.spec = spec;
  schedule_ = make_schedule(spec, plan_);
  if (state_.total_images > 0) {
    schedule_.total_images = state_.total_images;
  }
}

void Updater::check(const contract::LrCommand& command) {
  if (!(command.value > 0) || !std::isfinite(command.value)) {
    char found[32];
    std::snprintf(found, sizeof found, "%.6g", command.value);
    throw contract::SpecError("value",
                              std::string("lr must be a finite number > 0, found ") + found + ".");
  }
}

void Updater::check(const contract::AccumulationCommand& command) {
  if (command.value < 1 || command.value > 1'000'000) {
    throw contract::SpecError(
        "value", "accumulation must be 1 to 1000000, found " + std::to_string(command.value) + ".");
  }
}

void Updater::check(const contract::EndCommand& command) const {
  if (command.step <= state_.step) {
    throw contract::SpecError("step",
                              "end must be after the present step " + std::to_string(state_.step) +
                                  ", found " + std::to_string(command.step) + ".");
  }
  if (command.step - state_.step > kMostPictures / state_.spec.batch.effective()) {
    throw contract::SpecError("step",
                              "end must be within 10^15 pictures of the present step " +
                                  std::to_string(state_.step) + ", found " +
                                  std::to_string(command.step) + ".");
  }
}

void Updater::apply(const contract::LrCommand& command) {
  check(command);
  contract::RunSpec spec = state_.spec;
  spec.optim.lr = command.value;
  spec.optim.lr_rule = "none";
  contract::keep_shadows(state_.spec, spec);
  use_spec(spec);
}

void Updater::apply(const contract::AccumulationCommand& command) {
  check(command);
  take_over_batch(state_.spec.batch, command.value);
}

void Updater::take_over_batch(const contract::BatchSection& old, std::int64_t accumulation) {
  contract::RunSpec spec = state_.spec;
  spec.batch.accumulation = accumulation;
  const bool by_rule = spec.optim.lr_on_batch_change == "rule" && spec.optim.lr_rule != "none";
  if (by_rule && spec.batch.effective() != old.effective()) {
    // The rule's rate for the new batch, from what is in force now.
    const optim::LrRule rule = optim::lr_rule_from(spec.optim.lr_rule);
    const double ratio = optim::scaled_lr(rule, 1, spec.batch.effective(), spec.optim.base_batch) /
                         optim::scaled_lr(rule, 1, old.effective(), spec.optim.base_batch);
    spec.optim.lr *= ratio;
  }
  use_spec(spec);
}

void Updater::apply(const contract::EndCommand& command) {
  check(command);
  state_.total_images =
      state_.images + (command.step - state_.step) * state_.spec.batch.effective();
  use_spec(state_.spec);
}

PlannedChange Updater::plan_change(const contract::OptimizerCommand& command) const {
  const auto options = [this](const contract::RunSpec& spec) { return options_of(spec); };
  const auto lr_of = [this](const contract::RunSpec& spec) { return plan_for(spec).lr; };
  PlannedChange planned;
  const auto build = [&] {
    planned.next = optim::switch_optimizer(
        *optimizer_, planned.change.to, parameters_, module_count(), policy_of(command.state));
  };
  // Worked out once without the new method's trust ratio, to build the optimizer that knows it.
  planned.change = plan_optimizer_change(state_.spec, command, options, lr_of, mean_trust(), 1);
  if (planned.change.optimizer_changes) {
    build();
    if (!planned.change.same_method) {
      planned.change = plan_optimizer_change(state_.spec,
                                             command,
                                             options,
                                             lr_of,
                                             mean_trust(),
                                             estimated_trust(*planned.next, parameters_));
      build();
    }
  }
  return planned;
}

void Updater::apply(PlannedChange planned, const contract::OptimizerCommand& command) {
  const contract::RunSpec old_spec = state_.spec;
  const std::vector<double> old_factor = ramp_factors();
  contract::keep_shadows(old_spec, planned.change.spec);
  use_spec(planned.change.spec);
  if (planned.next != nullptr) {
    begin_lr_mapping(command.lr_mapping, old_spec, old_factor);
    std::swap(optimizer_, planned.next);
    if (state_.pending && !old_optimizer_) {
      old_optimizer_ = std::move(planned.next);
    }
  }
  agvm_->set_options(agvm_options(state_.spec, plan_, modules_));
}

void Updater::begin_lr_mapping(contract::LrMapping mapping,
                               const contract::RunSpec& old_spec,
                               const std::vector<double>& old_factor) {
  state_.ramp = {};
  switch (mapping) {
    case contract::LrMapping::kMatchUpdate:
      // Two switches at one boundary: what is to be matched is still the first one's update.
      if (!state_.pending) {
        state_.pending = PendingMatch{old_spec, old_factor};
      }
      break;
    case contract::LrMapping::kTargetNow:
      state_.pending.reset();
      old_optimizer_.reset();
      break;
    case contract::LrMapping::kRewarmup:
      state_.pending.reset();
      old_optimizer_.reset();
      state_.ramp.start.assign(modules_.size(), 0);
      state_.ramp.length = std::max<std::int64_t>(1, plan_.warmup_steps);
      state_.ramp.rewarmup = true;
      break;
  }
}

}  // namespace batchscope::train
