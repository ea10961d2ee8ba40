#pragma once

#include "engine/contract/records.h"

#include <map>
#include <string>
#include <vector>

namespace batchscope::testing {

/// Keeps all telemetry in memory.
class MemorySink : public contract::TelemetrySink {
 public:
  void begin(const contract::RunInfo& given, bool again) override {
    info = given;
    resumed = again;
  }
  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& infos) override {
    std::vector<std::int32_t> indices;
    for (const contract::SeriesInfo& one : infos) {
      auto [place, added] = index.try_emplace(one.name, static_cast<std::int32_t>(series.size()));
      if (added) {
        series.push_back(one);
      }
      indices.push_back(place->second);
    }
    return indices;
  }
  void segment(const contract::SegmentRecord& record) override {
    segments[record.segment] = record;
  }
  void step(const contract::StepRecord& record) override { rows.push_back(record); }
  void event(const contract::EventRecord& record) override { events.push_back(record); }
  void eval(const contract::EvalRecord& record) override { evals.push_back(record); }
  void probe(const contract::ProbeRecord& record) override { probes.push_back(record); }
  void prediction(const contract::PredictionRecord& record) override {
    predictions.push_back(record);
  }
  void checkpoint(const contract::CheckpointRecord& record) override {
    checkpoints.push_back(record);
  }
  void checkpoint_removed(const std::string& file) override { removed.push_back(file); }
  void status(const contract::StatusReport& report) override { last_status = report; }
  void flush() override {}
  void finish(contract::RunState state, int code) override {
    final_state = state;
    exit_code = code;
  }
  std::string failure() const override { return ""; }

  /// The value of one series in one row; absent: -12345.
  double value(const contract::StepRecord& row, const std::string& name) const {
    const auto found = index.find(name);
    for (const auto& [series_index, number] : row.values) {
      if (found != index.end() && series_index == found->second) {
        return number;
      }
    }
    return -12345;
  }
  std::vector<contract::EventRecord> of_kind(const std::string& kind) const {
    std::vector<contract::EventRecord> found;
    for (const contract::EventRecord& event : events) {
      if (event.kind == kind) {
        found.push_back(event);
      }
    }
    return found;
  }

  contract::RunInfo info;
  bool resumed = false;
  std::vector<contract::SeriesInfo> series;
  std::map<std::string, std::int32_t> index;
  std::map<std::int64_t, contract::SegmentRecord> segments;
  std::vector<contract::StepRecord> rows;
  std::vector<contract::EventRecord> events;
  std::vector<contract::EvalRecord> evals;
  std::vector<contract::ProbeRecord> probes;
  std::vector<contract::PredictionRecord> predictions;
  std::vector<contract::CheckpointRecord> checkpoints;
  std::vector<std::string> removed;
  contract::StatusReport last_status;
  contract::RunState final_state = contract::RunState::kQueued;
  int exit_code = -1;
};

}  // namespace batchscope::testing
