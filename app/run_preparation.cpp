#include "app/run_preparation.h"

#include "app/run_fork.h"
#include "app/run_settings.h"
#include "app/weights_eps.h"
#include "engine/contract/error.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"
#include "storage/run_writer.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;

void write_spec(const fs::path& folder, const contract::RunSpec& spec) {
  const fs::path file = folder / storage::kSpecFile, beside = file.string() + ".part";
  std::ofstream out(beside);
  out << contract::to_toml(spec);
  out.close();
  std::error_code error;
  if (out) {
    fs::rename(beside, file, error);
  }
  if (!out || error) {
    throw contract::StorageError("Could not write " + file.string() + ".");
  }
}

std::string default_name(const contract::RunSpec& spec) {
  return spec.model.name + ", " + spec.optim.name + (spec.optim.agvm.enabled ? " + agvm" : "") +
         ", batch " + std::to_string(spec.batch.effective());
}

fs::path newest_checkpoint(const fs::path& folder) {
  if (!fs::exists(folder / storage::kRunFile)) {
    return {};
  }
  storage::RunReader reader(folder);
  const auto segments = reader.segments();
  const auto spans = storage::lineage(segments);
  const auto live = [&](const contract::CheckpointRecord& checkpoint) {
    // The state at a segment's start belongs to it before its first row.
    const bool begins =
        std::any_of(spans.begin(), spans.end(), [&](const storage::LineageSpan& span) {
          return span.segment == checkpoint.segment && span.first_step - 1 == checkpoint.step;
        });
    return begins || storage::on_lineage(spans, checkpoint.segment, checkpoint.step);
  };
  fs::path newest;
  std::int64_t step = -1;
  for (const contract::CheckpointRecord& checkpoint : reader.checkpoints()) {
    if (checkpoint.kind == "checkpoint" && checkpoint.step >= step && live(checkpoint) &&
        fs::exists(folder / checkpoint.file)) {
      step = checkpoint.step;
      newest = folder / checkpoint.file;
    }
  }
  return newest;
}

/// A fork saves its state with its first record: without one it has no update of its own yet.
void begin_fork_again(PreparedRun& run) {
  const storage::RunLock lock(run.folder);
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

PreparedRun prepare_resume(const TrainArguments& arguments) {
  PreparedRun run;
  run.folder = fs::absolute(storage::find_run(arguments.library, arguments.resume));
  run.id = run.folder.filename().string();
  run.goes_on = fs::exists(run.folder / storage::kRunFile);
  if (!fs::is_directory(run.folder)) {
    throw contract::SpecError("--resume",
                              arguments.resume +
                                  " is a single file: only a run with its folder, "
                                  "where the checkpoints are, can go on.");
  }
  run.spec = read_spec(run.folder);
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
  if (arguments.ranks > 0) {
    run.spec.batch.ranks = arguments.ranks;
  }
  contract::validate(run.spec);
  write_spec(run.folder, run.spec);
  run.from = newest_checkpoint(run.folder);
  if (run.goes_on && run.from.empty() && fs::exists(run.folder / kForkFile)) {
    begin_fork_again(run);
  }
  return run;
}

void close_record(const fs::path& folder, const std::string& sentence, int exit_code) {
  if (!fs::exists(folder / storage::kRunFile)) {
    return;
  }
  storage::StoredState stored;
  contract::EventRecord event;
  {
    storage::RunReader reader(folder);
    stored = reader.state();
    if (stored.exit_code) {
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

}  // namespace batchscope::app
