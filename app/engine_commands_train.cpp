#include "app/build_model.h"
#include "app/engine_commands.h"
#include "app/progress.h"
#include "app/rank_task.h"
#include "app/run_preparation.h"
#include "app/run_settings.h"
#include "app/state_check.h"
#include "engine/contract/error.h"
#include "engine/control/host_name.h"
#include "engine/distributed/group.h"
#include "engine/distributed/job_notes.h"
#include "engine/distributed/signals_held.h"
#include "engine/distributed/supervisor.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"

#include <cstdlib>
#include <iostream>
#include <memory>

namespace batchscope::app {
namespace {

constexpr const char* kRunFolderNote = "run folder";

/// A run that can start, with its lock.
struct LockedRun {
  PreparedRun run;
  storage::RunLock lock;
};

/// Sentences about what was damaged, for stderr and the event.
std::string passed_over(const PreparedRun& run) {
  return run.passed_over_spec + (run.passed_over_spec.empty() ? "" : " ") + run.passed_over;
}

LockedRun prepare(const TrainArguments& arguments) {
  if (arguments.resume.empty()) {
    PreparedRun run = prepare_new_run(arguments);
    storage::RunLock lock(run.folder);
    return {std::move(run), std::move(lock)};
  }
  PreparedRun run = find_resume(arguments);
  storage::RunLock lock(run.folder);
  prepare_resume(run, arguments, state_problem);
  if (const std::string said = passed_over(run); !said.empty()) {
    std::cerr << "warning: " << said << "\n";
  }
  return {std::move(run), std::move(lock)};
}

void announce(const PreparedRun& run) {
  std::cout << "run " << run.id << " " << run.folder.string() << std::endl;
}

/// A new run that an earlier attempt of this job began goes on; why, for its event.
std::string go_on_in_this_attempt(TrainArguments& arguments,
                                  const train::LaunchEnv& env,
                                  const train::JobNotes& notes) {
  const auto folder =
      env.attempt > 0 && arguments.resume.empty() ? notes.find(kRunFolderNote) : std::nullopt;
  if (!folder) {
    return "";
  }
  if (!std::filesystem::exists(*folder)) {
    throw contract::StorageError("Attempt " + std::to_string(env.attempt) +
                                 " of this job goes on with '" + *folder + "', which " +
                                 train::host_name() +
                                 " does not have: put the library (--library) where every node "
                                 "that may become rank 0 reaches it.");
  }
  arguments.spec.clear();
  arguments.resume = *folder;
  arguments.sets.clear();  // they are in the run by now
  return "Started again by torchrun (attempt " + std::to_string(env.attempt) + ").";
}

/// The ranks have met on a device before the run is known.
void check_device(const TrainArguments& arguments, const PreparedRun& run) {
  if (arguments.device != "auto" || !run.goes_on) {
    return;
  }
  const std::string had = device_kind(storage::RunReader(run.folder).info().device);
  const std::string has = device_of("auto", 0).is_cuda() ? "cuda" : "cpu";
  if (had != has) {
    throw contract::SpecError("--device",
                              "Run " + run.id + " was trained on " + had + ", these ranks have " +
                                  has + ": say --device " + had + " or --device " + has + ".");
  }
}

/// A rank that torchrun or Slurm started: rank 0 alone reads and writes the run's folder, and tells
/// the others what they train.
int train_in_job(const TrainArguments& arguments, const train::LaunchEnv& env) {
  return train_as_rank(arguments, [&](train::Group& group) {
    RankTask task;
    std::string failure;
    if (group.rank() == 0) {
      try {
        TrainArguments own = arguments;
        own.ranks = env.world;
        train::JobNotes notes(env);
        const std::string earlier = go_on_in_this_attempt(own, env, notes);
        LockedRun locked = prepare(own);
        notes.keep(kRunFolderNote, locked.run.folder.string());
        announce(locked.run);
        check_device(own, locked.run);
        task.spec = locked.run.spec;
        task.folder = locked.run.folder;
        task.from = locked.run.from;
        task.goes_on = locked.run.goes_on;
        task.sets = own.sets;
        const std::string damaged = passed_over(locked.run);
        task.because = earlier + (earlier.empty() || damaged.empty() ? "" : " ") + damaged;
        task.lock.emplace(std::move(locked.lock));
      } catch (const contract::Error& error) {
        failure = error.what();
        task.refusal = static_cast<int>(error.code());
      }
    }
    return share_task(group, std::move(task), failure);
  });
}

/// A run that goes on stays on the kind of device that it had: another one has other bits.
std::string device_for(const TrainArguments& arguments, const PreparedRun& run) {
  if (arguments.device != "auto" || !run.goes_on) {
    return arguments.device;
  }
  std::string had = device_kind(storage::RunReader(run.folder).info().device);
  if (had == "cuda" && !device_of("auto", 0).is_cuda()) {
    throw contract::SpecError(
        "--device",
        "Run " + run.id +
            " was trained on cuda, which this engine or "
            "machine does not have: --device cpu goes on with it on the CPU.");
  }
  return had;
}

/// The arguments of every rank of a prepared run.
std::vector<std::string> rank_arguments(const TrainArguments& arguments,
                                        const PreparedRun& run,
                                        const std::string& because) {
  std::vector<std::string> list = {
      "train", "--run-folder", run.folder.string(), "--device", device_for(arguments, run)};
  if (run.goes_on) {
    list.emplace_back("--goes-on");
    for (const std::string& set : arguments.sets) {
      list.insert(list.end(), {"--set", set});
    }
  }
  if (!run.from.empty()) {
    list.insert(list.end(), {"--from", run.from.string()});
  }
  if (!because.empty()) {
    list.insert(list.end(), {"--because", because});
  }
  return list;
}

/// What is left of a run that was refused or killed before it had a record: nothing, unless a
/// rank's log says more than was said already.
int never_began(const PreparedRun& run, const train::JobEnd& end) {
  std::error_code ignored;
  const bool stopped = end.code == int(contract::ExitCode::kInterrupted);
  const bool said = end.culprit <= 0 && end.ranks.front().signal == 0;  // rank 0 writes to us
  if (said || stopped) {
    std::filesystem::remove_all(run.folder, ignored);
  }
  if (stopped) {
    throw contract::Error(contract::ExitCode::kInterrupted,
                          "stopped before the first update: nothing is recorded");
  }
  if (said) {
    return end.code;
  }
  throw contract::Error(static_cast<contract::ExitCode>(end.code),
                        "the training did not begin: " + end.reason + " (logs in " +
                            (run.folder / storage::kLogFolder).string() + ")");
}

std::string again(std::int64_t number, std::int64_t most, const train::JobEnd& end) {
  return "Started again (" + std::to_string(number) + " of " + std::to_string(most) + ") after " +
         end.reason + ".";
}

int train_under_supervision(const TrainArguments& arguments) {
  // Held to the very end: what comes while it prepares is heard when ranks run, and what comes when
  // all is over changes nothing.
  [[maybe_unused]] static const auto* const signals = new train::SignalsHeld;
  LockedRun locked = prepare(arguments);
  PreparedRun& run = locked.run;
  announce(run);
  train::SupervisorOptions options;
  options.arguments = rank_arguments(arguments, run, passed_over(run));
  options.ranks = run.spec.batch.ranks;
  options.log_folder = (run.folder / storage::kLogFolder).string();
  options.show_rank0 = true;
  options.lock_fd = locked.lock.fd();
  if (std::getenv("OMP_WAIT_POLICY") == nullptr) {
    // Threads that spin at the end of every operator starve each other on a busy machine.
    options.environment["OMP_WAIT_POLICY"] = "passive";
  }
  options.on_rank0_lost = [&run](const train::JobEnd& end) {
    close_record(run.folder, "The training was lost: " + end.reason + ".", end.code);
  };
  options.timeout = static_cast<double>(run.spec.distributed.timeout);
  options.on_stuck = [](const train::StuckNews& news) {
    Progress::clear();
    std::cerr << (news.over ? "" : "warning: ") + news.text + "\n" << std::flush;
  };
  options.restarts = arguments.max_restarts;
  std::int64_t started_again = 0;
  options.restart_arguments =
      [&](const train::JobEnd& end) -> std::optional<std::vector<std::string>> {
    if (!storage::has_record(run.folder)) {
      return std::nullopt;
    }
    TrainArguments next = arguments;
    next.sets.clear();  // they are in the record by now
    run.from.clear();
    prepare_resume(run, next, state_problem);
    const std::string because = again(++started_again, arguments.max_restarts, end);
    std::cerr << because << "\n";
    return rank_arguments(next, run, because);
  };
  const train::JobEnd end = train::supervise(options);
  if (!storage::has_record(run.folder)) {
    return never_began(run, end);
  }
  const bool told = end.reason.empty() || (end.culprit == 0 && !end.rank0_lost &&
                                           end.code != int(contract::ExitCode::kPeer));
  if (!told) {
    if (!end.rank0_lost) {
      add_cause(run.folder, "The cause: " + end.reason + ".", end.code);
    }
    throw contract::Error(
        static_cast<contract::ExitCode>(end.code),
        "the training was lost: " + end.reason + " (logs in " + options.log_folder + ")");
  }
  return end.code;
}

int run_train(const TrainArguments& arguments) {
  const train::LaunchEnv env = train::launch_env();
  if (env.supervised) {
    return train_as_rank(arguments, [&](train::Group&) {
      return RankTask{read_spec(arguments.run_folder),
                      arguments.run_folder,
                      arguments.from,
                      arguments.goes_on,
                      arguments.sets,
                      arguments.because,
                      std::nullopt};
    });
  }
  if (arguments.spec.empty() == arguments.resume.empty()) {
    throw contract::SpecError("train", "train takes a spec or a preset, or --resume RUN.");
  }
  return env.external ? train_in_job(arguments, env) : train_under_supervision(arguments);
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
  command
      ->add_option(
          "--device", a.device, "auto (as the run had, or cuda where there is one), cpu or cuda")
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}));
  command
      ->add_option("--max-restarts",
                   a.max_restarts,
                   "Times that a training that lost a rank is started again from its newest "
                   "checkpoint")
      ->check(CLI::Range(0, 1000000));
  command->add_option("--run-folder", a.run_folder)->group("");
  command->add_option("--because", a.because)->group("");
  command->add_option("--from", a.from)->group("");
  command->add_flag("--goes-on", a.goes_on)->group("");
  command->callback([arguments, &exit_code] { exit_code = run_train(*arguments); });
}

}  // namespace batchscope::app
