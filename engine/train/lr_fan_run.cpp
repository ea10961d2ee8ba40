#include "engine/contract/error.h"
#include "engine/train/lr_fan.h"
#include "engine/train/trainer.h"

#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>

namespace batchscope::train {
namespace {

/// Keeps losses and rates, and drops the rest.
class LossSink : public contract::TelemetrySink {
 public:
  void begin(const contract::RunInfo&, bool) override {}
  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& infos) override {
    std::vector<std::int32_t> indices;
    for (const contract::SeriesInfo& info : infos) {
      if (info.name == "loss") {
        loss_ = next_;
      } else if (info.name == "lr") {
        lr_ = next_;
      }
      indices.push_back(next_++);
    }
    return indices;
  }
  void step(const contract::StepRecord& record) override {
    for (const auto& [index, value] : record.values) {
      if (index == loss_) {
        losses.push_back(value);
      } else if (index == lr_) {
        rates.push_back(value);
      }
    }
  }
  void event(const contract::EventRecord& record) override {
    if (record.kind == "diverged") {
      diverged = record.text;
    }
  }
  void segment(const contract::SegmentRecord&) override {}
  void eval(const contract::EvalRecord&) override {}
  void probe(const contract::ProbeRecord&) override {}
  void prediction(const contract::PredictionRecord&) override {}
  void checkpoint(const contract::CheckpointRecord& record) override { file = record.file; }
  void checkpoint_removed(const std::string&) override {}
  void status(const contract::StatusReport&) override {}
  void flush() override {}
  void finish(contract::RunState, int) override {}
  std::string failure() const override { return ""; }

  std::vector<double> losses, rates;
  std::string diverged, file;

 private:
  std::int32_t next_ = 0, loss_ = -1, lr_ = -1;
};

contract::RunSpec quiet(contract::RunSpec spec) {
  spec.eval = {};
  spec.eval.at_end = false;
  spec.eval.probes = 0;
  spec.checkpoint.every_steps = 0;
  spec.guard.on_diverge = "stop";
  // One process stands for all ranks: more micro-batches instead.
  spec.batch.ranks = 1;
  return spec;
}

class Fan {
 public:
  explicit Fan(const FanSetup& setup) : setup_(setup), spec_(quiet(setup.spec)) {
    LossSink sink;
    TrainerSetup start = trainer_setup(sink, spec_, setup.point);
    start.folder = setup.scratch;
    Trainer trainer(std::move(start));
    trainer.begin();
    state_ = setup.scratch / sink.file;
    step_ = trainer.state().step;
    pictures_ = static_cast<double>(setup.spec.batch.effective());
  }

  FanResult train(const FanProbe& probe) {
    const auto begin = std::chrono::steady_clock::now();
    LossSink sink;
    contract::RunSpec spec = spec_;
    ResumePoint point;
    point.checkpoint = state_;
    point.fork = ForkStart{};
    point.fork->step = step_;
    spec.run.seed = probe.seed.value_or(spec.run.seed);
    TrainerSetup start = trainer_setup(sink, spec, point);
    if (setup_.spec.batch.ranks > 1) {
      start.first_commands.emplace_back(
          contract::AccumulationCommand{setup_.spec.batch.accumulation * setup_.spec.batch.ranks});
    }
    contract::OptimizerCommand command = probe.command;
    if (command.agvm && !*command.agvm) {
      command.set["optim.agvm.observe"] = "false";  // measured for the charts alone
    }
    start.first_commands.emplace_back(command);
    Trainer trainer(std::move(start));
    trainer.begin();
    for (std::int64_t i = 0; i < setup_.steps && !trainer.ended(); ++i) {
      trainer.step();
    }
    FanResult result;
    result.probe = probe;
    result.losses = sink.losses;
    result.first_lr = sink.rates.empty() ? 0 : sink.rates.front();
    result.last_lr = sink.rates.empty() ? 0 : sink.rates.back();
    result.verdict = judge_probe(sink.losses, sink.diverged, pictures_);
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

 private:
  TrainerSetup trainer_setup(LossSink& sink,
                             const contract::RunSpec& spec,
                             const ResumePoint& point) {
    TrainerSetup start;
    start.spec = spec;
    start.info.id = "fan";
    start.device = setup_.device;
    start.group = Group::create({}, setup_.device);
    start.training_set = setup_.training_set;
    start.sink = &sink;
    start.resume = point;
    const std::lock_guard lock(making_);
    start.model = setup_.make_model();
    return start;
  }

  const FanSetup& setup_;
  contract::RunSpec spec_;
  std::mutex making_;
  std::filesystem::path state_;
  std::int64_t step_ = 0;
  double pictures_ = 0;
};

}  // namespace

std::vector<FanResult> run_fan(const FanSetup& setup, const std::vector<FanProbe>& probes) {
  if (setup.steps < 3) {
    throw contract::SpecError("--steps", "A probe needs 3 updates or more.");
  }
  std::filesystem::create_directories(setup.scratch / "checkpoints");
  Fan fan(setup);
  std::vector<FanResult> results(probes.size());
  std::atomic<std::size_t> next{0};
  std::exception_ptr failure;
  std::mutex mutex;
  const auto work = [&] {
    for (std::size_t i = next++; i < probes.size(); i = next++) {
      try {
        results[i] = fan.train(probes[i]);
        const std::lock_guard lock(mutex);
        if (setup.done) {
          setup.done(i, results[i]);
        }
      } catch (...) {
        const std::lock_guard lock(mutex);
        failure = failure ? failure : std::current_exception();
        next = probes.size();
      }
    }
  };
  std::vector<std::thread> others;
  for (std::int64_t w = 1; w < setup.workers; ++w) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& other : others) {
    other.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
  return results;
}

}  // namespace batchscope::train
