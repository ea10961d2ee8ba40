#include "app/bench_checkpoint.h"

#include "app/build_model.h"
#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <sys/resource.h>
#include <vector>

namespace batchscope {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// A folder beside other runs' and gone afterwards.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "batchscope-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw contract::StorageError("bench step: no temporary folder can be made in " +
                                   fs::temp_directory_path().string());
    }
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

contract::RunSpec spec_of(const BenchCheckpointOptions& o) {
  contract::RunSpec spec;
  spec.model.name = o.model;
  spec.optim.name = o.optimizer;
  spec.optim.lr = 1e-4;
  spec.data.size = spec.data.min_size = spec.data.max_size = o.size;
  spec.data.train_pictures = o.batch * 4;
  spec.data.val_pictures = 1;
  spec.batch.micro = o.batch;
  spec.eval.at_end = false;
  spec.eval.probes = 0;
  spec.precision.threads = o.threads;
  spec.checkpoint.every_steps = o.every;
  spec.checkpoint.every_minutes = 0;
  spec.schedule.steps = o.every * (o.saves + 2);
  contract::validate(spec);
  return spec;
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

double state_mb(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    bytes = std::max(bytes, entry.file_size());
  }
  return static_cast<double>(bytes) / 1e6;
}

}  // namespace

CheckpointCost measure_checkpoint(const BenchCheckpointOptions& o) {
  if (std::min({o.batch, o.size, o.every, o.saves, o.threads}) < 1) {
    throw contract::SpecError(
        "bench",
        "bench step --checkpoint: batch, size, every, saves and threads must be at least 1");
  }
  const Scratch scratch;
  train::TrainerSetup setup;
  setup.spec = spec_of(o);
  setup.info.id = "bench";
  setup.folder = scratch.path();
  setup.group = train::Group::create({}, torch::kCPU);
  setup.training_set = train::make_training_set(setup.spec);
  setup.model = app::start_model(setup.spec, app::class_counts(*setup.training_set)).model;
  train::Trainer trainer(std::move(setup));
  trainer.begin();
  CheckpointCost cost;
  std::vector<double> steps, saving_steps;
  double waited = 0, written = 0, before = 0;
  for (std::int64_t i = 1; i < o.every * (o.saves + 2); ++i) {
    const auto begin = Clock::now();
    trainer.step();
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (i < o.every) {
      steps.push_back(ms);
      before = peak_mib();
    } else if (i > 2 * o.every && i % o.every == 1 % o.every) {
      saving_steps.push_back(ms);
    }
    trainer.boundary();
    if (i == o.every * 2 - 1) {  // the first one finds no memory that it could use again
      cost.extra_mib = peak_mib() - before;
      waited = trainer.store().waited_seconds();
      written = trainer.store().written_seconds();
    }
  }
  const auto count = static_cast<double>(o.saves);
  cost.waited_ms = 1000 * (trainer.store().waited_seconds() - waited) / count;
  cost.written_ms = 1000 * (trainer.store().written_seconds() - written) / count;
  cost.step_ms = median(std::move(steps));
  cost.saving_step_ms = median(std::move(saving_steps));
  cost.state_mb = state_mb(scratch.path());
  return cost;
}

}  // namespace batchscope
