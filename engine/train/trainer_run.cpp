#include "engine/contract/batch_norm.h"
#include "engine/train/arithmetic.h"
#include "engine/train/plan_options.h"
#include "engine/train/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <cmath>
#include <cstdio>
#include <ctime>
#include <set>
#include <thread>

namespace batchscope::train {
namespace {

using contract::RunState;

/// Drawn pictures of one micro-batch with no more pixels than this are one thread's work: handing
/// its small operators to others costs more than they take.
constexpr std::int64_t kPixelsOfOneThread = 1 << 18;

std::int64_t thread_count(const contract::RunSpec& spec) {
  if (spec.precision.threads > 0) {
    return spec.precision.threads;
  }
  // The lab detector's operations are too small to share: a second thread slows them, several times
  // on busy cores.
  if (spec.model.name.starts_with("lab_")) {
    return 1;
  }
  const std::int64_t pixels = spec.batch.micro * spec.data.size * spec.data.size;
  if (spec.data.kind == "synthetic-shapes" && pixels <= kPixelsOfOneThread) {
    return 1;
  }
  const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  return std::max<std::int64_t>(1, cores / std::max<std::int64_t>(1, spec.batch.ranks));
}

}  // namespace

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char day[32], text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", day, static_cast<int>(ms.count() % 1000));
  return text;
}

Trainer::Trainer(TrainerSetup setup)
    : setup_(std::move(setup)),
      guard_(setup_.spec.guard),
      generator_(at::detail::createCPUGenerator()) {
  check_trainable(setup_.spec);
  if (setup_.spec.batch.ranks != setup_.group->size()) {
    throw contract::SpecError("batch.ranks",
                              "batch.ranks is " + std::to_string(setup_.spec.batch.ranks) +
                                  ", but " + std::to_string(setup_.group->size()) +
                                  " processes were started.");
  }
  saves_ = !setup_.group->broadcast_bytes(setup_.folder.string(), 0).empty();
  state_.spec = setup_.spec;
  if (setup_.resume && setup_.resume->fork && setup_.resume->fork->spec) {
    state_.spec = with_settings_of(*setup_.resume->fork->spec, setup_.spec);
  }
  state_.start_batch = state_.spec.batch;
  at::set_num_threads(static_cast<int>(thread_count(setup_.spec)));
  allow_tf32(setup_.spec.precision.mode);
  build_model();
}

Trainer::~Trainer() = default;

void Trainer::build_model() {
  setup_.model->to(setup_.device, setup_.dtype);
  setup_.model->train();
  std::vector<torch::Tensor> tensors;
  std::vector<std::string> modules;
  std::vector<optim::Parameter> parameters;
  for (const models::ModuleGroup& group : setup_.model->module_groups()) {
    const auto module = static_cast<std::int64_t>(modules.size());
    modules.push_back(group.name);
    for (std::size_t p = 0; p < group.parameters.size(); ++p) {
      parameters.push_back({group.parameter_names[p], module, group.parameters[p]});
      tensors.push_back(group.parameters[p]);
    }
  }
  {
    // The same seed gives the same weights everywhere, but not on different kinds of processor.
    const torch::NoGradGuard no_grad;
    for (torch::Tensor& tensor : setup_.model->parameters()) {
      setup_.group->broadcast(tensor, 0);
    }
  }
  take_buffers_of_rank_0();
  loss_names_ = setup_.model->loss_names();
  eval_options_ = {.max_pictures = state_.spec.eval.max_pictures,
                   .batch = state_.spec.eval.batch,
                   .transform = setup_.model->input_transform(),
                   .device = setup_.device,
                   .dtype = setup_.dtype};
  sync_ = std::make_unique<GradientSync>(tensors, setup_.group);
  norms_ =
      std::make_unique<SharedNorms>(*setup_.model, *setup_.group, state_.spec.model.syncbn_group);
  loader_ = make_loader(state_.spec.run.seed);
  updater_ = std::make_unique<Updater>(
      state_, std::move(modules), std::move(parameters), setup_.training_set->size());
  build_shadows();
}

/// The running statistics of a batch norm are each rank's own; those of rank 0 are stored, and
/// measured by (as in PyTorch's DistributedDataParallel).
void Trainer::take_buffers_of_rank_0() {
  const torch::NoGradGuard no_grad;
  for (torch::Tensor& tensor : setup_.model->buffers()) {
    setup_.group->broadcast(tensor, 0);
  }
}

std::unique_ptr<Loader> Trainer::make_loader(std::int64_t seed) const {
  return std::make_unique<Loader>(setup_.training_set,
                                  static_cast<std::uint64_t>(seed),
                                  TransformOptions{.input = eval_options_.transform,
                                                   .min_sizes = state_.spec.data.train_min_sizes,
                                                   .flip = state_.spec.data.flip},
                                  state_.spec.data.loader_threads);
}

void Trainer::begin() {
  if (setup_.resume) {
    resume_from(*setup_.resume);
  } else {
    state_.segments = {{0, -1, 0, -1, "start"}};
  }
  start_record();
  const std::string batch = std::to_string(state_.spec.batch.micro) + " x " +
                            std::to_string(state_.spec.batch.accumulation) + " x " +
                            std::to_string(state_.spec.batch.ranks) + " = " +
                            std::to_string(effective_batch());
  const bool forks = setup_.resume && setup_.resume->fork;
  if (forks) {
    execute_again(*setup_.resume->fork);
    note("fork", "engine", setup_.resume->text, setup_.resume->fork->args);
  } else if (setup_.resume) {
    note("resume",
         "engine",
         setup_.resume->text,
         {{"threads", std::to_string(at::get_num_threads())}});
  } else {
    note("start",
         "engine",
         "Training " + state_.spec.model.name + " with " + state_.spec.optim.name +
             " at an effective batch of " + batch + ".",
         {{"batch", batch}, {"threads", std::to_string(at::get_num_threads())}});
  }
  if (setup_.loaded) {
    const models::LoadReport& loaded = *setup_.loaded;
    note("weights",
         "engine",
         loaded.summary(),
         {{"file", loaded.file},
          {"matched", std::to_string(loaded.matched.size())},
          {"missing", std::to_string(loaded.missing.size())},
          {"unexpected", std::to_string(loaded.unexpected.size())},
          {"wrong_shape", std::to_string(loaded.wrong_shape.size())},
          {"reinitialised", std::to_string(loaded.reinitialised.size())},
          {"table", loaded.table()}});
  }
  note_norms();
  note_shadows();
  for (const std::string& warning : setup_.training_set->warnings()) {
    note("warning", "engine", warning);
  }
  for (const std::string& warning : setup_.data_warnings) {
    note("warning", "engine", warning);
  }
  const contract::AgvmSection& agvm = state_.spec.optim.agvm;
  if (state_.spec.batch.accumulation * state_.spec.batch.ranks < 2 &&
      (agvm.enabled || agvm.observe)) {
    note(agvm.enabled ? "warning" : "agvm_skipped",
         "engine",
         "The gradient variance is not measured: an update has one micro-batch; set "
         "batch.accumulation or batch.ranks to 2 or more.");
  }
  for (const contract::CommandBody& command : setup_.first_commands) {
    const contract::Reply reply = apply(command, "user");
    if (!reply.ok) {
      throw contract::SpecError(reply.field, reply.error);
    }
  }
  if (forks) {
    save_checkpoint();  // from here on it needs its parent no more
  }
  module_interval_ = std::max<std::int64_t>(1, state_.spec.telemetry.module_interval);
  announced_ = state_.images;
  clock_.set(state_.seconds);
  last_row_seconds_ = state_.seconds;
  set_phase("training");
  clock_.start();
}

/// What a micro-batch is to a batch norm: accumulation cannot enlarge it.
void Trainer::note_norms() {
  const std::int64_t pictures = contract::batch_norm_pictures(state_.spec);
  if (pictures < effective_batch()) {
    note("warning",
         "engine",
         "Batch norm takes its statistics from " + std::to_string(pictures) +
             " pictures, not from the " + std::to_string(effective_batch()) +
             " of an update: micro-batches of one rank cannot share them. model.norm = \"frozen\" "
             "or \"gn\" do not depend on it.",
         {{"pictures", std::to_string(pictures)}});
  }
}

void Trainer::start_record() {
  if (setup_.sink == nullptr) {
    return;
  }
  contract::RunInfo& info = setup_.info;
  info.name = state_.spec.run.name;
  info.spec_toml = contract::to_toml(setup_.spec);  // what the stored events change
  info.threads = at::get_num_threads();
  info.data_checksum = setup_.training_set->checksum();
  info.modules = modules();
  info.classes = setup_.training_set->classes();
  info.steps = planned_steps();
  info.total_images = state_.total_images;
  if (info.started.empty()) {
    info.started = utc_now();
  }
  const bool goes_on = setup_.resume && !setup_.resume->fork;
  setup_.sink->begin(info, goes_on);
  std::vector<std::string> tensors;
  for (const optim::Parameter& parameter : parameters()) {
    tensors.push_back(parameter.name);
  }
  series_ = std::make_unique<StepSeries>(*setup_.sink, modules(), loss_names_, std::move(tensors));
  for (const contract::SegmentRecord& segment : state_.segments) {
    setup_.sink->segment(segment);
  }
  const auto& pictures =
      setup_.validation_set != nullptr ? setup_.validation_set : setup_.training_set;
  if (state_.spec.eval.probes > 0) {
    probes_ = std::make_unique<Probes>(*pictures, state_.spec.eval.probes, eval_options_);
    // Also of a run that goes on: these may be other pictures than before.
    for (const contract::ProbeRecord& probe : probes_->records()) {
      setup_.sink->probe(probe);
    }
  }
}

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
    // Between updates the state is whole: a lost peer costs no more than the update it broke.
    if (error.code() == contract::ExitCode::kPeer && setup_.sink != nullptr && !diverged_) {
      alone_ = true;
      try {
        save_checkpoint();
      } catch (const std::exception&) {
        // The first error is the one to report.
      }
    }
    fail(error.what(), error.code());
    throw;
  } catch (const std::exception& error) {
    // Torch's errors carry a back trace after their first line.
    const std::string text = error.what();
    const contract::DataError first_line(text.substr(0, text.find('\n')));
    fail(first_line.what(), first_line.code());
    throw first_line;
  }
}

void Trainer::fail(const std::string& sentence, contract::ExitCode code) {
  if (setup_.sink == nullptr || setup_.info.started.empty()) {
    return;
  }
  refuse_waiting();
  note("error", "engine", sentence, {{"exit", std::to_string(static_cast<int>(code))}});
  heartbeat(true);
  setup_.sink->finish(RunState::kFailed, static_cast<int>(code));
}

void Trainer::boundary() {
  apply_scripted();
  apply_waiting();
  wait_while_paused();
  if (end_ == End::kStoppedNow || end_ == End::kDiverged) {
    return;
  }
  evaluate_if_due();
  checkpoint_if_due();
}

Outcome Trainer::finish() {
  if (end_ == End::kNone) {
    end_ = End::kReached;
  }
  clock_.hold();
  Outcome outcome;
  const std::string at = " at step " + std::to_string(state_.step);
  std::map<std::string, std::string> args;
  std::string kind = "stop";
  switch (end_) {
    case End::kNone:
    case End::kReached:
    case End::kTarget:
      kind = "finish";
      outcome.sentence = "The training finished" + at + ".";
      if (end_ == End::kReached && guard_.never_learned()) {
        args["dead"] = "true";
        outcome.sentence += " Its loss never fell below where it started: it learned nothing.";
      }
      break;
    case End::kStopped:
    case End::kStoppedNow:
      outcome = {
          RunState::kStopped, contract::ExitCode::kDone, "The training was stopped" + at + "."};
      break;
    case End::kInterrupted:
      outcome = {RunState::kStopped,
                 contract::ExitCode::kInterrupted,
                 "The training was stopped" + at + ": " + end_text_ + "."};
      break;
    case End::kDiverged:
      kind = "stop";
      outcome = {RunState::kFailed, contract::ExitCode::kNonFinite, end_text_};
      break;
  }
  if (end_ != End::kDiverged && end_ != End::kStoppedNow && save_at_end_ && !diverged_ &&
      saved_step_ != state_.step) {
    set_phase("saving");
    save_checkpoint();
  }
  refuse_waiting();
  note(kind, "engine", outcome.sentence, args);
  if (setup_.sink != nullptr) {
    heartbeat(true);
    setup_.sink->finish(outcome.state, static_cast<int>(outcome.code));
  }
  part();
  return outcome;
}

void Trainer::part() {
  // A rank that leaves while another still waits for its last message breaks that one's connection.
  try {
    setup_.group->barrier();
  } catch (const contract::PeerError&) {
    // The others have left already; all is stored.
  }
}

}  // namespace batchscope::train
