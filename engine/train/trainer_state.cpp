#include "engine/train/trainer.h"

#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <cstdio>

namespace batchscope::train {
namespace {

constexpr const char* kModel = "model/";
constexpr const char* kShadow = "shadow/";
constexpr const char* kCheckpointName = "checkpoints/step-";
constexpr const char* kRestoreName = "checkpoints/restore-";

std::string padded(std::int64_t step) {
  char text[24];
  std::snprintf(text, sizeof text, "%08lld", static_cast<long long>(step));
  return text;
}

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
  for (const auto& [name, tensor] : file.part(kModel)) {
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

std::string Trainer::encode() const {
  StateFile file;
  TrainingState state = state_;
  state.seconds = clock_.seconds();
  file.words = to_words(state,
                        {.run_id = setup_.info.id,
                         .engine_version = setup_.info.engine_version,
                         .data_checksum = setup_.training_set->checksum(),
                         .threads = at::get_num_threads(),
                         .ranks = setup_.group->size(),
                         .classes = setup_.training_set->classes()});
  add_model(file, *setup_.model);
  updater_->save(file);
  if (shadows_ != nullptr) {
    file.add(kShadow, shadows_->save());
  }
  return encode_state(file);
}

void Trainer::load(const std::string& bytes, const std::string& origin) {
  const StateFile file = decode_state(bytes, origin);
  auto [state, info] = from_words(file.words, origin);
  if (info.data_checksum != setup_.training_set->checksum()) {
    throw contract::DataError("Checkpoint " + origin +
                              " was made with other training data: the annotations or the list of "
                              "pictures changed since.");
  }
  load_model(*setup_.model, file, origin);
  const double seconds = clock_.seconds();
  state_ = std::move(state);
  updater_->load(file);
  build_shadows();
  if (shadows_ != nullptr) {
    shadows_->load(file.part(kShadow));
  }
  state_.seconds = std::max(seconds, state_.seconds);
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

void Trainer::write_state(const std::string& file, const std::string& kind) {
  std::string failure;
  if (setup_.group->rank() == 0) {
    try {
      const std::int64_t bytes = write_bytes_durably(setup_.folder / file, encode());
      if (setup_.sink != nullptr) {
        setup_.sink->checkpoint({state_.segment, state_.step, file, kind, bytes});
      }
    } catch (const contract::Error& error) {
      failure = error.what();
    }
  }
  if (!alone_) {
    failure = setup_.group->broadcast_bytes(failure, 0);
  }
  if (!failure.empty()) {
    throw contract::StorageError(failure);
  }
}

std::string Trainer::save_checkpoint() {
  if (!saves_) {
    return "";
  }
  std::string file = kCheckpointName;
  file += padded(state_.step);
  file += "-segment-" + std::to_string(state_.segment) + ".ckpt";
  const Hold hold(clock_);
  if (std::find(state_.checkpoints.begin(), state_.checkpoints.end(), file) ==
      state_.checkpoints.end()) {
    state_.checkpoints.push_back(file);
  }
  write_state(file, "checkpoint");
  prune(state_.checkpoints, std::max<std::int64_t>(1, state_.spec.checkpoint.keep));
  saved_step_ = state_.step;
  checkpoint_due_ = false;
  return file;
}

void Trainer::save_restore_point(const std::string& change) {
  if (!saves_ || executes_again_) {
    return;
  }
  const Hold hold(clock_);
  std::string file = kRestoreName;
  file += std::to_string(++state_.restore_serial);
  file += "-step-" + padded(state_.step) + ".ckpt";
  write_state(file, "restore_point");
  state_.restore_points.push_back({file, state_.segment, state_.step, change});
  note("restore_point", "engine", "Restore point before \"" + change + "\".", {{"file", file}});
  std::vector<std::string> files;
  for (const RestorePoint& point : state_.restore_points) {
    files.push_back(point.file);
  }
  prune(files, std::max<std::int64_t>(1, state_.spec.checkpoint.restore_points));
  std::erase_if(state_.restore_points, [&](const RestorePoint& point) {
    return std::find(files.begin(), files.end(), point.file) == files.end();
  });
}

void Trainer::prune(std::vector<std::string>& files, std::int64_t keep) {
  while (static_cast<std::int64_t>(files.size()) > keep) {
    if (setup_.group->rank() == 0) {
      std::error_code ignored;
      std::filesystem::remove(setup_.folder / files.front(), ignored);
      if (setup_.sink != nullptr) {
        setup_.sink->checkpoint_removed(files.front());
      }
    }
    files.erase(files.begin());
  }
}

void Trainer::open_segment(std::int64_t parent, const std::string& reason) {
  state_.segment = next_segment_++;
  state_.segments.push_back({state_.segment, parent, state_.step, -1, reason});
  if (setup_.sink != nullptr) {
    setup_.sink->segment(state_.segments.back());
  }
}

void Trainer::resume_from(const ResumePoint& point) {
  seq_ = point.next_seq - 1;
  next_segment_ = point.next_segment;
  if (point.checkpoint.empty()) {
    state_.segments = {{0, -1, 0, 0, "start"}};
  } else {
    const contract::RunSpec asked = state_.spec;
    const std::int64_t threads = at::get_num_threads();
    const std::string bytes = read_on_rank_0(point.checkpoint);
    const auto origin = point.checkpoint.filename().string();
    load(bytes, origin);
    const CheckpointInfo info = from_words(decode_state(bytes, origin).words, origin).second;
    if (info.threads != threads || info.ranks != setup_.group->size()) {
      setup_.resume->text += " It ran with " + std::to_string(info.ranks) + " ranks of " +
                             std::to_string(info.threads) + " threads and goes on with " +
                             std::to_string(setup_.group->size()) + " of " +
                             std::to_string(threads) +
                             ": the numbers agree to rounding, not bit for bit.";
    }
    adopt_settings(asked);
    state_.segments.back().abandoned_after = state_.step;
  }
  if (point.fork) {
    start_line_of_fork(*point.fork);
    return;
  }
  evaluated_step_ = state_.metrics.empty() ? -1 : state_.step;
  saved_step_ = state_.step;
  open_segment(state_.segments.back().segment, "resume");
}

contract::RunSpec with_settings_of(contract::RunSpec spec, const contract::RunSpec& asked) {
  spec.run = asked.run;
  spec.eval = asked.eval;
  spec.checkpoint = asked.checkpoint;
  spec.telemetry = asked.telemetry;
  spec.guard = asked.guard;
  spec.precision.threads = asked.precision.threads;
  spec.data.loader_threads = asked.data.loader_threads;
  spec.batch.ranks = asked.batch.ranks;
  return spec;
}

void Trainer::adopt_settings(const contract::RunSpec& asked) {
  // The rest is the checkpoint's, changed by commands only.
  updater_->use_spec(with_settings_of(state_.spec, asked));
}

}  // namespace batchscope::train
