#include "engine/train/share_broken.h"
#include "engine/train/trainer.h"

#include <torch/utils.h>

namespace batchscope::train {

using contract::RunState;

namespace {

/// Torch's errors carry a back trace after their first line, and speak of tensors.
std::string first_line(const std::string& error, const contract::RunSpec& spec) {
  std::string text = error.substr(0, error.find('\n'));
  if (text.starts_with("Expected more than 1 value per channel when training")) {
    text = "A batch norm has one value per channel: batch.micro is " +
           std::to_string(spec.batch.micro) +
           ", and a map of its picture has one pixel; expected model.norm gn or frozen, more "
           "pictures or larger ones.";
  }
  return text;
}

}  // namespace

bool Trainer::ended() const {
  return end_ != End::kNone || state_.images >= state_.total_images;
}

Outcome Trainer::run() {
  try {
    begin();
    boundary();
    while (!ended()) {
      step();
      boundary();
    }
    return finish();
  } catch (const contract::Error& error) {
    if (whole_ && error.code() == contract::ExitCode::kInterrupted) {
      return stop_alone(error.what());
    }
    save_what_is_whole();
    fail(error.what(), error.code());
    throw;
  } catch (const std::exception& error) {
    save_what_is_whole();
    const contract::DataError told(first_line(error.what(), state_.spec));
    fail(told.what(), told.code());
    throw told;
  }
}

void Trainer::boundary() {
  if (std::exchange(broken_wait_, false)) {
    for (const std::string& warning : share_broken(loader_->broken(), *setup_.group)) {
      note("warning", "engine", warning);
    }
  }
  apply_scripted();
  do {
    apply_waiting();
    wait_while_paused();
    if (end_ == End::kStoppedNow || end_ == End::kDiverged) {
      return;
    }
    save_if_due();
    if (end_ == End::kNone) {
      evaluate_if_due();  // may be given up for a command to stop
    }
  } while (commands_wait_ && end_ == End::kNone);
}

/// A stop in the middle of an update, where nobody can be agreed with: the others take this rank
/// for lost, and save what they have.
Outcome Trainer::stop_alone(const std::string& why) {
  statistics_->restore();
  end_ = End::kInterrupted;
  end_text_ = why;
  save_at_end_ = stop_request().count < 2;
  alone_ = true;
  return finish();
}

/// Between updates the state is whole: what broke the training costs no more than the update that
/// it broke. No collective: the other ranks may be gone.
void Trainer::save_what_is_whole() {
  store_.wait();
  if (!whole_ || diverged_ || executes_again_) {
    return;
  }
  statistics_->restore();
  const std::string failure = store_.save_at_end();
  if (!failure.empty()) {
    note("warning", "engine", failure);
  }
}

void Trainer::fail(const std::string& sentence, contract::ExitCode code) {
  inbox_.refuse("The training ended at step " + std::to_string(state_.step) +
                " before the command could take effect.");
  note("error", "engine", sentence, {{"exit", std::to_string(static_cast<int>(code))}});
  heartbeat(true);
  record_.finish(RunState::kFailed, code);
}

Outcome Trainer::outcome() {
  const std::string at = " at step " + std::to_string(state_.step);
  switch (end_) {
    case End::kNone:
    case End::kReached:
    case End::kTarget:
      break;
    case End::kStopped:
    case End::kStoppedNow:
      return {RunState::kStopped, contract::ExitCode::kDone, "The training was stopped" + at + "."};
    case End::kInterrupted:
      return {RunState::kStopped,
              contract::ExitCode::kInterrupted,
              "The training was stopped" + at + ": " + end_text_ + "."};
    case End::kDiverged:
      return {RunState::kFailed, contract::ExitCode::kNonFinite, end_text_};
  }
  return {RunState::kFinished, contract::ExitCode::kDone, "The training finished" + at + "."};
}

Outcome Trainer::finish() {
  if (end_ == End::kNone) {
    end_ = End::kReached;
  }
  clock_.hold();
  store_.wait();
  Outcome result = outcome();
  std::map<std::string, std::string> args;
  // A process that came in later has not seen where the loss started.
  if (end_ == End::kReached && first_step_ == 0 && guard_.never_learned()) {
    args["dead"] = "true";
    result.sentence += " Its loss never fell below where it started: it learned nothing.";
  }
  if (end_ != End::kDiverged && end_ != End::kStoppedNow && save_at_end_ && !diverged_) {
    if (store_.changed()) {
      set_phase("saving");
    }
    if (const std::string failure = store_.save_at_end(); !failure.empty()) {
      result.code = contract::ExitCode::kStorage;
      result.sentence += " " + failure;
    }
  }
  inbox_.refuse("The training ended at step " + std::to_string(state_.step) +
                " before the command could take effect.");
  note(result.state == RunState::kFinished ? "finish" : "stop", "engine", result.sentence, args);
  heartbeat(true);
  record_.finish(result.state, result.code);
  leave();
  return result;
}

void Trainer::leave() {
  if (alone_) {
    return;
  }
  // A rank that leaves while another still waits for its last message breaks that one's connection.
  try {
    setup_.group->barrier();
  } catch (const contract::PeerError&) {
    // The others have left already; all is stored.
  }
}

/// The running statistics of a batch norm are each rank's own; those of rank 0 are stored, and
/// measured by (as in PyTorch's DistributedDataParallel).
void Trainer::take_buffers_of_rank_0() {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& tensor : setup_.model->buffers()) {
    setup_.group->broadcast(tensor, 0);
  }
}

}  // namespace batchscope::train
