#include "tests/support/toy_training.h"

#include "engine/data/make_dataset.h"
#include "tests/support/ports.h"

#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

namespace batchscope::testing {
ToyDetector::ToyDetector(std::uint64_t seed) {
  torch::manual_seed(seed);
  backbone_ = register_module("backbone", torch::nn::Linear(48, 12));
  neck_ = register_module("neck", torch::nn::Linear(12, 8));
  head_ = register_module("head", torch::nn::Linear(8, 4));
}

models::Losses ToyDetector::losses(const torch::Tensor& images,
                                   const std::vector<std::pair<std::int64_t, std::int64_t>>&,
                                   const std::vector<models::Target>& targets,
                                   torch::Generator generator) {
  torch::Tensor x = torch::adaptive_avg_pool2d(images, {4, 4}).flatten(1);
  x = torch::tanh(neck_->forward(torch::tanh(backbone_->forward(x))));
  const torch::Tensor out = head_->forward(x);
  std::vector<torch::Tensor> wanted;
  for (const models::Target& target : targets) {
    // What is drawn here follows from the micro-batch's seed: the same in every mixture of ranks.
    const torch::Tensor jitter = torch::rand({4}, generator, torch::kFloat64) / 10;
    wanted.push_back((target.boxes.mean(0).div(32) + jitter).to(images.scalar_type()));
  }
  const torch::Tensor aim = torch::stack(wanted);
  ++calls_;
  const bool bad = spoil_from > 0 && calls_ >= spoil_from && calls_ <= spoil_to;
  const double factor = bad ? spoil : 1;
  const torch::Tensor fit = (out - aim).square().mean() * factor;
  const torch::Tensor box = (out - aim).abs().mean() / 4;
  return {{"loss_fit", fit}, {"loss_box", box}};
}

std::vector<models::Detection> ToyDetector::detect(
    const torch::Tensor& images, const std::vector<std::pair<std::int64_t, std::int64_t>>& sizes) {
  const torch::NoGradGuard no_grad;
  std::vector<models::Detection> found;
  const torch::Tensor x = torch::adaptive_avg_pool2d(images, {4, 4}).flatten(1);
  const torch::Tensor out =
      head_->forward(torch::tanh(neck_->forward(torch::tanh(backbone_->forward(x)))));
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    const torch::Tensor box = out[static_cast<std::int64_t>(i)].mul(32).to(torch::kFloat32);
    const torch::Tensor low = torch::minimum(box.slice(0, 0, 2), box.slice(0, 2, 4));
    const torch::Tensor high = torch::maximum(box.slice(0, 0, 2), box.slice(0, 2, 4)) + 1;
    found.push_back({torch::cat({low, high}).unsqueeze(0),
                     torch::ones({1}, torch::kInt64),
                     torch::full({1}, 0.5)});
  }
  return found;
}

std::vector<models::ModuleGroup> ToyDetector::module_groups() const {
  const auto group = [](const std::string& name, const torch::nn::Linear& layer) {
    return models::ModuleGroup{
        name, {name + ".weight", name + ".bias"}, {layer->weight, layer->bias}};
  };
  return {group("backbone", backbone_), group("neck", neck_), group("head", head_)};
}

models::InputTransform ToyDetector::input_transform() const {
  return {.mean = {0.5, 0.5, 0.5}, .std = {0.25, 0.25, 0.25}};
}

contract::RunSpec toy_spec(const std::string& optimizer, std::int64_t steps) {
  contract::RunSpec spec;
  spec.run.seed = 5;
  spec.data.train_pictures = 64;
  spec.data.val_pictures = 16;
  spec.data.loader_threads = 1;
  spec.batch.micro = 4;
  spec.optim.name = optimizer;
  spec.optim.lr = optimizer == "sgd" ? 0.1 : optimizer == "lars" ? 1.0 : 0.01;
  spec.schedule.steps = steps;
  spec.schedule.warmup.kind = "none";
  spec.eval.at_end = false;
  spec.eval.probes = 0;
  spec.precision.threads = 1;
  return spec;
}

std::vector<train::QueuedCommand> HandPort::take() {
  std::vector<train::QueuedCommand> taken;
  while (!coming.empty()) {
    taken.push_back({1, {static_cast<std::int64_t>(taken.size()) + 1, coming.front()}});
    coming.pop_front();
  }
  return taken;
}

void HandPort::wait(int) {
  if (on_wait) {
    on_wait();
  }
}

void HandPort::answer(const train::QueuedCommand&, const contract::Reply& reply) {
  replies.push_back(reply);
}

ToyRun toy_run(const contract::RunSpec& spec,
               std::shared_ptr<train::Group> group,
               torch::ScalarType dtype,
               const std::filesystem::path& folder,
               std::optional<train::ResumePoint> resume,
               train::CommandPort* port,
               std::shared_ptr<models::Detector> detector,
               std::shared_ptr<MemorySink> sink) {
  static std::mutex seeding;  // the default generator is shared by the ranks of a test
  ToyRun run;
  run.sink = sink ? std::move(sink) : std::make_shared<MemorySink>();
  train::TrainerSetup setup;
  setup.spec = spec;
  setup.info.id = "0123456789ab";
  setup.folder = folder;
  setup.dtype = dtype;
  setup.group = group ? std::move(group) : train::Group::create({}, torch::kCPU);
  setup.training_set = train::make_training_set(spec);
  setup.validation_set = train::make_validation_set(spec);
  setup.sink = setup.group->rank() == 0 ? run.sink.get() : nullptr;
  setup.port = setup.group->rank() == 0 ? port : nullptr;
  setup.resume = std::move(resume);
  run.detector = std::move(detector);
  if (run.detector == nullptr) {
    const std::lock_guard lock(seeding);
    run.model = std::make_shared<ToyDetector>(11);
    run.detector = run.model;
  }
  setup.model = run.detector;
  run.trainer = std::make_unique<train::Trainer>(std::move(setup));
  return run;
}

void with_ranks(std::int64_t ranks,
                const std::function<void(std::shared_ptr<train::Group>)>& work) {
  // c10d's flight recorder is one per process and not made for several ranks in one.
  ::setenv("TORCH_FR_BUFFER_SIZE", "0", 1);
  const test::BoundSocket meeting = test::listen_on_loopback();
  std::vector<std::thread> threads;
  std::exception_ptr failure;
  std::mutex mutex;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        at::set_num_threads(1);
        work(train::Group::create({.rank = rank,
                                   .world = ranks,
                                   .local_rank = rank,
                                   .master_address = "127.0.0.1",
                                   .master_port = meeting.port,
                                   .store_fd = rank == 0 ? meeting.fd : -1},
                                  torch::kCPU));
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = failure ? failure : std::current_exception();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

std::vector<torch::Tensor> weights(const models::Detector& model) {
  std::vector<torch::Tensor> copies;
  for (const torch::Tensor& parameter : model.parameters()) {
    copies.push_back(parameter.detach().clone());
  }
  return copies;
}

double relative_difference(const std::vector<torch::Tensor>& a,
                           const std::vector<torch::Tensor>& b) {
  double worst = a.size() == b.size() ? 0 : 1e9;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    const torch::Tensor x = a[i].to(torch::kFloat64), y = b[i].to(torch::kFloat64);
    const double scale = std::max(x.abs().max().item<double>(), 1e-30);
    const double difference = (x - y).abs().max().item<double>() / scale;
    worst = std::isfinite(difference) ? std::max(worst, difference) : 1e9;
  }
  return worst;
}

bool equal_bits(const std::vector<torch::Tensor>& a, const std::vector<torch::Tensor>& b) {
  bool same = a.size() == b.size();
  for (std::size_t i = 0; same && i < a.size(); ++i) {
    same = a[i].sizes() == b[i].sizes() && a[i].scalar_type() == b[i].scalar_type() &&
           (a[i].numel() == 0 || std::memcmp(a[i].contiguous().const_data_ptr(),
                                             b[i].contiguous().const_data_ptr(),
                                             a[i].nbytes()) == 0);
  }
  return same;
}

}  // namespace batchscope::testing
