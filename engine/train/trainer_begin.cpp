#include "engine/contract/batch_norm.h"
#include "engine/contract/spec_settings.h"
#include "engine/train/arithmetic.h"
#include "engine/train/number_text.h"
#include "engine/train/plan_options.h"
#include "engine/train/probes.h"
#include "engine/train/trainer.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <cmath>
#include <thread>

namespace batchscope::train {
namespace {

/// Drawn pictures of one micro-batch with no more pixels than this are one thread's work: handing
/// its small operators to others costs more than they take.
constexpr std::int64_t kPixelsOfOneThread = 1 << 18;

std::int64_t thread_count(const contract::RunSpec& spec, std::int64_t local_ranks) {
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
  return std::max<std::int64_t>(1, cores / std::max<std::int64_t>(1, local_ranks));
}

}  // namespace

Trainer::Trainer(TrainerSetup setup)
    : setup_(std::move(setup)),
      record_(setup_.sink, state_),
      store_(setup_.group->rank() == 0 ? setup_.folder : std::filesystem::path(),
             state_,
             record_,
             [this] { return snapshot(); }),
      inbox_(setup_.port, *setup_.group),
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
    state_.spec = contract::with_settings_of(*setup_.resume->fork->spec, setup_.spec);
  }
  state_.start_batch = state_.spec.batch;
  at::set_num_threads(static_cast<int>(thread_count(setup_.spec, setup_.local_ranks)));
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
                   .max_broken = state_.spec.data.max_broken,
                   .transform = setup_.model->input_transform(),
                   .device = setup_.device,
                   .dtype = setup_.dtype};
  statistics_ = std::make_unique<RunningStatistics>(*setup_.model);
  sync_ = std::make_unique<GradientSync>(tensors, setup_.group);
  norms_ =
      std::make_unique<SharedNorms>(*setup_.model, *setup_.group, state_.spec.model.syncbn_group);
  loader_ = make_loader(state_.spec.run.seed);
  updater_ = std::make_unique<Updater>(
      state_, std::move(modules), std::move(parameters), setup_.training_set->size());
  build_shadows();
}

std::unique_ptr<Loader> Trainer::make_loader(std::int64_t seed) const {
  return std::make_unique<Loader>(setup_.training_set,
                                  static_cast<std::uint64_t>(seed),
                                  TransformOptions{.input = eval_options_.transform,
                                                   .min_sizes = state_.spec.data.train_min_sizes,
                                                   .flip = state_.spec.data.flip,
                                                   .max_broken = state_.spec.data.max_broken},
                                  state_.spec.data.loader_threads);
}

void Trainer::begin() {
  store_.touch();
  if (setup_.resume) {
    resume_from(*setup_.resume);
  } else {
    state_.segments = {{0, -1, 0, -1, "start"}};
  }
  start_record();
  const bool forks = setup_.resume && setup_.resume->fork;
  if (setup_.resume && !forks) {
    store_.collect();
  }
  if (forks) {
    execute_again(*setup_.resume->fork);
  }
  note_start();
  note_norms();
  note_shadows();
  note_warnings();
  for (const contract::CommandBody& command : setup_.first_commands) {
    const contract::Reply reply = apply(command, "user");
    if (!reply.ok) {
      throw contract::SpecError(reply.field, reply.error);
    }
  }
  whole_ = true;
  first_step_ = state_.step;
  if (forks) {
    store_.save_if_possible();  // from here on it needs its parent no more
  }
  module_interval_ = std::max<std::int64_t>(1, state_.spec.telemetry.module_interval);
  announced_ = state_.images;
  clock_.set(state_.seconds);
  last_row_seconds_ = state_.seconds;
  set_phase("training");
  clock_.start();
}

void Trainer::note_start() {
  const contract::BatchSection& b = state_.spec.batch;
  const std::string batch = std::to_string(b.micro) + " x " + std::to_string(b.accumulation) +
                            " x " + std::to_string(b.ranks) + " = " +
                            std::to_string(effective_batch());
  const std::string threads = std::to_string(at::get_num_threads());
  if (setup_.resume && setup_.resume->fork) {
    note("fork", "engine", setup_.resume->text, setup_.resume->fork->args);
  } else if (setup_.resume) {
    note("resume", "engine", setup_.resume->text, {{"threads", threads}, {"batch", batch}});
    note_ranks();
    if (setup_.resume->recorded_step >= 0 && setup_.resume->recorded_step < state_.step) {
      note("telemetry_gap",
           "engine",
           "Steps " + std::to_string(setup_.resume->recorded_step + 1) + " to " +
               std::to_string(state_.step) + " were trained and saved, but are not on record.");
    }
  } else {
    note("start",
         "engine",
         "Training " + state_.spec.model.name + " with " + state_.spec.optim.name +
             " at an effective batch of " + batch + ".",
         {{"batch", batch}, {"threads", threads}});
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
}

void Trainer::note_ranks() {
  if (!ran_with_) {
    return;
  }
  const auto [old, old_lr] = *std::exchange(ran_with_, std::nullopt);
  const contract::BatchSection& b = state_.spec.batch;
  const auto change = [](const char* what, const std::string& from, const std::string& to) {
    return std::string(what) + " " + from + " -> " + to;
  };
  const std::string to_batch = std::to_string(b.effective());
  const std::string text =
      change("Ranks", std::to_string(old.ranks), std::to_string(b.ranks)) + ", " +
      change("accumulation", std::to_string(old.accumulation), std::to_string(b.accumulation));
  std::map<std::string, std::string> args = {{"old", std::to_string(old.accumulation)},
                                             {"new", std::to_string(b.accumulation)},
                                             {"old_ranks", std::to_string(old.ranks)},
                                             {"new_ranks", std::to_string(b.ranks)},
                                             {"old_batch", std::to_string(old.effective())},
                                             {"new_batch", to_batch}};
  if (b.effective() == old.effective()) {
    note("ranks", "engine", text + ": the effective batch stays " + to_batch + ".", args);
    return;
  }
  // As if it had been asked for: a re-run or a fork that passes here does the same.
  args["value"] = std::to_string(b.accumulation);
  args["old_lr"] = number_text(old_lr);
  args["new_lr"] = number_text(plan().lr);
  note("accumulation",
       "user",
       text + ": " + change("effective batch", std::to_string(old.effective()), to_batch) + ", " +
           change("learning rate", number_text(old_lr), number_text(plan().lr)) + ".",
       args);
}

void Trainer::note_warnings() {
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
  contract::RunSpec at_start = setup_.spec;  // what the stored events change
  at_start.batch = state_.start_batch;
  info.spec_toml = contract::to_toml(at_start);
  info.threads = at::get_num_threads();
  info.data_checksum = setup_.training_set->checksum();
  info.modules = modules();
  info.classes = setup_.training_set->classes();
  info.steps = planned_steps();
  info.total_images = state_.total_images;
  if (info.started.empty()) {
    info.started = utc_now();
  }
  CurveNames names{modules(), loss_names_, {}};
  for (const optim::Parameter& parameter : parameters()) {
    names.tensors.push_back(parameter.name);
  }
  record_.begin(info, setup_.resume && !setup_.resume->fork, names);
  const auto& pictures =
      setup_.validation_set != nullptr ? setup_.validation_set : setup_.training_set;
  if (state_.spec.eval.probes > 0) {
    probes_ = std::make_unique<Probes>(*pictures, state_.spec.eval.probes, eval_options_);
    // Also of a run that goes on: these may be other pictures than before.
    for (const contract::ProbeRecord& probe : probes_->records()) {
      record_.probe(probe);
    }
  }
}

}  // namespace batchscope::train
