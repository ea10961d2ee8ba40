#include "app/bench_step.h"

#include "app/bench_checkpoint.h"
#include "app/bench_step_shares.h"
#include "app/build_model.h"
#include "app/json_output.h"
#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"
#include "engine/data/loader.h"
#include "engine/data/make_dataset.h"
#include "engine/train/arithmetic.h"
#include "models/factory.h"
#include "models/weights/tensor_file.h"
#include "optim/optimizer.h"

#include <ATen/Parallel.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <sys/resource.h>
#include <vector>

namespace batchscope {
namespace {

constexpr int kSharePairs = 25;
constexpr double kAgvmInterval = 10;  // the default of optim.agvm.interval
constexpr double kStepLr = 1e-4;      // small: a diverged model measures something else

void check(const BenchStepOptions& o) {
  if (std::min({o.batch, o.size, o.steps, o.batches, o.threads}) < 1 || o.warmup < 0) {
    throw contract::SpecError(
        "bench", "bench step: batch, size, steps, batches and threads must be at least 1");
  }
}

std::shared_ptr<const train::Dataset> drawn_pictures(const BenchStepOptions& o) {
  contract::RunSpec spec;
  spec.data.size = o.size;
  spec.data.train_pictures = o.batch * o.batches;
  spec.model.name = o.model;
  return train::make_training_set(spec);
}

std::vector<train::MicroBatch> draw_batches(const BenchStepOptions& o,
                                            std::shared_ptr<const train::Dataset> pictures,
                                            const models::Detector& model) {
  train::Loader loader(std::move(pictures), o.seed, {.input = model.input_transform()}, 0);
  std::vector<train::MicroBatch> batches;
  for (std::int64_t i = 0; i < o.batches; ++i) {
    loader.announce(
        train::plan_step(i * o.batch, o.batch * o.batches, o.batch, 1, /*rank=*/0, /*ranks=*/1));
    batches.push_back(loader.next());
  }
  return batches;
}

/// <number>.images, .sizes, and per picture <number>.boxes<i>, .labels<i>, .masks<i>, .semantic<i>,
/// those it has.
void write_batches(const std::vector<train::MicroBatch>& batches, const std::string& file) {
  std::vector<std::pair<std::string, torch::Tensor>> tensors;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    const std::string key = std::to_string(b) + ".";
    tensors.emplace_back(key + "images", batches[b].images);
    for (std::size_t i = 0; i < batches[b].targets.size(); ++i) {
      const models::Target& target = batches[b].targets[i];
      for (const auto& [part, tensor] : {std::pair{"boxes", &target.boxes},
                                         {"labels", &target.labels},
                                         {"masks", &target.masks},
                                         {"semantic", &target.semantic}}) {
        if (tensor->defined()) {
          tensors.emplace_back(key + part, *tensor).first += std::to_string(i);
        }
      }
    }
  }
  std::vector<models::TensorSpec> specs;
  specs.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    specs.push_back({name, models::tensor_type(tensor.scalar_type()), tensor.sizes().vec()});
  }
  models::TensorFileWriter writer(file, models::WeightFormat::kSafetensors, specs, {});
  for (const auto& [name, tensor] : tensors) {
    writer.write(tensor);
  }
  writer.finish();
}

double peak_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// A model with its optimizer; one call is one step.
class Stepper {
 public:
  Stepper(models::Detector& model, std::string precision)
      : model_(model), precision_(std::move(precision)) {
    const auto groups = model.module_groups();
    for (std::size_t m = 0; m < groups.size(); ++m) {
      for (std::size_t i = 0; i < groups[m].parameters.size(); ++i) {
        parameters_.push_back(
            {groups[m].parameter_names[i], static_cast<std::int64_t>(m), groups[m].parameters[i]});
        tensors_.push_back(groups[m].parameters[i]);
      }
    }
    mu_.assign(groups.size(), 1.0);
    optimizer_ = optim::make_optimizer(
        {.method = optim::Method::kSgd}, parameters_, static_cast<std::int64_t>(groups.size()));
    optimizer_->set_diagnostics(false);
  }

  double step(const train::MicroBatch& batch, const torch::Generator& generator) {
    torch::Tensor loss;
    {
      const train::Arithmetic arithmetic(precision_, torch::kCPU);
      for (const auto& [name, value] :
           model_.losses(batch.images, batch.sizes, batch.targets, generator)) {
        loss = loss.defined() ? loss + value : value;
      }
    }
    gradients_ = torch::autograd::grad({loss}, tensors_);
    optimizer_->step(gradients_, kStepLr, mu_);
    return loss.item<double>();
  }

  /// Shares of what a step does beside the model, with the last step's gradients.
  StepShares shares() const { return measure_shares(parameters_, gradients_, kSharePairs); }

 private:
  models::Detector& model_;
  std::string precision_;
  std::vector<optim::Parameter> parameters_;
  std::vector<torch::Tensor> gradients_;
  std::vector<torch::Tensor> tensors_;
  std::vector<double> mu_;
  std::unique_ptr<optim::Optimizer> optimizer_;
};

double percent(double ms, const StepTiming& t) {
  return 100 * ms / t.median_ms;
}

void print(const BenchStepOptions& o, const StepTiming& t) {
  std::printf("%s, %s, %lld pictures of %lld px a step, %lld thread(s)\n",
              o.model.c_str(),
              o.precision.c_str(),
              static_cast<long long>(o.batch),
              static_cast<long long>(o.size),
              static_cast<long long>(o.threads));
  std::printf("  median %.2f ms a step, fastest %.2f ms, %.0f pictures/s (loss %.3f)\n",
              t.median_ms,
              t.fastest_ms,
              t.pictures_per_s,
              t.loss);
  std::printf("  largest resident memory %.0f MiB\n", t.peak_mib);
  std::printf(
      "  of it: update %.3f ms, its norms %.3f ms (%.3f %%), AGVM's statistics %.3f ms every 10th "
      "step (%.3f %%)\n",
      t.shares.update_ms,
      t.shares.norms_ms,
      percent(t.shares.norms_ms, t),
      t.shares.agvm_ms,
      percent(t.shares.agvm_ms / kAgvmInterval, t));
}

void print_json(const BenchStepOptions& o, const StepTiming& t, const std::string& file) {
  const nlohmann::json out = {{"bench", "step"},
                              {"model", o.model},
                              {"norm", o.norm},
                              {"precision", o.precision},
                              {"batch", o.batch},
                              {"size", o.size},
                              {"threads", o.threads},
                              {"steps", o.steps},
                              {"median_ms", t.median_ms},
                              {"fastest_ms", t.fastest_ms},
                              {"pictures_per_s", t.pictures_per_s},
                              {"peak_mib", t.peak_mib},
                              {"update_ms", t.shares.update_ms},
                              {"norms_ms", t.shares.norms_ms},
                              {"norms_percent", percent(t.shares.norms_ms, t)},
                              {"agvm_ms", t.shares.agvm_ms},
                              {"agvm_percent", percent(t.shares.agvm_ms / kAgvmInterval, t)},
                              {"loss", t.loss}};
  write_json(out, file);
}

void print(const BenchCheckpointOptions& o, const CheckpointCost& c) {
  std::printf("%s, %s, a checkpoint every %lld updates of %.1f ms\n",
              o.model.c_str(),
              o.optimizer.c_str(),
              static_cast<long long>(o.every),
              c.step_ms);
  std::printf(
      "  a state of %.1f MB; the training waits %.2f ms a save, %.1f %% of the %.1f ms that its "
      "writing takes\n",
      c.state_mb,
      c.waited_ms,
      c.waited_percent(),
      c.written_ms);
  std::printf("  the update beside it takes %.1f ms\n", c.saving_step_ms);
  std::printf("  the first save takes %.0f MiB of memory\n", c.extra_mib);
}

void print_json(const BenchCheckpointOptions& o, const CheckpointCost& c, const std::string& file) {
  write_json({{"bench", "checkpoint"},
              {"model", o.model},
              {"optimizer", o.optimizer},
              {"batch", o.batch},
              {"size", o.size},
              {"threads", o.threads},
              {"every", o.every},
              {"saves", o.saves},
              {"state_mb", c.state_mb},
              {"waited_ms", c.waited_ms},
              {"written_ms", c.written_ms},
              {"waited_percent", c.waited_percent()},
              {"step_ms", c.step_ms},
              {"saving_step_ms", c.saving_step_ms},
              {"extra_mib", c.extra_mib}},
             file);
}

}  // namespace

StepTiming measure_step(const BenchStepOptions& o) {
  using Clock = std::chrono::steady_clock;
  check(o);
  at::set_num_threads(static_cast<int>(o.threads));
  const auto pictures = drawn_pictures(o);
  const auto classes = app::class_counts(*pictures);
  const auto model = models::make_detector({.name = o.model,
                                            .norm = o.norm,
                                            .num_classes = classes.things,
                                            .stuff_classes = classes.stuff,
                                            .min_size = o.size,
                                            .max_size = o.size,
                                            .seed = o.seed});
  model->train();
  const auto batches = draw_batches(o, pictures, *model);
  if (!o.batches_out.empty()) {
    write_batches(batches, o.batches_out);
  }
  const auto generator = at::detail::createCPUGenerator(o.seed);
  Stepper stepper(*model, o.precision);
  StepTiming timing;
  std::vector<double> times;
  for (std::int64_t i = 0; i < o.warmup + o.steps; ++i) {
    const auto begin = Clock::now();
    timing.loss = stepper.step(batches[static_cast<std::size_t>(i % o.batches)], generator);
    if (i >= o.warmup) {
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
    }
  }
  std::sort(times.begin(), times.end());
  timing.fastest_ms = times.front();
  timing.median_ms = times[times.size() / 2];
  timing.pictures_per_s = 1e3 * static_cast<double>(o.batch) / timing.median_ms;
  timing.peak_mib = peak_mib();
  timing.shares = stepper.shares();
  return timing;
}

void add_bench_step(CLI::App& bench) {
  auto options = std::make_shared<BenchStepOptions>();
  auto json_file = std::make_shared<std::string>();
  auto checkpoint = std::make_shared<BenchCheckpointOptions>();
  CLI::App* step = bench.add_subcommand("step", "Time training steps of a model on drawn pictures");
  step->add_option("--model", options->model, "Model name")->capture_default_str();
  step->add_option("--norm", options->norm, "Norm of the backbone")->capture_default_str();
  step->add_option("--precision", options->precision, "Arithmetic of the forward pass")
      ->check(CLI::IsMember({"fp32", "tf32", "bf16"}))
      ->capture_default_str();
  step->add_option("--batch", options->batch, "Pictures per step")->capture_default_str();
  step->add_option("--size", options->size, "Side of the pictures, px")->capture_default_str();
  step->add_option("--steps", options->steps, "Timed steps")->capture_default_str();
  step->add_option("--warmup", options->warmup, "Steps before")->capture_default_str();
  step->add_option("--batches-out", options->batches_out, "Safetensors file that gets the batches");
  step->add_option("--threads", options->threads, "Threads of torch")->capture_default_str();
  step->add_option("--seed", options->seed, "Seed of weights, pictures and draws")
      ->capture_default_str();
  CLI::Option* saves = step->add_flag(
      "--checkpoint", "What a checkpoint costs a training instead: waiting, writing, memory");
  step->add_option("--optimizer", checkpoint->optimizer, "With --checkpoint: optim.name")
      ->capture_default_str();
  step->add_option("--every", checkpoint->every, "With --checkpoint: updates between two")
      ->capture_default_str();
  step->add_option("--saves", checkpoint->saves, "With --checkpoint: how many are counted")
      ->capture_default_str();
  CLI::Option* json =
      step->add_option("--json", *json_file, "JSON to stdout, or to a file")->expected(0, 1);
  step->callback([options, checkpoint, saves, json_file, json] {
    if (saves->count() > 0) {
      checkpoint->model = options->model;
      checkpoint->batch = options->batch;
      checkpoint->size = options->size;
      checkpoint->threads = options->threads;
      const CheckpointCost cost = measure_checkpoint(*checkpoint);
      json->count() > 0 ? print_json(*checkpoint, cost, *json_file) : print(*checkpoint, cost);
      return;
    }
    const StepTiming timing = measure_step(*options);
    json->count() > 0 ? print_json(*options, timing, *json_file) : print(*options, timing);
  });
}

}  // namespace batchscope
