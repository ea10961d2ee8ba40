#include "app/engine_commands.h"
#include "app/run_preparation.h"
#include "engine/contract/error.h"
#include "engine/distributed/group.h"
#include "engine/distributed/supervisor.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"

#include <cstdlib>
#include <iostream>
#include <memory>

namespace batchscope::app {
namespace {

PreparedRun prepare(const TrainArguments& arguments) {
  return arguments.resume.empty() ? prepare_new_run(arguments) : prepare_resume(arguments);
}

void announce(const PreparedRun& run) {
  std::cout << "run " << run.id << " " << run.folder.string() << std::endl;
}

TrainArguments with_run(TrainArguments arguments, const PreparedRun& run) {
  arguments.run_folder = run.folder;
  arguments.from = run.from;
  arguments.goes_on = run.goes_on;
  return arguments;
}

/// A rank that torchrun or Slurm started: rank 0 makes the run's folder, the others need the spec.
int train_in_job(const TrainArguments& arguments, bool leads) {
  if (!leads && arguments.resume.empty()) {
    contract::RunSpec spec = contract::load_spec(arguments.spec);
    apply_sets(spec, arguments.sets);
    return train_as_rank(arguments, spec);
  }
  const PreparedRun run = prepare(arguments);
  if (leads) {
    announce(run);
  }
  return train_as_rank(with_run(arguments, run), run.spec);
}

/// The arguments of every rank of a prepared run.
std::vector<std::string> rank_arguments(const TrainArguments& arguments, const PreparedRun& run) {
  std::vector<std::string> list = {
      "train", "--run-folder", run.folder.string(), "--device", arguments.device};
  if (run.goes_on) {
    list.emplace_back("--goes-on");
    for (const std::string& set : arguments.sets) {
      list.insert(list.end(), {"--set", set});
    }
  }
  if (!run.from.empty()) {
    list.insert(list.end(), {"--from", run.from.string()});
  }
  return list;
}

int train_under_supervision(const TrainArguments& arguments) {
  const PreparedRun run = prepare(arguments);
  const storage::RunLock lock(run.folder);
  announce(run);
  train::SupervisorOptions options;
  options.arguments = rank_arguments(arguments, run);
  options.ranks = run.spec.batch.ranks;
  options.log_folder = (run.folder / storage::kLogFolder).string();
  options.show_rank0 = true;
  options.lock_fd = lock.fd();
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    // Threads that spin at the end of every operator starve each other on a busy machine.
    options.environment["OMP_WAIT_POLICY"] = "passive";
  }
  options.on_rank0_lost = [&run](const train::JobEnd& end) {
    close_record(run.folder, "The training was lost: " + end.reason + ".", end.code);
  };
  const train::JobEnd end = train::supervise(options);
  if (!run.goes_on && !std::filesystem::exists(run.folder / storage::kRunFile)) {
    // Refused before it began: rank 0 has said why, and there is nothing to list.
    std::error_code ignored;
    std::filesystem::remove_all(run.folder, ignored);
    return end.code;
  }
  if (!end.reason.empty() && (end.rank0_lost || end.code == int(contract::ExitCode::kPeer))) {
    throw contract::Error(
        static_cast<contract::ExitCode>(end.code),
        "the training was lost: " + end.reason + " (logs in " + options.log_folder + ")");
  }
  return end.code;
}

int run_train(const TrainArguments& arguments) {
  const train::LaunchEnv env = train::launch_env();
  if (env.supervised) {
    return train_as_rank(arguments, read_spec(arguments.run_folder));
  }
  if (arguments.spec.empty() == arguments.resume.empty()) {
    throw contract::SpecError("train", "train takes a spec or a preset, or --resume RUN.");
  }
  return env.external ? train_in_job(arguments, env.rank == 0) : train_under_supervision(arguments);
}

}  // namespace

void add_train_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand("train", "Train a detector");
  const auto arguments = std::make_shared<TrainArguments>();
  TrainArguments& a = *arguments;
  a.library = storage::default_library();
  command->add_option("spec", a.spec, "Spec file or preset");
  command->add_option("--resume", a.resume, "Go on with a run from its newest checkpoint");
  command->add_option("--set", a.sets, "key=value, over the spec")->take_all()->expected(1);
  command->add_option("--library", a.library, "Folder of runs");
  command->add_option("--ranks", a.ranks, "Processes; over batch.ranks")
      ->check(CLI::Range(1, 65536));
  command->add_option("--device", a.device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  command->add_option("--run-folder", a.run_folder)->group("");
  command->add_option("--from", a.from)->group("");
  command->add_flag("--goes-on", a.goes_on)->group("");
  command->callback([arguments, &exit_code] { exit_code = run_train(*arguments); });
}

}  // namespace batchscope::app
