#include "engine/train/optimizer_change.h"
#include "engine/train/plan_options.h"
#include "engine/train/trainer.h"

#include <algorithm>
#include <cstdio>

namespace batchscope::train {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::string label(const contract::RunSpec& spec) {
  return spec.optim.name + (spec.optim.agvm.enabled ? " + agvm" : "");
}

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

double Trainer::mean_trust() const {
  double sum = 0, elements = 0;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto m = static_cast<std::size_t>(module_of_[p]);
    if (m < state_.last_trust.size()) {
      sum += state_.last_trust[m] * static_cast<double>(parameters_[p].tensor.numel());
      elements += static_cast<double>(parameters_[p].tensor.numel());
    }
  }
  return elements > 0 ? sum / elements : 1;
}

contract::Reply Trainer::change_optimizer(const contract::OptimizerCommand& c,
                                          const std::string& source) {
  const auto options_of = [this](const contract::RunSpec& spec) {
    return optimizer_options(spec, plan_for(spec));
  };
  const auto lr_of = [this](const contract::RunSpec& spec) { return plan_for(spec).lr; };
  const auto modules = static_cast<std::int64_t>(modules_.size());
  // Worked out once without the new method's trust ratio, to build the optimizer that knows it.
  OptimizerChange change =
      plan_optimizer_change(state_.spec, c, options_of, lr_of, mean_trust(), 1);
  std::unique_ptr<optim::Optimizer> next;
  if (change.optimizer_changes) {
    next =
        optim::switch_optimizer(*optimizer_, change.to, parameters_, modules, policy_of(c.state));
    if (!change.same_method) {
      change = plan_optimizer_change(
          state_.spec, c, options_of, lr_of, mean_trust(), estimated_trust(*next, parameters_));
      next->set_options(change.to);
    }
  }
  const std::string table = describe(change, c);
  if (c.dry_run) {
    return done(table);
  }
  const contract::RunSpec old_spec = state_.spec;
  save_restore_point("optimizer " + label(change.spec));
  const std::vector<double> old_factor = ramp_factors();
  use_spec(change.spec);
  if (next != nullptr) {
    begin_lr_mapping(c.lr_mapping, old_spec, old_factor);
    std::swap(optimizer_, next);
    if (state_.pending && !old_optimizer_) {
      old_optimizer_ = std::move(next);
    }
  }
  agvm_->set_options(agvm_options(state_.spec, plan_, modules_));
  std::map<std::string, std::string> args = contract::command_args(c);
  args["old"] = label(old_spec);
  args["new"] = label(state_.spec);
  args["old_lr"] = number(change.lr_from);
  args["new_lr"] = number(change.lr_to);
  args["old_weight_decay"] = number(change.from.weight_decay);
  args["new_weight_decay"] = number(change.to.weight_decay);
  note("optimizer",
       source,
       "Optimizer " + label(old_spec) + " -> " + label(state_.spec) + ", learning rate " +
           number(change.lr_from) + " -> " + number(change.lr_to) + ", state " +
           contract::to_string(c.state) + ", " + contract::to_string(c.lr_mapping) + ".",
       args);
  return done(table);
}

std::vector<double> Trainer::ramp_factors() const {
  std::vector<double> factors;
  for (std::size_t m = 0; m < modules_.size() && state_.ramp.active(); ++m) {
    factors.push_back(state_.ramp.factor(static_cast<std::int64_t>(m)));
  }
  return factors;
}

void Trainer::begin_lr_mapping(contract::LrMapping mapping,
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

contract::Reply Trainer::undo(const std::string& source) {
  if (state_.restore_points.empty()) {
    throw contract::SpecError("", "There is nothing to undo: no change was made.");
  }
  const RestorePoint point = state_.restore_points.back();
  const std::filesystem::path file = setup_.folder / point.file;
  const std::string bytes = read_on_rank_0(file);
  const std::int64_t from_step = state_.step, from_segment = state_.segment;
  const std::int64_t events_done = state_.events_done, serial = state_.restore_serial;
  const auto line = state_.segments;
  const auto checkpoints = state_.checkpoints;
  load(bytes, file.filename().string());
  state_.events_done = events_done;  // an undone script is not played again
  state_.restore_serial = serial;
  state_.checkpoints = checkpoints;
  // All that followed the restore point is abandoned, through every segment back to its own.
  for (contract::SegmentRecord segment : line) {
    const bool own = segment.segment == point.segment;
    const bool later = std::none_of(
        state_.segments.begin(), state_.segments.end(), [&](const contract::SegmentRecord& s) {
          return s.segment == segment.segment;
        });
    if (own || later) {
      segment.abandoned_after = own ? point.step : segment.start_step;
      if (setup_.sink != nullptr) {
        setup_.sink->segment(segment);
      }
    }
  }
  state_.segments.back().abandoned_after = point.step;
  open_segment(point.segment, "undo");
  loader_->cancel();
  announced_ = state_.images;
  guard_.forget();
  diverged_ = divergence_noted_ = false;
  evaluated_step_ = state_.metrics.empty() ? -1 : state_.step;
  note("undo",
       source,
       "Undid \"" + point.change + "\": back from step " + std::to_string(from_step) + " to step " +
           std::to_string(state_.step) + ".",
       {{"change", point.change},
        {"from_step", std::to_string(from_step)},
        {"from_segment", std::to_string(from_segment)},
        {"to_step", std::to_string(state_.step)}});
  save_checkpoint();
  return done("Undid \"" + point.change + "\".");
}

}  // namespace batchscope::train
