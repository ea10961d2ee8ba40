#include "app/fan_command.h"

#include "app/build_model.h"
#include "app/fan_report.h"
#include "app/fork_point.h"
#include "app/json_output.h"
#include "app/run_control.h"
#include "app/run_fork.h"
#include "app/run_settings.h"
#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "engine/data/make_dataset.h"
#include "engine/train/lr_fan.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"

#include <chrono>
#include <iostream>
#include <thread>
#include <unistd.h>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

struct FanArguments {
  std::string lr = "x2^-2..2", optim, use, device;
  std::int64_t steps = 30, at = -1, workers = 0;
  std::vector<std::int64_t> seeds;
};

/// A folder that goes away with its owner.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "batchscope-fan-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw contract::StorageError("No folder could be made in " +
                                   fs::temp_directory_path().string() + ".");
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

/// Two at a time where there are cores for it: more would only wait for memory.
std::int64_t workers_for(const contract::RunSpec& spec, const std::string& device) {
  const auto cores = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  const std::int64_t threads = std::max<std::int64_t>(1, spec.precision.threads);
  const bool one_thread = spec.model.name.starts_with("lab_") || spec.precision.threads == 1;
  return device == "cpu" && one_thread ? std::clamp<std::int64_t>(cores / threads, 1, 2) : 1;
}

FanReport train_fan(const FanArguments& arguments, const RunOrigin& origin) {
  const Clock::time_point begin = Clock::now();
  if (origin.spec.batch.ranks > 1 && origin.file_step < origin.step) {
    throw contract::SpecError("--at",
                              "The run has " + std::to_string(origin.spec.batch.ranks) +
                                  " ranks: a fan on it starts from a step whose state is saved, "
                                  "the newest before is " +
                                  std::to_string(origin.file_step) + ".");
  }
  const Scratch scratch;
  const std::string device =
      arguments.device.empty() ? device_kind(origin.info.device) : arguments.device;
  train::FanSetup setup;
  setup.spec = origin.spec;
  setup.point = fork_point(note_of(origin));
  setup.device = device_of(device, 0);
  setup.training_set = train::make_training_set(origin.spec);
  const ClassCounts classes = class_counts(*setup.training_set);
  setup.make_model = [&] { return start_model(origin.spec, classes).model; };
  setup.steps = arguments.steps;
  setup.workers = arguments.workers > 0 ? arguments.workers : workers_for(origin.spec, device);
  setup.scratch = scratch.path();
  const double base = contract::resolve(origin.spec, setup.training_set->size()).lr;
  const std::vector<train::FanProbe> probes =
      train::fan_probes(train::parse_fan_methods(arguments.optim),
                        train::parse_fan_rates(arguments.lr),
                        arguments.seeds,
                        base);
  std::size_t done = 0;
  setup.done = [&](std::size_t, const train::FanResult& result) {
    std::cerr << "probe " << ++done << " of " << probes.size() << ": " << probe_line(result)
              << "\n";
  };
  FanReport report;
  report.results = train::run_fan(setup, probes);
  report.edges = train::fan_edges(report.results);
  report.run = origin.info.id;
  report.step = origin.step;
  report.base_lr = base;
  report.updates = arguments.steps;
  report.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return report;
}

int run_fan(const FanArguments& arguments, const ControlTarget& target) {
  // What cannot be understood is said before a run is asked for a checkpoint.
  train::parse_fan_rates(arguments.lr);
  train::parse_fan_methods(arguments.optim);
  const fs::path run = storage::find_run(target.library, target.run);
  if (!arguments.use.empty() && !run_listens(run)) {
    throw contract::PeerError("Run " + run.filename().string() +
                              " is not running: a probe cannot be applied to it; fork it with the "
                              "probe's settings.");
  }
  const RunOrigin origin =
      arguments.at >= 0 ? find_origin(run, arguments.at) : newest_origin(run, target.timeout);
  const FanReport report = train_fan(arguments, origin);
  if (target.json) {
    write_json(fan_json(report), "");
  } else {
    std::cout << printable_lines(fan_text(report)) << std::flush;
  }
  if (!arguments.use.empty()) {
    const train::FanResult& chosen = chosen_probe(report, arguments.use);
    const contract::Reply reply = call_run(run, chosen.probe.command, target.timeout);
    (target.json ? std::cerr : std::cout)
        << "applied after step " << reply.step << ": " << command_line(report.run, chosen) << "\n";
  }
  return 0;
}

}  // namespace

void add_fan_command(CLI::App& control,
                     const std::shared_ptr<ControlTarget>& target,
                     int& exit_code) {
  CLI::App* command = control.add_subcommand(
      "fan", "Try learning rates: short probes from a point of a run that trains or is stored");
  const auto arguments = std::make_shared<FanArguments>();
  FanArguments& a = *arguments;
  command->add_option("--lr",
                      a.lr,
                      "rates (0.01,0.02), factors on the run's rate (x0.5,x2) or powers (x2^-2..2, "
                      "x2^-2..2/0.5)");
  command->add_option("--optim",
                      a.optim,
                      "methods, with +clip (L2 norm 1), +clip=X, +agvm: lamb,sgd+clip; not given: "
                      "the run's own as it is set");
  command->add_option("--steps", a.steps, "updates of each probe")->check(CLI::Range(3, 1000000));
  command->add_option("--seeds", a.seeds, "each probe once with the coming pictures of each seed")
      ->delimiter(',');
  command->add_option("--at", a.at, "step to start from; not given: now, or the newest state")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--use", a.use, "apply a probe afterwards: its number, or best");
  command->add_option("--device", a.device, "cpu or cuda; as the run if not given")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--workers", a.workers, "probes at a time")->check(CLI::Range(1, 64));
  command->callback([arguments, target, &exit_code] { exit_code = run_fan(*arguments, *target); });
}

}  // namespace batchscope::app
