#pragma once

#include "engine/contract/records.h"

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::storage {

/// Writes one run file. One thread; one writer per run (the caller holds the run's lock). Rows are
/// visible to readers after commit(). Throws contract::StorageError.
class RunWriter {
 public:
  /// Creates FOLDER/run.sqlite (the folder must exist) or, with `resume`, opens it after checking
  /// application id and version and migrating it in place.
  RunWriter(const std::filesystem::path& folder, const contract::RunInfo& info, bool resume);
  ~RunWriter();
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& series);
  void segment(const contract::SegmentRecord& record);
  void step(const contract::StepRecord& record);
  void event(const contract::EventRecord& record);
  void eval(const contract::EvalRecord& record);
  void probe(const contract::ProbeRecord& record);
  void prediction(const contract::PredictionRecord& record);
  void checkpoint(const contract::CheckpointRecord& record);
  void checkpoint_removed(const std::string& file);
  void status(const contract::StatusReport& report);
  /// Commits everything since the last commit and folds finished spans into column chunks. Returns
  /// the newest committed seq.
  std::int64_t commit();
  std::int64_t last_seq() const;
  /// Commits, folds everything, leaves WAL mode: one self-contained file.
  void finish(contract::RunState state, int exit_code);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchscope::storage
