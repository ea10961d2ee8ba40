#include "engine/train/run_record.h"

#include "engine/contract/error.h"

#include <chrono>
#include <cstdio>
#include <ctime>

namespace batchscope::train {

std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch());
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char day[32], text[48];
  std::strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &parts);
  std::snprintf(text, sizeof text, "%s.%03dZ", day, static_cast<int>(ms.count() % 1000));
  return text;
}

void RunRecord::go_on_after(std::int64_t seq, std::int64_t segment) {
  seq_ = seq;
  next_segment_ = segment + 1;
}

void RunRecord::begin(const contract::RunInfo& info, bool goes_on, const CurveNames& names) {
  if (sink_ == nullptr) {
    return;
  }
  sink_->begin(info, goes_on);
  if (const std::string failure = sink_->failure(); !failure.empty()) {
    throw contract::StorageError(failure);
  }
  series_ = std::make_unique<StepSeries>(*sink_, names.modules, names.losses, names.tensors);
  for (const contract::SegmentRecord& segment : state_.segments) {
    sink_->segment(segment);
  }
  begun_ = true;
}

contract::StepRecord RunRecord::row(StepObservation seen) {
  seen.seq = ++seq_;
  seen.segment = state_.segment;
  return series_->record(seen);
}

void RunRecord::step(const contract::StepRecord& row) {
  if (listens()) {
    sink_->step(row);
  }
}

void RunRecord::event(const std::string& kind,
                      const std::string& source,
                      const std::string& text,
                      std::map<std::string, std::string> args) {
  if (listens()) {
    sink_->event(
        {state_.segment, state_.step, seq_, utc_now(), kind, source, text, std::move(args)});
  }
}

void RunRecord::event_at(std::int64_t step,
                         const std::string& kind,
                         const std::string& text,
                         const std::map<std::string, std::string>& args) {
  if (listens()) {
    sink_->event({state_.segment, step, seq_, utc_now(), kind, "engine", text, args});
  }
}

void RunRecord::eval(const contract::EvalRecord& record) {
  if (listens()) {
    sink_->eval(record);
  }
}

void RunRecord::probe(const contract::ProbeRecord& record) {
  if (listens()) {
    sink_->probe(record);
  }
}

void RunRecord::prediction(const contract::PredictionRecord& record) {
  if (listens()) {
    sink_->prediction(record);
  }
}

void RunRecord::checkpoint(const contract::CheckpointRecord& record) {
  if (begun_) {
    sink_->checkpoint(record);
  }
}

void RunRecord::checkpoint_removed(const std::string& file, std::function<void()> then) {
  if (!begun_) {
    then();
    return;
  }
  sink_->checkpoint_removed(file);
  sink_->after_commit(std::move(then));
}

std::future<void> RunRecord::stored() const {
  const auto promise = std::make_shared<std::promise<void>>();
  std::future<void> ready = promise->get_future();
  if (begun_) {
    sink_->after_commit([promise] { promise->set_value(); });
  } else {
    promise->set_value();
  }
  return ready;
}

void RunRecord::open_segment(std::int64_t parent, const std::string& reason) {
  state_.segment = next_segment_++;
  state_.segments.push_back({state_.segment, parent, state_.step, -1, reason});
  segment(state_.segments.back());
}

void RunRecord::segment(const contract::SegmentRecord& record) {
  if (begun_) {
    sink_->segment(record);
  }
}

void RunRecord::status(const contract::StatusReport& report) {
  if (begun_) {
    sink_->status(report);
  }
}

void RunRecord::finish(contract::RunState state, contract::ExitCode code) {
  if (begun_) {
    sink_->finish(state, static_cast<int>(code));
  }
}

}  // namespace batchscope::train
