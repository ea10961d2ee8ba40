#pragma once

#include "engine/train/run_record.h"
#include "engine/train/state_file.h"
#include "engine/train/training_state.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <vector>

namespace batchscope::train {

/// The states of a training on the disk: checkpoints, written while the training goes on, and
/// restore points, written before a change. Of rank 0, whose state is everyone's; elsewhere, and
/// without a folder, it stores nothing. A file is removed when its successor is on record, never
/// before. Training thread only; the writing has a thread of its own.
class StateStore {
 public:
  /// What is to be saved; its tensors may be the training's own (StateFile::live).
  using Snapshot = std::function<StateFile()>;

  /// `state` holds the lists of files; it and `record` outlive the store. Empty folder: none.
  StateStore(std::filesystem::path folder,
             TrainingState& state,
             RunRecord& record,
             Snapshot snapshot);
  /// Waits for what is being written.
  ~StateStore();

  /// The state is no longer what the last save holds.
  void touch() { ++version_; }
  /// The state is what the disk has.
  void as_saved() {
    saved_version_ = version_;
    saved_step_ = begun_step_ = state_.step;
  }
  bool changed() const { return saved_version_ != version_; }
  /// A checkpoint is due by steps, by time, or because the last attempt failed.
  bool due() const;
  /// Begins to write a checkpoint, once an earlier one is written.
  void begin_save();
  /// Returns when no thread reads the training's own tensors any more. Call before anything that
  /// changes them: the copy of a state is taken by the thread that writes it, while the next
  /// update's gradients are computed.
  void before_change();
  /// Takes note of what has been written since. Call at every step boundary.
  void poll();
  /// Waits for what is being written, and takes note of it.
  void wait();
  /// Writes a checkpoint and waits for it; its name. Throws contract::StorageError.
  std::string save();
  /// The same; false if it could not be written: then it has warned, and it stays due.
  bool save_if_possible();
  /// The same in the end of a run: waits, tries again a few times, and gives the failure.
  std::string save_at_end();
  /// Writes a restore point and waits for it. Throws contract::StorageError: then the change is not
  /// to be made.
  void save_restore_point(const std::string& change);
  /// Removes a restore point that was gone back to, and what belongs to no list.
  void drop_restore_point(const std::string& file);
  /// After a state was loaded: forgets files that are not there, and removes what a killed run left
  /// (half-written files, restore points of lines that nobody can go back to).
  void collect();
  /// One sentence while saving fails; empty: it works.
  const std::string& trouble() const { return trouble_; }
  /// Wall seconds that the training waited for saves, and that their writing took.
  double waited_seconds() const { return waited_; }
  double written_seconds() const { return written_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Written {
    std::int64_t bytes = 0;
    double seconds = 0;
    std::string failure;
  };
  struct Pending {
    contract::CheckpointRecord record;
    std::uint64_t version = 0;
    std::future<void> copied;
    std::future<Written> written;
  };
  bool stores() const { return !folder_.empty(); }
  static Written write_when_stored(const std::filesystem::path& path,
                                   StateFile state,
                                   std::promise<void> copied,
                                   const std::future<void>& stored);
  void start(const std::string& file, const char* kind);
  void settle();
  void forget(const std::string& file);
  void remove(const std::string& file);
  void prune_checkpoints();
  void prune_restore_points();
  std::int64_t bytes_of(const std::string& file) const;

  const std::filesystem::path folder_;
  TrainingState& state_;
  RunRecord& record_;
  const Snapshot snapshot_;
  std::optional<Pending> pending_;
  std::uint64_t version_ = 1, saved_version_ = 0;
  std::int64_t saved_step_ = -1, begun_step_ = -1;
  Clock::time_point last_try_ = Clock::now();
  std::string trouble_;
  double waited_ = 0, written_ = 0;
};

}  // namespace batchscope::train
