#include "app/runs_commands.h"

#include "app/run_report.h"
#include "app/run_watch.h"
#include "app/terminal_text.h"
#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"
#include "storage/csv_export.h"
#include "storage/run_bundle.h"
#include "storage/run_check.h"
#include "storage/run_files.h"
#include "storage/run_removal.h"
#include "storage/state_files.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <unistd.h>
#include <utility>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

/// What the subcommands have in common; each has its own copy.
struct RunsArguments {
  std::string run, other, out, format = "csv";
  fs::path library = storage::default_library();
  bool json = false;
  WatchOptions watch;
};

std::string dumped(const nlohmann::json& value) {
  return printable_json(value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

fs::path found(const RunsArguments& arguments) {
  return storage::find_run(arguments.library, arguments.run);
}

void list(const RunsArguments& arguments, std::ostream& out) {
  const std::vector<storage::RunSummary> runs = storage::list_runs(arguments.library);
  if (!arguments.json) {
    out << run_table(runs);
    return;
  }
  nlohmann::json array = nlohmann::json::array();
  for (const storage::RunSummary& run : runs) {
    array.push_back(run_json(run));
  }
  out << dumped(array);
}

void show(const RunsArguments& arguments, std::ostream& out) {
  const fs::path path = found(arguments);
  storage::RunReader reader(path);
  const storage::RunSummary run = storage::summarise(path);
  out << (arguments.json ? dumped(run_json(run, reader)) : run_text(run, reader));
}

void watch(const RunsArguments& arguments, std::ostream& out) {
  watch_run(found(arguments), arguments.watch, ::isatty(STDOUT_FILENO) == 1, out);
}

void export_run(const RunsArguments& arguments, std::ostream& out) {
  const fs::path path = found(arguments);
  if (arguments.format == "bscope") {
    storage::export_bundle(path, arguments.out);
    out << printable(arguments.out) << "\n";
    return;
  }
  storage::RunReader reader(path);
  const std::int64_t rows = storage::export_csv(reader, arguments.out);
  out << printable(arguments.out) << ": " << rows << " rows\n";
}

/// The states that the record names, and those that it does not. Returns the problems.
std::vector<std::string> check_states(const fs::path& folder,
                                      const StateCheck& problem_of,
                                      std::ostream& out) {
  storage::StateFiles states = storage::compare_states(folder);
  for (const contract::CheckpointRecord& record : states.there) {
    if (const std::string problem = problem_of ? problem_of(folder / record.file) : "";
        !problem.empty()) {
      states.problems.push_back(problem);
    }
  }
  for (const fs::path& orphan : states.orphans) {
    out << "not in the record: " << printable(orphan.string()) << "\n";
  }
  if (states.problems.empty()) {
    out << "checkpoints: " << states.there.size() << " whole, " << states.orphans.size()
        << " not in the record\n";
  }
  return std::move(states.problems);
}

void check(const RunsArguments& arguments, const StateCheck& problem_of, std::ostream& out) {
  const fs::path path = found(arguments);
  const storage::CheckResult result = storage::check_run(path);
  std::vector<std::string> problems = result.problems;
  if (problems.empty()) {
    out << "whole: " << result.rows << " rows, " << result.samples << " samples\n";
  }
  if (const fs::path folder = storage::folder_of_run(path); !folder.empty()) {
    try {
      const std::vector<std::string> more = check_states(folder, problem_of, out);
      problems.insert(problems.end(), more.begin(), more.end());
    } catch (const contract::StorageError& error) {
      problems.emplace_back(error.what());
    }
  }
  for (const std::string& problem : problems) {
    out << printable(problem) << "\n";
  }
  if (!problems.empty()) {
    throw contract::StorageError("run '" + path.string() +
                                 "' is damaged: " + std::to_string(problems.size()) +
                                 " problems, " + std::to_string(result.rows) + " rows readable");
  }
}

void remove(const RunsArguments& arguments, std::ostream& out) {
  const fs::path path = found(arguments);
  const std::vector<fs::path> left = storage::remove_run(path);
  out << "removed " << printable(path.string()) << "\n";
  for (const fs::path& other : left) {
    out << "not of the run, and still there: " << printable(other.string()) << "\n";
  }
}

void import_run(const RunsArguments& arguments, std::ostream& out) {
  out << printable(storage::import_bundle(arguments.run, arguments.library).string()) << "\n";
}

void diff(const RunsArguments& arguments, std::ostream& out) {
  const auto spec_of = [&arguments](const std::string& reference) {
    const fs::path path = storage::find_run(arguments.library, reference);
    return contract::parse_spec(storage::RunReader(path).info().spec_toml);
  };
  const auto differences = contract::diff_specs(spec_of(arguments.run), spec_of(arguments.other));
  if (!arguments.json) {
    for (const contract::SpecDifference& one : differences) {
      out << fitted(one.key, 30) << fitted(one.a, 24) << printable(one.b) << "\n";
    }
    return;
  }
  nlohmann::json array = nlohmann::json::array();
  for (const contract::SpecDifference& one : differences) {
    array.push_back({{"key", one.key}, {"a", one.a}, {"b", one.b}});
  }
  out << dumped(array);
}

using Action = std::function<void(const RunsArguments&, std::ostream&)>;

struct Subcommand {
  CLI::App* app;
  std::shared_ptr<RunsArguments> arguments;
};

Subcommand add(CLI::App& runs,
               const std::string& name,
               const std::string& help,
               std::ostream& out,
               Action action) {
  const auto arguments = std::make_shared<RunsArguments>();
  CLI::App* command = runs.add_subcommand(name, help);
  command->add_option("--library", arguments->library, "folder of all runs");
  command->callback([arguments, &out, action = std::move(action)] { action(*arguments, out); });
  return {command, arguments};
}

void want_run(const Subcommand& command) {
  command.app
      ->add_option("run", command.arguments->run, "id, unique prefix of one, unique name or folder")
      ->required();
}

}  // namespace

CLI::App* add_runs_commands(CLI::App& app, std::ostream& out, StateCheck problem_of) {
  CLI::App* runs = app.add_subcommand("runs", "the runs of a library");
  runs->require_subcommand(1);

  const Subcommand listed = add(*runs, "list", "all runs, newest first", out, list);
  listed.app->add_flag("--json", listed.arguments->json, "an array of objects");

  const Subcommand shown = add(*runs, "show", "one run", out, show);
  want_run(shown);
  shown.app->add_flag("--json", shown.arguments->json, "one object");

  const Subcommand watched = add(*runs, "watch", "follow a run in the terminal", out, watch);
  want_run(watched);
  watched.app->add_flag("--once", watched.arguments->watch.once, "one frame, then end");
  watched.app
      ->add_option("--interval",
                   watched.arguments->watch.plain_seconds,
                   "seconds between lines when the output is not a terminal")
      ->check(CLI::Range(0.05, 3600.0));

  const Subcommand exported = add(*runs, "export", "write a run to one file", out, export_run);
  want_run(exported);
  exported.app->add_option("--format", exported.arguments->format, "csv or bscope")
      ->check(CLI::IsMember({"csv", "bscope"}));
  exported.app->add_option("--out", exported.arguments->out, "file to write")->required();

  want_run(
      add(*runs,
          "check",
          "are the run file and the saved states whole?",
          out,
          [problem_of = std::move(problem_of)](const RunsArguments& arguments, std::ostream& to) {
            check(arguments, problem_of, to);
          }));
  want_run(add(*runs, "rm", "remove a run that is over, with its checkpoints", out, remove));

  const Subcommand imported =
      add(*runs, "import", "copy a .bscope into the library", out, import_run);
  imported.app->add_option("file", imported.arguments->run, "the .bscope file")->required();

  const Subcommand compared = add(*runs, "diff", "settings in which two runs differ", out, diff);
  want_run(compared);
  compared.app->add_option("other", compared.arguments->other, "the other run")->required();
  compared.app->add_flag("--json", compared.arguments->json, "an array of objects");
  return runs;
}

}  // namespace batchscope::app
