#include "app/build_model.h"
#include "app/engine_commands.h"
#include "app/fork_point.h"
#include "app/launcher_error.h"
#include "app/live_port.h"
#include "app/progress.h"
#include "app/rank_task.h"
#include "app/run_fork.h"
#include "app/sqlite_sink.h"
#include "app/start_check.h"
#include "engine/contract/error.h"
#include "engine/control/host_name.h"
#include "engine/distributed/activity_watch.h"
#include "engine/distributed/group.h"
#include "engine/distributed/rank_watch.h"
#include "engine/train/trainer.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/cuda.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>
#include <unistd.h>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

train::StopRequest stop_request() {
  return {train::stop_requests(),
          train::supervisor_gone() ? "its supervisor is gone" : "it was interrupted"};
}

void say(const std::string& line) {
  Progress::clear();
  std::cerr << line + "\n" << std::flush;
}

/// What rank 0 holds beside its trainer. Made and destroyed in this order.
struct RankZero {
  RankZero(const fs::path& folder, const std::string& id)
      : folder_(folder),
        server(train::control_socket_path(id), kEngineVersion),
        port(server),
        sink(folder,
             {.committed = [this](std::int64_t seq) { port.set_committed(seq); },
              .trouble = [this](const std::string& sentence) { port.set_trouble(sentence); },
              .say = say},
             {.idle_seconds = [] { return train::own_activity().seconds; }}) {
    const nlohmann::json control = {{"socket", server.path()},
                                    {"pid", ::getpid()},
                                    {"host", train::host_name()},
                                    {"protocol", contract::kProtocolVersion}};
    train::write_bytes_durably(folder / storage::kControlFile, control.dump() + "\n");
  }
  ~RankZero() {
    std::error_code ignored;
    fs::remove(folder_ / storage::kControlFile, ignored);
  }

  /// Ranks that are stuck, or go on: into the record and to all who listen.
  void tell(const train::StuckNews& news) {
    sink.note(news.over ? "unstuck" : "stuck", news.text);
    sink.status(port.set_stuck(news.over ? "" : news.text));
  }

  fs::path folder_;
  train::ControlServer server;
  LivePort port;
  SqliteSink sink;
};

/// Numbers that continue the record of a run, from its file.
void continue_numbers(train::ResumePoint& point, const fs::path& folder) {
  storage::RunReader reader(folder);
  point.next_seq = reader.last_seq() + 1;
  if (const auto evals = reader.evals(0); !evals.empty()) {
    point.evaluated_step = evals.back().record.step;
  }
  storage::RowAxis newest;
  reader.read_axis(point.next_seq - 2, newest);
  point.recorded_step = newest.step.empty() ? 0 : newest.step.back();
  for (const contract::SegmentRecord& segment : reader.segments()) {
    point.next_segment = std::max(point.next_segment, segment.segment + 1);
  }
}

train::ResumePoint resume_point(const RankTask& task, bool leads) {
  train::ResumePoint point;
  point.checkpoint = task.from;
  if (leads) {
    continue_numbers(point, task.folder);
  }
  point.text = task.because + (task.because.empty() ? "" : " ") +
               (task.from.empty() ? "No checkpoint to go on from: begins again at the first step."
                                  : "Goes on from " + task.from.filename().string() + ".");
  return point;
}

/// The group of all ranks, once they have met; a request to stop is heard meanwhile.
std::shared_ptr<train::Group> meet(const train::LaunchEnv& env,
                                   const torch::Device& device,
                                   std::int64_t timeout) {
  const train::StoppableStart stoppable;
  return train::Group::create(env, device, std::chrono::seconds(timeout));
}

/// What runs on "the current device" is this rank's own, not everyone's first.
void use_device(const torch::Device& device) {
  if (device.is_cuda()) {
    c10::impl::VirtualGuardImpl(c10::kCUDA).setDevice(device);
  }
}

/// Said by the first rank of a machine.
std::string shared_devices(const torch::Device& device, const train::LaunchEnv& env) {
  const auto there = device.is_cuda() ? static_cast<std::int64_t>(torch::cuda::device_count()) : 0;
  if (there == 0 || env.local_rank != 0 || env.local_world <= there) {
    return "";
  }
  return std::to_string(env.local_world) + " ranks of " + train::host_name() + " share " +
         std::to_string(there) + (there == 1 ? " GPU." : " GPUs.");
}

/// Of a run that begins: how long one that goes on will be is said by its state.
std::vector<std::string> plan_warnings_of(const RankTask& task, std::int64_t pictures) {
  return task.goes_on ? std::vector<std::string>()
                      : contract::plan_warnings(task.spec, contract::resolve(task.spec, pictures));
}

contract::RunInfo run_info(const std::string& id, const torch::Device& device) {
  contract::RunInfo info;
  info.id = id;
  info.engine_version = kEngineVersion;
  info.host = train::host_name();
  info.device = device.str();
  return info;
}

/// Our supervisor sees all ranks and says who is stuck; in a job of others rank 0 does.
std::unique_ptr<train::ActivityWatch> watch_activities(const train::LaunchEnv& env,
                                                       train::Group& group,
                                                       std::int64_t timeout,
                                                       RankZero* zero) {
  if (env.supervised && zero == nullptr) {
    return nullptr;
  }
  const auto tell = [zero, external = env.external](const train::StuckNews& news) {
    zero->tell(news);
    if (external) {
      say((news.over ? "" : "warning: ") + news.text);
    }
  };
  return std::make_unique<train::ActivityWatch>(
      env.supervised ? train::activities_here : group.activities(),
      static_cast<double>(timeout),
      zero != nullptr ? tell : std::function<void(const train::StuckNews&)>());
}

}  // namespace

int train_as_rank(const TrainArguments& arguments,
                  const std::function<RankTask(train::Group&)>& task_of) {
  const train::LaunchEnv env = train::launch_env();
  train::watch_rank(env);
  const torch::Device device = device_of(arguments.device, env.local_rank);
  use_device(device);
  const bool leads = env.rank == 0;
  const std::int64_t meeting = contract::RunSpec{}.distributed.timeout;
  const auto group = meet(env, device, meeting);
  RankTask task = task_of(*group);
  const contract::RunSpec& spec = task.spec;
  group->set_timeout(std::chrono::seconds(spec.distributed.timeout));

  train::TrainerSetup setup;
  setup.spec = spec;
  setup.folder = task.folder;
  setup.device = device;
  setup.local_ranks = env.local_world;
  setup.group = group;
  StartData data = open_data(spec, leads);
  setup.training_set = data.training;
  setup.validation_set = data.validation;
  setup.data_warnings = std::move(data.warnings);
  if (const std::string shared = shared_devices(device, env); !shared.empty()) {
    setup.data_warnings.push_back(shared);
  }
  if (leads) {
    for (std::string& warning : plan_warnings_of(task, setup.training_set->size())) {
      setup.data_warnings.push_back(std::move(warning));
    }
  }
  for (const std::string& warning : setup.data_warnings) {
    std::cerr << "warning: " << warning << "\n";
  }
  const std::optional<ForkNote> note = read_fork_note(task.folder);
  contract::RunSpec of_model = spec;
  if (note && !note->rerun) {
    of_model.run.seed = note->seed;  // the parent's weights, also where they were never saved
  }
  const ClassCounts classes = class_counts(*setup.training_set);
  const bool has_state = !task.from.empty() || (note && !note->state.empty());
  const StartModel start = has_state ? StartModel{build_model(of_model, classes), std::nullopt}
                                     : start_model(of_model, classes);
  setup.model = start.model;
  if (start.loaded && leads) {
    setup.loaded = start.loaded;
    std::cerr << "Weights: " << start.loaded->summary() << "\n" << start.loaded->table();
  }
  setup.interrupted = stop_request;
  const std::string id = task.folder.filename().string();
  setup.info = run_info(id, device);
  if (task.goes_on) {
    setup.resume = resume_point(task, leads);
    setup.first_commands = commands_for(task.sets);
  } else if (note && !note->rerun) {
    setup.resume = fork_point(*note);
    setup.first_commands = commands_for(note->sets);
  }
  if (note) {
    setup.info.parent_run = note->parent;
    setup.info.parent_step = note->step;
  }
  std::optional<storage::RunLock> lock = std::move(task.lock);
  std::unique_ptr<RankZero> zero;
  if (leads) {
    if (!lock && env.lock_fd >= 0) {
      lock.emplace(storage::RunLock::adopt(env.lock_fd));
    } else if (!lock) {
      lock.emplace(task.folder);
    }
    zero = std::make_unique<RankZero>(task.folder, id);
    setup.sink = &zero->sink;
    setup.port = &zero->port;
    setup.progress = [bar = Progress()](const contract::StatusReport& status, double loss) mutable {
      bar.show(status, loss);
    };
  }
  const auto watch = watch_activities(env, *group, spec.distributed.timeout, zero.get());
  train::Trainer trainer(std::move(setup));
  const train::Outcome outcome = trainer.run();
  if (outcome.code != contract::ExitCode::kDone) {
    tell_launcher(outcome.sentence);
  }
  if (leads) {
    if (note && !note->state.empty()) {
      std::error_code ignored;
      fs::remove(note->state, ignored);  // it has states of its own now
    }
    Progress::clear();
    std::cerr << outcome.sentence << "\n";
    if (const std::string failure = zero->sink.failure(); !failure.empty()) {
      throw contract::StorageError(failure);
    }
  }
  return static_cast<int>(outcome.code);
}

}  // namespace batchscope::app
