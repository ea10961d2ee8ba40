#include "engine/contract/spec_settings.h"
#include "engine/train/trainer.h"

#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <set>

namespace batchscope::train {
namespace {

constexpr const char* kModel = "model/";
constexpr const char* kShadow = "shadow/";

}  // namespace

void add_model(StateFile& file, const torch::nn::Module& model) {
  for (const auto& item : model.named_parameters()) {
    file.tensors.emplace_back(kModel + item.key(), item.value().detach());
  }
  for (const auto& item : model.named_buffers()) {
    file.tensors.emplace_back(kModel + item.key(), item.value().detach());
  }
}

void load_model(torch::nn::Module& model, const StateFile& file, const std::string& origin) {
  const torch::NoGradGuard no_grad;
  std::map<std::string, torch::Tensor> stored;
  for (const auto& [name, tensor] : file.under(kModel)) {
    stored[name] = tensor;
  }
  const auto copy = [&](const std::string& name, const torch::Tensor& tensor) {
    const auto found = stored.find(name);
    if (found == stored.end()) {
      throw contract::DataError("Checkpoint " + origin + " has no tensor " + name +
                                ", which the model needs.");
    }
    if (found->second.sizes() != tensor.sizes()) {
      std::ostringstream shapes;
      shapes << found->second.sizes() << ", the model needs " << tensor.sizes();
      throw contract::DataError("Checkpoint " + origin + ": tensor " + name + " has shape " +
                                shapes.str() + ".");
    }
    tensor.copy_(found->second);
  };
  for (const auto& item : model.named_parameters()) {
    copy(item.key(), item.value());
  }
  for (const auto& item : model.named_buffers()) {
    copy(item.key(), item.value());
  }
}

StateFile Trainer::snapshot() const {
  const torch::NoGradGuard no_grad;
  StateFile file;
  std::vector<std::int64_t> ids;
  for (std::size_t label = 1; label <= setup_.training_set->classes().size(); ++label) {
    ids.push_back(setup_.training_set->category_id(static_cast<std::int64_t>(label)));
  }
  TrainingState state = state_;
  state.seconds = clock_.seconds();
  file.words = to_words(state,
                        {.run_id = setup_.info.id,
                         .engine_version = setup_.info.engine_version,
                         .data_checksum = setup_.training_set->checksum(),
                         .threads = at::get_num_threads(),
                         .ranks = setup_.group->size(),
                         .classes = setup_.training_set->classes(),
                         .category_ids = std::move(ids)});
  add_model(file, *setup_.model);
  updater_->save(file);
  if (shadows_ != nullptr) {
    file.add(kShadow, shadows_->save());
  }
  // Weights and moments change in updates only; running statistics with the next picture.
  file.live = setup_.device.is_cpu();
  std::set<std::string> statistics;
  for (const auto& item : setup_.model->named_buffers()) {
    statistics.insert(kModel + item.key());
  }
  for (auto& [name, tensor] : file.tensors) {
    tensor = tensor.to(
        torch::kCPU, tensor.scalar_type(), false, /*copy=*/!file.live || statistics.contains(name));
  }
  return file;
}

CheckpointInfo Trainer::load(const std::string& bytes, const std::string& origin) {
  const StateFile file = decode_state(bytes, origin);
  auto [state, info] = from_words(file.words, origin);
  if (info.data_checksum != setup_.training_set->checksum()) {
    throw contract::DataError("Checkpoint " + origin +
                              " was made with other training data: the annotations or the list of "
                              "pictures changed since.");
  }
  for (const auto* numbers : {&state.last_trust, &state.ramp.start}) {
    if (!numbers->empty() && numbers->size() != modules().size()) {
      throw contract::DataError("Checkpoint " + origin + " is of a model with " +
                                std::to_string(numbers->size()) + " modules, this one has " +
                                std::to_string(modules().size()) + ".");
    }
  }
  store_.before_change();
  whole_ = false;
  load_model(*setup_.model, file, origin);
  const double seconds = clock_.seconds();
  state_ = std::move(state);
  updater_->load(file);
  build_shadows();
  if (shadows_ != nullptr) {
    shadows_->load(file.under(kShadow));
  }
  state_.seconds = std::max(seconds, state_.seconds);
  statistics_->remember();
  return info;
}

std::string Trainer::read_on_rank_0(const std::filesystem::path& file) {
  // Rank 0 reads for all, so that no rank needs the others' disks; a failure is everyone's.
  std::string bytes, failure;
  if (setup_.group->rank() == 0) {
    try {
      bytes = read_bytes(file);
      decode_state(bytes, file.filename().string());
    } catch (const contract::Error& error) {
      failure = error.what();
    }
  }
  failure = setup_.group->broadcast_bytes(failure, 0);
  if (!failure.empty()) {
    throw contract::DataError(failure);
  }
  return setup_.group->broadcast_bytes(bytes, 0);
}

void Trainer::save_restore_point(const std::string& change) {
  if (!saves_ || executes_again_) {
    return;
  }
  const Hold hold(clock_);
  std::string failure;
  try {
    store_.save_restore_point(change);
  } catch (const contract::Error& error) {
    failure = error.what();
  }
  failure = setup_.group->broadcast_bytes(failure, 0);
  if (!failure.empty()) {
    throw contract::StorageError(failure);
  }
}

void Trainer::resume_from(const ResumePoint& point) {
  record_.go_on_after(point.next_seq - 1, point.next_segment - 1);
  if (point.checkpoint.empty()) {
    state_.segments = {{0, -1, 0, 0, "start"}};
  } else {
    const contract::RunSpec asked = state_.spec;
    const std::int64_t threads = at::get_num_threads();
    const CheckpointInfo info =
        load(read_on_rank_0(point.checkpoint), point.checkpoint.filename().string());
    const contract::BatchSection saved = state_.spec.batch;
    adopt_settings(asked);
    store_.as_saved();
    if (state_.spec.batch.ranks != saved.ranks) {
      keep_effective_batch(saved);
    }
    if (info.threads != threads || info.ranks != setup_.group->size()) {
      setup_.resume->text += " It ran with " + std::to_string(info.ranks) + " ranks of " +
                             std::to_string(info.threads) + " threads and goes on with " +
                             std::to_string(setup_.group->size()) + " of " +
                             std::to_string(threads) +
                             (state_.spec.batch.effective() == saved.effective()
                                  ? ": the numbers agree to rounding, not bit for bit."
                                  : ".");
    }
    state_.segments.back().abandoned_after = state_.step;
  }
  if (point.fork) {
    start_line_of_fork(*point.fork);
    return;
  }
  // The state of a step is saved before its evaluation.
  const std::string evaluated =
      setup_.group->broadcast_bytes(std::to_string(point.evaluated_step), 0);
  if (evaluated == std::to_string(state_.step)) {
    state_.evaluated_step = state_.step;
  }
  record_.open_segment(state_.segments.back().segment, "resume");
}

/// Another number of ranks is no reason for another training: accumulation makes up for it, where
/// it divides. Where it does not, the nearest batch is taken as a user's change would be.
void Trainer::keep_effective_batch(const contract::BatchSection& saved) {
  ran_with_ = {saved, plan().lr};
  const std::int64_t micros = saved.accumulation * saved.ranks, ranks = state_.spec.batch.ranks;
  const std::int64_t accumulation = std::max<std::int64_t>(1, (micros + ranks / 2) / ranks);
  updater_->take_over_batch(saved, accumulation);
  store_.touch();
}

void Trainer::adopt_settings(const contract::RunSpec& asked) {
  // The rest is the checkpoint's, changed by commands only.
  updater_->use_spec(contract::with_settings_of(state_.spec, asked));
}

}  // namespace batchscope::train
