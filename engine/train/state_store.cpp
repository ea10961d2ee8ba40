#include "engine/train/state_store.h"

#include "engine/contract/error.h"
#include "engine/distributed/activity.h"

#include <algorithm>
#include <cstdio>
#include <thread>

namespace batchscope::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "checkpoints/";
constexpr const char* kCheckpoint = "step-";
constexpr const char* kRestore = "restore-";
constexpr const char* kEnding = ".ckpt";
constexpr const char* kUnfinished = ".part";
constexpr double kRetrySeconds = 10;                // between attempts while saving fails
constexpr std::chrono::seconds kRecordPatience{2};  // of a state, for the rows before it
constexpr int kTriesAtEnd = 4;
constexpr std::chrono::milliseconds kPauseAtEnd{500};

std::string padded(std::int64_t step) {
  char text[24];
  std::snprintf(text, sizeof text, "%08lld", static_cast<long long>(step));
  return text;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// One sentence if there is no memory for it.
std::string copy_live(StateFile& state) {
  try {
    state.copy_live();
    return "";
  } catch (const std::exception& error) {
    const std::string text = error.what();
    return "it could not be copied: " + text.substr(0, text.find('\n'));
  }
}

}  // namespace

StateStore::Written StateStore::write_when_stored(const fs::path& path,
                                                  StateFile state,
                                                  std::promise<void> copied,
                                                  const std::future<void>& stored) {
  const auto start = Clock::now();
  const std::string failure = copy_live(state);
  copied.set_value();
  if (!failure.empty()) {
    return {0, seconds_since(start), failure};
  }
  try {
    const std::int64_t bytes = write_state_durably(path, state, [&stored] {
      if (stored.valid()) {
        stored.wait_for(kRecordPatience);
      }
    });
    return {bytes, seconds_since(start), ""};
  } catch (const std::exception& error) {
    return {0, seconds_since(start), error.what()};
  }
}

StateStore::StateStore(fs::path folder, TrainingState& state, RunRecord& record, Snapshot snapshot)
    : folder_(std::move(folder)), state_(state), record_(record), snapshot_(std::move(snapshot)) {}

StateStore::~StateStore() = default;

bool StateStore::due() const {
  if (!stores() || !changed()) {
    return false;
  }
  const double since = seconds_since(last_try_);
  if (!trouble_.empty()) {
    return since >= kRetrySeconds;
  }
  const contract::CheckpointSection& c = state_.spec.checkpoint;
  const bool by_steps =
      c.every_steps > 0 && state_.step / c.every_steps > begun_step_ / c.every_steps;
  return state_.step > 0 && (by_steps || (c.every_minutes > 0 && since >= 60 * c.every_minutes));
}

void StateStore::start(const std::string& file, const char* kind) {
  const auto begin = Clock::now();
  last_try_ = begin;
  Pending next;
  next.record = {state_.segment, state_.step, file, kind, 0};
  next.version = version_;
  // A state should not be there before the rows that led to it; one that is needed at once may.
  const bool waits = next.record.kind == "checkpoint";
  std::promise<void> copied;
  next.copied = copied.get_future();
  next.written = std::async(std::launch::async,
                            write_when_stored,
                            folder_ / file,
                            snapshot_(),
                            std::move(copied),
                            waits ? record_.stored() : std::future<void>());
  pending_ = std::move(next);
  waited_ += seconds_since(begin);
}

void StateStore::begin_save() {
  if (!stores()) {
    return;
  }
  wait();
  begun_step_ = state_.step;
  const std::string file = std::string(kFolder) + kCheckpoint + padded(state_.step) + "-segment-" +
                           std::to_string(state_.segment) + kEnding;
  std::erase(state_.checkpoints, file);
  state_.checkpoints.push_back(file);
  start(file, "checkpoint");
}

void StateStore::before_change() {
  if (pending_ && pending_->copied.valid()) {
    const auto begin = Clock::now();
    pending_->copied.get();
    waited_ += seconds_since(begin);
  }
}

void StateStore::poll() {
  if (pending_ &&
      pending_->written.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
    settle();
  }
}

void StateStore::settle() {
  const During saving(Activity::kSaving);
  const auto begin = Clock::now();
  Pending done = std::move(*pending_);
  pending_.reset();
  const Written written = done.written.get();
  waited_ += seconds_since(begin);
  written_ += written.seconds;
  const std::string& file = done.record.file;
  if (!written.failure.empty()) {
    // An older file of this name, if there is one, is still whole.
    if (!fs::exists(folder_ / file)) {
      std::erase(state_.checkpoints, file);
    }
    if (trouble_.empty()) {
      record_.event(
          "warning",
          "engine",
          "The state of step " + std::to_string(done.record.step) +
              " was not saved, the one before is kept, it is tried again: " + written.failure,
          {{"step", std::to_string(done.record.step)}});
    }
    trouble_ = "The state was not saved at step " + std::to_string(done.record.step) + ": " +
               written.failure +
               (saved_step_ >= 0
                    ? " The newest saved state is of step " + std::to_string(saved_step_) + "."
                    : " No state is saved yet.");
    return;
  }
  if (!trouble_.empty()) {
    record_.event("saved",
                  "engine",
                  "States are saved again: step " + std::to_string(done.record.step) + ".");
    trouble_.clear();
  }
  done.record.bytes = written.bytes;
  record_.checkpoint(done.record);
  if (done.record.kind == "checkpoint") {
    saved_version_ = done.version;
    saved_step_ = done.record.step;
    prune_checkpoints();
  }
}

void StateStore::wait() {
  if (pending_) {
    settle();
  }
}

std::string StateStore::save() {
  if (!stores()) {
    return "";
  }
  begin_save();
  std::string file = pending_->record.file;
  settle();
  if (!trouble_.empty()) {
    throw contract::StorageError(trouble_);
  }
  return file;
}

bool StateStore::save_if_possible() {
  if (stores()) {
    begin_save();
    settle();
  }
  return trouble_.empty();
}

std::string StateStore::save_at_end() {
  wait();
  if (!stores() || !changed()) {
    return "";
  }
  for (int attempt = 1;; ++attempt) {
    begin_save();
    settle();
    if (trouble_.empty() || attempt == kTriesAtEnd) {
      return trouble_;
    }
    std::this_thread::sleep_for(kPauseAtEnd);
  }
}

void StateStore::save_restore_point(const std::string& change) {
  if (!stores()) {
    return;
  }
  wait();
  const std::string file = std::string(kFolder) + kRestore +
                           std::to_string(++state_.restore_serial) + "-step-" +
                           padded(state_.step) + kEnding;
  const auto last_try = last_try_;
  const std::string trouble = std::exchange(trouble_, "");
  start(file, "restore_point");
  last_try_ = last_try;
  const Written written = pending_->written.get();
  contract::CheckpointRecord record = pending_->record;
  pending_.reset();
  trouble_ = trouble;
  if (!written.failure.empty()) {
    throw contract::StorageError(written.failure);
  }
  record.bytes = written.bytes;
  record_.checkpoint(record);
  state_.restore_points.push_back({file, state_.segment, state_.step, change});
  record_.event(
      "restore_point", "engine", "Restore point before \"" + change + "\".", {{"file", file}});
  prune_restore_points();
}

std::int64_t StateStore::bytes_of(const std::string& file) const {
  std::error_code none;
  const auto size = fs::file_size(folder_ / file, none);
  return none ? 0 : static_cast<std::int64_t>(size);
}

void StateStore::remove(const std::string& file) {
  if (!is_state_name(file)) {
    return;
  }
  record_.checkpoint_removed(file, [path = folder_ / file] {
    std::error_code ignored;
    fs::remove(path, ignored);
  });
}

void StateStore::prune_checkpoints() {
  const auto keep =
      static_cast<std::size_t>(std::max<std::int64_t>(1, state_.spec.checkpoint.keep));
  while (state_.checkpoints.size() > keep) {
    remove(state_.checkpoints.front());
    state_.checkpoints.erase(state_.checkpoints.begin());
  }
}

void StateStore::prune_restore_points() {
  const contract::CheckpointSection& c = state_.spec.checkpoint;
  std::vector<RestorePoint>& points = state_.restore_points;
  const auto too_many = [&] {
    double bytes = 0;
    for (const RestorePoint& point : points) {
      bytes += static_cast<double>(bytes_of(point.file));
    }
    return static_cast<std::int64_t>(points.size()) > std::max<std::int64_t>(1, c.restore_points) ||
           bytes > c.restore_megabytes * 1e6;
  };
  while (points.size() > 1 && too_many()) {
    remove(points.front().file);
    points.erase(points.begin());
  }
}

void StateStore::drop_restore_point(const std::string& file) {
  if (stores()) {
    std::erase_if(state_.restore_points,
                  [&](const RestorePoint& point) { return point.file == file; });
    remove(file);
  }
}

void StateStore::collect() {
  if (!stores()) {
    return;
  }
  const auto gone = [&](const std::string& file) { return !fs::exists(folder_ / file); };
  std::erase_if(state_.checkpoints, gone);
  std::erase_if(state_.restore_points, [&](const RestorePoint& p) { return gone(p.file); });
  std::error_code none;
  std::vector<std::string> unknown;
  for (const auto& entry : fs::directory_iterator(folder_ / kFolder, none)) {
    const std::string name = kFolder + entry.path().filename().string();
    const bool half = name.ends_with(kUnfinished) &&
                      is_state_name(name.substr(0, name.size() - std::string(kUnfinished).size()));
    if (half) {
      fs::remove(entry.path(), none);
    } else if (is_state_name(name)) {
      unknown.push_back(name);
    }
  }
  std::erase_if(unknown, [&](const std::string& name) {
    return std::ranges::find(state_.checkpoints, name) != state_.checkpoints.end() ||
           std::ranges::find(state_.restore_points, name, &RestorePoint::file) !=
               state_.restore_points.end();
  });
  std::ranges::sort(unknown);
  std::vector<std::string> older;
  for (const std::string& name : unknown) {
    if (fs::path(name).filename().string().starts_with(kRestore)) {
      remove(name);
    } else {
      older.push_back(name);  // goes when newer ones have come, as any checkpoint does
    }
  }
  state_.checkpoints.insert(state_.checkpoints.begin(), older.begin(), older.end());
}

}  // namespace batchscope::train
