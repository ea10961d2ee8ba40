#include "engine/train/number_text.h"
#include "engine/train/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::train {
namespace {

/// Losses of updates that were executed again may differ by so much, relatively, where machine or
/// thread count differ; what differs by more is another training.
constexpr double kRounding = 1e-3;

}  // namespace

void Trainer::start_line_of_fork(const ForkStart& fork) {
  state_.segment = 0;
  state_.segments = {{0, -1, fork.step, -1, "fork"}};
  state_.checkpoints.clear();
  state_.restore_points.clear();
  state_.restore_serial = 0;
  record_.restart_segments();
  state_.evaluated_step = -1;
  store_.touch();
}

void Trainer::apply_again(const ForkStart& fork, std::size_t& next) {
  apply_scripted();
  while (next < fork.changes.size() && fork.changes[next].step <= state_.step) {
    const contract::Reply reply = apply(fork.changes[next++].command, "user");
    if (!reply.ok) {
      throw contract::SpecError(reply.field,
                                "A change of the parent cannot be made again: " + reply.error);
    }
  }
}

void Trainer::check_executed_again(const ForkStart& fork, double& worst) const {
  const auto left = static_cast<std::size_t>(fork.step - state_.step);
  if (left >= fork.losses.size()) {
    return;
  }
  const double recorded = fork.losses[fork.losses.size() - 1 - left];
  const bool both_nan = std::isnan(recorded) && !std::isfinite(last_loss_);
  if (recorded == last_loss_ || both_nan) {
    return;
  }
  const double scale = std::max(std::abs(recorded), std::numeric_limits<double>::min());
  const double difference = std::abs(recorded - last_loss_) / scale;
  if (!(difference <= kRounding)) {
    throw contract::DataError("Update " + std::to_string(state_.step) +
                              " of the parent could not be executed again: its loss is " +
                              number_text(last_loss_, 9) + " now and was " +
                              number_text(recorded, 9) +
                              " then; fork from a step whose state is saved.");
  }
  worst = std::max(worst, difference);
}

void Trainer::execute_again(const ForkStart& fork) {
  double worst = 0;
  if (state_.step < fork.step) {
    executes_again_ = true;
    record_.mute(true);
    loader_ = make_loader(fork.seed);
    announced_ = state_.images;
    phase_ = "executing again";
    heartbeat(true);
    clock_.set(state_.seconds);
    std::size_t next = 0;
    apply_again(fork, next);
    while (state_.step < fork.step && !ended()) {
      step();
      check_executed_again(fork, worst);
      if (state_.step < fork.step) {
        apply_again(fork, next);
      }
    }
    if (state_.step < fork.step) {
      throw contract::Error(contract::ExitCode::kInterrupted,
                            "It ended while it executed its parent's updates again, at step " +
                                std::to_string(state_.step) + " of " + std::to_string(fork.step) +
                                ".");
    }
    // What the spec does at this very step belongs to what the child does otherwise.
    const auto& events = state_.spec.events;
    while (state_.events_done < static_cast<std::int64_t>(events.size()) &&
           events[static_cast<std::size_t>(state_.events_done)].step <= state_.step) {
      state_.events_done += 1;
    }
    record_.mute(false);
    executes_again_ = false;
  }
  if (fork.seconds >= 0) {
    state_.seconds = fork.seconds;
  }
  loader_ = make_loader(state_.spec.run.seed);
  announced_ = state_.images;
  if (worst > 0) {
    note("warning",
         "engine",
         "The parent's updates were executed again to rounding, not bit for bit: their losses "
         "differ by up to " +
             number_text(worst, 9) + " of their value. Machine or threads are not the parent's.");
  }
}

}  // namespace batchscope::train
