#include "engine/distributed/activity.h"
#include "engine/train/number_text.h"
#include "engine/train/trainer.h"

#include <algorithm>

namespace batchscope::train {
namespace {

using contract::Reply;
using contract::SpecError;

constexpr int kKeepAliveMs = 1000;  // while paused: no collective of the other ranks times out

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

/// Others are about the process, or save by themselves.
bool changes_state(const contract::CommandBody& body) {
  return std::holds_alternative<contract::LrCommand>(body) ||
         std::holds_alternative<contract::AccumulationCommand>(body) ||
         std::holds_alternative<contract::EndCommand>(body) ||
         std::holds_alternative<contract::ShadowCommand>(body) ||
         (std::holds_alternative<contract::OptimizerCommand>(body) &&
          !std::get<contract::OptimizerCommand>(body).dry_run);
}

}  // namespace

void Trainer::apply_scripted() {
  auto& done = state_.events_done;
  while (done < static_cast<std::int64_t>(state_.spec.events.size()) && end_ == End::kNone) {
    const contract::ScriptedEvent event = state_.spec.events[static_cast<std::size_t>(done)];
    if (event.step > state_.step) {
      return;
    }
    done += 1;
    const Reply reply = apply(event.command, "spec");
    if (!reply.ok) {
      note("warning",
           "spec",
           "The scripted command " + contract::command_name(event.command) + " at step " +
               std::to_string(event.step) + " was refused: " + reply.error);
    }
  }
}

void Trainer::apply_waiting() {
  if (!commands_wait_) {
    return;
  }
  commands_wait_ = false;
  inbox_.carry_out([this](const contract::CommandBody& body) { return apply(body, "user"); });
  heartbeat(true);
}

void Trainer::wait_while_paused() {
  if (!paused_ || end_ != End::kNone) {
    return;
  }
  clock_.hold();
  set_phase("paused");
  while (paused_ && end_ == End::kNone) {
    inbox_.wait(kKeepAliveMs);
    enter(Activity::kPaused);
    store_.poll();
    torch::Tensor asked = stop_flags();
    setup_.group->all_reduce_sum(asked);
    take_stop(asked[0].item<double>(), asked[1].item<double>());
    commands_wait_ = true;
    apply_waiting();
    heartbeat(true);
  }
  set_phase("training");
  clock_.start();
}

StopRequest Trainer::stop_request() const {
  return setup_.interrupted ? setup_.interrupted() : StopRequest{};
}

/// Requests to stop that rank 0 has had, and ranks that have had some beside it: the sum over the
/// ranks is for take_stop().
torch::Tensor Trainer::stop_flags() {
  torch::Tensor flags = torch::zeros({2}, torch::kFloat64);
  const StopRequest request = stop_request();
  if (request.count > 0) {
    const bool leads = setup_.group->rank() == 0;
    flags[leads ? 0 : 1] = leads ? static_cast<double>(request.count) : 1.0;
    end_text_ = request.why;
  }
  return flags;
}

/// A signal to any rank is a stop of the job; only those of rank 0 are counted, since a supervisor
/// sends each to all.
void Trainer::take_stop(double of_rank_0, double of_others) {
  if ((of_rank_0 > 0 || of_others > 0) && end_ == End::kNone) {
    end_ = End::kInterrupted;
    save_at_end_ = of_rank_0 < 2;
    if (end_text_.empty()) {
      end_text_ = "another rank was interrupted";
    }
  }
}

Reply Trainer::apply(const contract::CommandBody& body, const std::string& source) {
  const contract::StatusReport before = status();
  store_.before_change();
  try {
    Reply reply = carry_out(body, source);
    if (reply.ok && changes_state(body)) {
      store_.touch();
    }
    follow_shadows();
    // Every client shows what one of them changed.
    if (setup_.port != nullptr && !(status() == before)) {
      heartbeat(true);
      setup_.port->notify(contract::StateNotice{status()});
    }
    return reply;
  } catch (const SpecError& error) {
    return refusal(error.field(), error.what());
  } catch (const contract::Error& error) {
    if (error.code() == contract::ExitCode::kPeer || !whole_) {
      throw;
    }
    return refusal("", error.what());
  } catch (const std::invalid_argument& error) {
    return refusal("", error.what());
  }
}

Reply Trainer::done(const std::string& detail) const {
  Reply reply;
  reply.ok = true;
  reply.step = state_.step;
  reply.detail = detail;
  return reply;
}

Reply Trainer::carry_out(const contract::CommandBody& body, const std::string& source) {
  return std::visit(
      Overloaded{
          [&](const contract::HelloCommand&) { return done(); },
          [&](const contract::StatusCommand&) {
            Reply reply = done();
            reply.status = status();
            return reply;
          },
          [&](const contract::PauseCommand&) {
            if (paused_) {
              return refusal("", "The training is paused already.");
            }
            paused_ = true;
            note("pause", source, "Paused.");
            return done();
          },
          [&](const contract::ResumeCommand&) {
            if (!paused_) {
              return refusal("", "The training is not paused.");
            }
            paused_ = false;
            divergence_noted_ = false;
            note("continue", source, "Went on.");
            return done();
          },
          [&](const contract::StopCommand& c) {
            end_ = c.mode == contract::StopMode::kNow ? End::kStoppedNow : End::kStopped;
            return done(diverged_ ? "No checkpoint is written: the run diverged." : "");
          },
          [&](const contract::CheckpointCommand&) {
            if (diverged_) {
              return refusal("", "No checkpoint is written after a divergence: undo first.");
            }
            const std::string file = store_.save();
            note("checkpoint", source, "Saved " + file + ".", {{"file", file}});
            return done(file);
          },
          [&](const contract::UndoCommand&) { return undo(source); },
          [&](const contract::LrCommand& c) { return change_lr(c, source); },
          [&](const contract::AccumulationCommand& c) { return change_accumulation(c, source); },
          [&](const contract::EndCommand& c) { return change_end(c, source); },
          [&](const contract::ShadowCommand& c) { return change_shadow(c, source); },
          [&](const contract::OptimizerCommand& c) { return change_optimizer(c, source); }},
      body);
}

Reply Trainer::change_lr(const contract::LrCommand& c, const std::string& source) {
  updater_->check(c);
  const double old = plan().lr;
  save_restore_point("lr " + number_text(c.value));
  updater_->apply(c);
  note("lr",
       source,
       "Learning rate " + number_text(old) + " -> " + number_text(c.value) + ".",
       {{"old", number_text(old)},
        {"new", number_text(c.value)},
        {"value", contract::command_args(c).at("value")}});
  return done();
}

Reply Trainer::change_accumulation(const contract::AccumulationCommand& c,
                                   const std::string& source) {
  updater_->check(c);
  save_restore_point("accumulation " + std::to_string(c.value));
  const double old_lr = plan().lr;
  const std::int64_t old = state_.spec.batch.accumulation, old_batch = effective_batch();
  updater_->apply(c);
  loader_->cancel();
  announced_ = state_.images;
  note("accumulation",
       source,
       "Accumulation " + std::to_string(old) + " -> " + std::to_string(c.value) +
           ": effective batch " + std::to_string(old_batch) + " -> " +
           std::to_string(effective_batch()) + ".",
       {{"old", std::to_string(old)},
        {"new", std::to_string(c.value)},
        {"value", std::to_string(c.value)},
        {"new_ranks", std::to_string(state_.spec.batch.ranks)},
        {"old_lr", number_text(old_lr)},
        {"new_lr", number_text(plan().lr)}});
  return done();
}

Reply Trainer::change_end(const contract::EndCommand& c, const std::string& source) {
  updater_->check(c);
  const std::int64_t old = planned_steps();
  const double used =
      optim::scheduled_lr(updater_->schedule(),
                          plan().lr,
                          std::max<std::int64_t>(0, state_.images - effective_batch()));
  const double next = updater_->next_lr();
  save_restore_point("end " + std::to_string(c.step));
  updater_->apply(c);
  loader_->cancel();
  announced_ = state_.images;
  std::string rate;
  if (state_.step > 0 && updater_->next_lr() != next) {
    // Another length is another schedule: the rate jumps to where that one is by now.
    rate = "the rate was " + number_text(used) + " in update " + std::to_string(state_.step) +
           " and is " + number_text(updater_->next_lr()) + " in the next";
  }
  note("end",
       source,
       "Planned end " + std::to_string(old) + " -> " + std::to_string(c.step) + " steps" +
           (rate.empty() ? "" : ": " + rate) + ".",
       {{"old", std::to_string(old)},
        {"new", std::to_string(c.step)},
        {"step", std::to_string(c.step)}});
  return done(rate);
}

}  // namespace batchscope::train
