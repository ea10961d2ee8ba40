#pragma once

#include "engine/contract/records.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::storage {

/// Writes one run file. One thread; one writer per run (the caller holds the run's lock). Rows are
/// visible to readers after commit(). Throws contract::StorageError: a BusyError (sqlite.h) left
/// everything as it was, so that the same call may be repeated; after any other, rollback() goes
/// back to the last commit, and all that was given since may be given again.
class RunWriter {
 public:
  /// Creates FOLDER/run.sqlite (the folder must exist) with `info`, whole or not at all; or, with
  /// `resume`, opens it after checking application id and version and migrating it in place.
  /// Resuming takes what may have changed from `info` (spec, plan, machine) unless its id is empty;
  /// another id is an error. The process that calls this is recorded as the writer, the state as
  /// starting (a supervisor that closes the record of a dead rank 0 passes an empty info and calls
  /// finish()).
  RunWriter(const std::filesystem::path& folder, const contract::RunInfo& info, bool resume);
  ~RunWriter();
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  /// A name that exists keeps its index.
  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& series);
  /// All curves so far; index = series id.
  const std::vector<contract::SeriesInfo>& series() const;
  /// Adds a segment, or replaces the one of that number (to mark rows abandoned).
  void segment(const contract::SegmentRecord& record);
  /// Stores a row. Its sequence number is record.seq, or, where that one is taken already (a run
  /// that goes on from an older checkpoint), the next free one: no row is ever rejected.
  void step(const contract::StepRecord& record);
  /// Stored with the newest row's sequence number as `seq`.
  void event(const contract::EventRecord& record);
  void eval(const contract::EvalRecord& record);
  /// Stores a picture under its number or, where that is another picture's already (a run that goes
  /// on with other ones), under a free one; a picture that is stored keeps its number.
  void probe(const contract::ProbeRecord& record);
  /// Of the picture that was given last as `record.probe`.
  void prediction(const contract::PredictionRecord& record);
  void checkpoint(const contract::CheckpointRecord& record);
  void checkpoint_removed(const std::string& file);
  /// State, step and heartbeat.
  void status(const contract::StatusReport& report);
  /// The heartbeat alone: the run last went on so many seconds ago.
  void heartbeat(double idle_seconds = 0);
  /// Commits everything since the last commit, folds full blocks into column chunks, and truncates
  /// the WAL when it has grown beyond 64 MB (if that fails, all is committed nevertheless). Returns
  /// the newest committed seq.
  std::int64_t commit();
  /// Forgets everything since the last commit. Does not throw.
  void rollback() noexcept;
  /// Newest sequence number stored, committed or not; 0 before the first row.
  std::int64_t last_seq() const;
  /// Commits, folds everything, and replaces the file by a compact one outside WAL mode: one
  /// self-contained file without -wal and -shm, also while others read. Where that cannot be done
  /// (no space for the copy), the record is whole all the same. Last call, unless it throws.
  void finish(contract::RunState state, int exit_code);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::storage
