#include "app/engine_commands.h"
#include "app/json_output.h"
#include "app/run_control.h"
#include "app/run_fork.h"
#include "app/run_settings.h"
#include "app/run_start.h"
#include "engine/contract/error.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"
#include "storage/run_reader.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <iostream>
#include <memory>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

struct ForkArguments {
  std::string run, at = "now", name, device;
  fs::path library = storage::default_library();
  std::vector<std::string> sets, children;
  std::vector<std::int64_t> seeds;
  std::string state, lr_mapping, decay_mapping;
  double timeout = 60;
  bool no_start = false, start = false, at_once = false, json = false, without_changes = false;
};

RunOrigin origin_of(const ForkArguments& arguments, const fs::path& run) {
  if (arguments.at == "now" || arguments.at == "end") {
    return newest_origin(run, arguments.timeout);
  }
  std::int64_t step = -1;
  const char* end = arguments.at.data() + arguments.at.size();
  const auto [rest, error] = std::from_chars(arguments.at.data(), end, step);
  if (error != std::errc() || rest != end) {
    throw contract::SpecError("--at",
                              "--at takes a step or \"now\", found \"" + arguments.at + "\".");
  }
  return find_origin(run, step);
}

/// Every child asked for: each group of settings with each seed.
std::vector<ForkChild> children_of(const ForkArguments& arguments) {
  std::vector<std::string> common = arguments.sets;
  const auto word = [&](const char* key, const std::string& value) {
    if (!value.empty()) {
      common.push_back(std::string(key) + "=" + value);
    }
  };
  word("state", arguments.state);
  word("lr_mapping", arguments.lr_mapping);
  word("decay_mapping", arguments.decay_mapping);
  std::vector<std::string> groups = arguments.children;
  if (groups.empty()) {
    groups.emplace_back();
  }
  std::vector<ForkChild> children;
  for (const std::string& group : groups) {
    ForkChild child;
    child.sets = common;
    const std::vector<std::string> own = split_sets(group);
    child.sets.insert(child.sets.end(), own.begin(), own.end());
    const bool only = groups.size() == 1 && arguments.seeds.size() < 2;
    (only ? child.name : child.family) = arguments.name;
    if (arguments.seeds.empty()) {
      children.push_back(child);
    }
    for (const std::int64_t seed : arguments.seeds) {
      child.seed = seed;
      children.push_back(child);
    }
  }
  return children;
}

void announce(const std::vector<PreparedRun>& runs, const RunOrigin* origin, bool as_json) {
  if (!as_json) {
    for (const PreparedRun& run : runs) {
      std::cout << "run " << run.id << " " << run.folder.string() << "\n";
    }
    std::cout << std::flush;
    return;
  }
  nlohmann::json array = nlohmann::json::array();
  for (const PreparedRun& run : runs) {
    nlohmann::json one = {{"id", run.id},
                          {"folder", run.folder.string()},
                          {"name", run.spec.run.name},
                          {"seed", run.spec.run.seed}};
    if (origin != nullptr) {
      one["parent"] = origin->info.id;
      one["parent_step"] = origin->step;
      one["executed_again"] = origin->step - origin->file_step;
    }
    array.push_back(one);
  }
  write_json(array, "");
}

std::string device_for(const ForkArguments& arguments, const contract::RunInfo& info) {
  if (!arguments.device.empty()) {
    return arguments.device;
  }
  return device_kind(info.device);
}

int start_all(const ForkArguments& arguments,
              const std::vector<PreparedRun>& runs,
              const contract::RunInfo& info) {
  if (arguments.no_start) {
    std::cerr << "Prepared, not started: batchscope-engine train --resume ID starts one.\n";
    return 0;
  }
  return train_prepared(runs, arguments.library, device_for(arguments, info), arguments.at_once);
}

int fork_run(const ForkArguments& arguments) {
  const fs::path run = storage::find_run(arguments.library, arguments.run);
  const std::vector<ForkChild> children = children_of(arguments);
  const RunOrigin origin = origin_of(arguments, run);
  std::vector<PreparedRun> runs;
  try {
    for (const ForkChild& child : children) {
      runs.push_back(prepare_fork(arguments.library, origin, child));
    }
  } catch (...) {
    // All of them or none: half a comparison is of no use.
    for (const PreparedRun& prepared : runs) {
      std::error_code ignored;
      fs::remove_all(prepared.folder, ignored);
    }
    throw;
  }
  announce(runs, &origin, arguments.json);
  const std::string from = origin.file.empty() ? "the first step" : origin.file;
  std::cerr << "From " << origin.info.name << " (" << origin.info.id << ") after update "
            << origin.step << ", " << from;
  if (origin.step > origin.file_step) {
    std::cerr << ": the " << origin.step - origin.file_step << " updates after step "
              << origin.file_step << " are executed again first";
  }
  std::cerr << ".\n";
  return start_all(arguments, runs, origin.info);
}

int rerun(const ForkArguments& arguments) {
  const fs::path run = storage::find_run(arguments.library, arguments.run);
  const contract::RunInfo info = storage::RunReader(run).info();
  const std::vector<PreparedRun> runs = {prepare_rerun(
      arguments.library, run, arguments.name, arguments.sets, !arguments.without_changes)};
  announce(runs, nullptr, arguments.json);
  if (!info.parent_run.empty() && info.parent_step > 0) {
    std::cerr << info.id << " is a fork of " << info.parent_run << " at step " << info.parent_step
              << ": its settings are trained from step 0 here.\n";
  }
  return start_all(arguments, runs, info);
}

CLI::App* add(CLI::App& runs,
              const std::string& name,
              const std::string& help,
              const std::shared_ptr<ForkArguments>& arguments) {
  CLI::App* command = runs.add_subcommand(name, help);
  ForkArguments& a = *arguments;
  command->add_option("run", a.run, "id, unique prefix of one, unique name or folder")->required();
  command->add_option("--set", a.sets, "key=value")->take_all()->expected(1);
  command->add_option(
      "--name", a.name, "name of the new run; of several, what their names begin with");
  command->add_option("--library", a.library, "folder of all runs");
  command->add_option("--device", a.device, "cpu or cuda; as the run had if not given")
      ->check(CLI::IsMember({"cpu", "cuda"}));
  CLI::Option* no_start = command->add_flag("--no-start", a.no_start, "prepare it, and end");
  command->add_flag("--start", a.start, "train it now and wait for the end (the default)")
      ->excludes(no_start);
  command->add_flag("--json", a.json, "an array of objects instead of lines \"run ID FOLDER\"");
  return command;
}

}  // namespace

void add_fork_commands(CLI::App& runs, int& exit_code) {
  const auto forked = std::make_shared<ForkArguments>();
  CLI::App* fork =
      add(runs, "fork", "new runs that go on from a step of another, with other settings", forked);
  ForkArguments& a = *forked;
  fork->add_option("--at", a.at, "step (updates completed), or now (default): the newest state");
  fork->add_option("--child",
                   a.children,
                   "settings of one child, key=value,key=value… (\"\": as it was); may be repeated")
      ->take_all()
      ->expected(1);
  fork->add_option("--seeds", a.seeds, "each child once with the coming pictures of each seed")
      ->delimiter(',');
  fork->add_option("--state", a.state, "carry, convert or reset");
  fork->add_option("--lr-mapping", a.lr_mapping, "match_update, target_now or rewarmup");
  fork->add_option("--decay-mapping", a.decay_mapping, "match, keep or target");
  fork->add_option("--timeout", a.timeout, "seconds to wait for a running run's checkpoint")
      ->check(CLI::PositiveNumber);
  fork->add_flag("--parallel", a.at_once, "train the children at once; else one after another");
  fork->callback([forked, &exit_code] { exit_code = fork_run(*forked); });

  const auto again = std::make_shared<ForkArguments>();
  CLI::App* command =
      add(runs, "rerun", "train a run's spec and live changes again from step 0", again);
  command->add_flag("--without-changes", again->without_changes, "leave its live changes out");
  command->callback([again, &exit_code] { exit_code = rerun(*again); });
}

}  // namespace batchscope::app
