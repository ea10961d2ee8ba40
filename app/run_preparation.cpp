#include "app/run_preparation.h"

#include "app/run_fork.h"
#include "app/run_settings.h"
#include "app/weights_eps.h"
#include "engine/contract/error.h"
#include "engine/contract/spec_settings.h"
#include "storage/catalogue.h"
#include "storage/lineage.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"
#include "storage/run_writer.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

/// Whole and on the disk, or as it was.
void write_spec(const fs::path& folder, const contract::RunSpec& spec) {
  storage::ReplacingFile file(folder / storage::kSpecFile);
  file.write(contract::to_toml(spec));
  file.commit();
}

std::string default_name(const contract::RunSpec& spec) {
  return spec.model.name + ", " + spec.optim.name + (spec.optim.agvm.enabled ? " + agvm" : "") +
         ", batch " + std::to_string(spec.batch.effective());
}

/// Checkpoints of the live line, newest first: those on record, and those that the record never
/// learned of or lost.
std::vector<std::string> checkpoints_of(const fs::path& folder) {
  storage::RunReader reader(folder);
  const auto segments = reader.segments();
  const auto spans = storage::lineage(segments);
  const auto live = [&](std::int64_t segment, std::int64_t step) {
    // The state at a segment's start belongs to it before its first row.
    const bool begins =
        std::any_of(spans.begin(), spans.end(), [&](const storage::LineageSpan& span) {
          return span.segment == segment && span.first_step - 1 == step;
        });
    return begins || storage::on_lineage(spans, segment, step);
  };
  // By step and segment, the newest first.
  std::map<std::pair<std::int64_t, std::int64_t>, std::string, std::greater<>> found;
  const auto add = [&](std::int64_t segment, std::int64_t step, const std::string& file) {
    if (file ==
            std::string(storage::kCheckpointFolder) + "/" + fs::path(file).filename().string() &&
        live(segment, step) && fs::exists(folder / file)) {
      found[{step, segment}] = file;
    }
  };
  std::set<std::string> known;
  for (const contract::CheckpointRecord& checkpoint : reader.checkpoints()) {
    known.insert(checkpoint.file);
    if (checkpoint.kind == "checkpoint") {
      add(checkpoint.segment, checkpoint.step, checkpoint.file);
    }
  }
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder / storage::kCheckpointFolder, none)) {
    const std::string name = entry.path().filename().string();
    long long step = 0, segment = 0;
    int read = 0;  // what is half written has another ending
    const int found_numbers =
        std::sscanf(name.c_str(), "step-%lld-segment-%lld.ckpt%n", &step, &segment, &read);
    if (found_numbers == 2 && read == static_cast<int>(name.size()) &&
        !known.contains(std::string(storage::kCheckpointFolder) + "/" + name)) {
      add(segment, step, std::string(storage::kCheckpointFolder) + "/" + name);
    }
  }
  std::vector<std::string> newest_first;
  newest_first.reserve(found.size());
  for (const auto& [place, file] : found) {
    newest_first.push_back(file);
  }
  return newest_first;
}

/// Takes the newest checkpoint that is whole, and says which were passed over.
void choose_checkpoint(PreparedRun& run, const StateProblem& problem_of) {
  std::string damaged;
  for (const std::string& file : checkpoints_of(run.folder)) {
    const std::string problem = problem_of(run.folder / file);
    if (problem.empty()) {
      run.from = run.folder / file;
      run.passed_over = damaged;
      return;
    }
    damaged += (damaged.empty() ? "" : " ") + problem;
  }
  if (!damaged.empty()) {
    throw contract::DataError("No checkpoint of run " + run.id + " can be gone on from. " +
                              damaged);
  }
}

/// The spec of a run: its file, which a person may edit, unless it is not of this run's training:
/// the record knows what was trained.
contract::RunSpec stored_spec(PreparedRun& run) {
  if (!run.goes_on) {
    return read_spec(run.folder);
  }
  contract::RunSpec recorded =
      contract::parse_spec(storage::RunReader(run.folder).info().spec_toml);
  std::string why;
  try {
    contract::RunSpec file = read_spec(run.folder);
    // What a resume may change, and where the data lies, is the file's.
    contract::RunSpec same = contract::with_settings_of(recorded, file);
    same.batch = file.batch;
    if (contract::to_toml(same) == contract::to_toml(file)) {
      return file;
    }
    why = "is not what the record was trained with";
  } catch (const contract::Error& error) {
    why = std::string("cannot be used (") + error.what() + ")";
  }
  run.passed_over_spec =
      "The spec.toml of run " + run.id + " " + why + ": the record's spec is taken.";
  return recorded;
}

/// A fork saves its state with its first record: without one it has no update of its own yet.
void begin_fork_again(PreparedRun& run) {
  if (storage::RunReader(run.folder).last_seq() > 0) {
    return;
  }
  const std::string file = (run.folder / storage::kRunFile).string();
  for (const char* suffix : {"", "-wal", "-shm"}) {
    std::error_code ignored;
    fs::remove(file + suffix, ignored);
  }
  run.goes_on = false;
}

/// Other ranks, the same effective batch where accumulation can make up for them.
void change_ranks(contract::BatchSection& batch, std::int64_t ranks) {
  const std::int64_t micros = batch.accumulation * batch.ranks;
  if (ranks > 0 && ranks != batch.ranks && micros % ranks == 0) {
    batch.accumulation = micros / ranks;
  }
  batch.ranks = ranks > 0 ? ranks : batch.ranks;
}

}  // namespace

contract::RunSpec read_spec(const fs::path& folder) {
  std::ifstream in(folder / storage::kSpecFile);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    throw contract::StorageError("Run " + folder.filename().string() + " has no spec.toml.");
  }
  return contract::parse_spec(text.str(), folder.string(), storage::kSpecFile);
}

PreparedRun make_run_folder(const fs::path& library, const contract::RunSpec& spec) {
  PreparedRun run;
  run.spec = spec;
  run.id = storage::new_run_id();
  run.folder = storage::run_folder(library, run.id);
  std::error_code error;
  fs::create_directories(run.folder / storage::kCheckpointFolder, error);
  fs::create_directories(run.folder / storage::kLogFolder, error);
  if (error) {
    throw contract::StorageError("Could not make " + run.folder.string() + ": " + error.message() +
                                 ".");
  }
  write_spec(run.folder, run.spec);
  return run;
}

PreparedRun prepare_new_run(const TrainArguments& arguments) {
  contract::RunSpec spec = contract::load_spec(arguments.spec);
  apply_sets(spec, arguments.sets);
  if (arguments.ranks > 0) {
    spec.batch.ranks = arguments.ranks;
  }
  contract::validate(spec);
  spec.model.norm_eps = weights_eps(spec.model);  // stored: later the weights may be elsewhere
  if (spec.run.name.empty()) {
    spec.run.name = default_name(spec);
  }
  return make_run_folder(arguments.library, spec);
}

PreparedRun find_resume(const TrainArguments& arguments) {
  PreparedRun run;
  run.folder = fs::absolute(storage::find_run(arguments.library, arguments.resume));
  run.id = run.folder.filename().string();
  if (!fs::is_directory(run.folder)) {
    throw contract::SpecError("--resume",
                              arguments.resume +
                                  " is a single file: only a run with its folder, "
                                  "where the checkpoints are, can go on.");
  }
  return run;
}

void prepare_resume(PreparedRun& run,
                    const TrainArguments& arguments,
                    const StateProblem& problem_of) {
  run.goes_on = storage::has_record(run.folder);
  run.spec = stored_spec(run);
  std::vector<std::string> kept;
  for (const std::string& text : arguments.sets) {
    const std::string key = text.substr(0, text.find('='));
    if (kept_in_spec(key)) {
      kept.push_back(text);
    } else if (!changed_by_command(key)) {
      throw contract::SpecError(
          key, key + " cannot change in a run that goes on: fork it, or start a new one.");
    }
  }
  apply_sets(run.spec, kept);
  change_ranks(run.spec.batch, arguments.ranks);
  contract::validate(run.spec);
  if (run.goes_on) {
    choose_checkpoint(run, problem_of);
  }
  write_spec(run.folder, run.spec);
  if (run.goes_on && run.from.empty() && fs::exists(run.folder / kForkFile)) {
    begin_fork_again(run);
  }
}

namespace {

void write_end(const fs::path& folder,
               const std::string& sentence,
               int exit_code,
               bool also_where_closed) {
  if (!storage::has_record(folder)) {
    return;
  }
  storage::StoredState stored;
  contract::EventRecord event;
  {
    storage::RunReader reader(folder);
    stored = reader.state();
    if (stored.exit_code && !also_where_closed) {
      return;
    }
    // The last row says more than the last heartbeat.
    storage::RowAxis last;
    if (reader.read_axis(reader.last_seq() - 1, last) > 0 && !last.step.empty()) {
      stored.report.step = last.step.back();
      stored.report.images = last.images.back();
      event.segment = last.segment.back();
    }
  }
  storage::RunWriter writer(folder, {}, true);
  writer.status(stored.report);
  event.step = stored.report.step;
  event.seq = writer.last_seq();
  event.time = storage::now_utc();
  event.kind = "error";
  event.source = "supervisor";
  event.text = sentence;
  event.args = {{"exit", std::to_string(exit_code)}};
  writer.event(event);
  writer.finish(contract::RunState::kFailed, exit_code);
}

}  // namespace

void close_record(const fs::path& folder, const std::string& sentence, int exit_code) {
  write_end(folder, sentence, exit_code, false);
}

void add_cause(const fs::path& folder, const std::string& sentence, int exit_code) {
  write_end(folder, sentence, exit_code, true);
}

}  // namespace batchscope::app
