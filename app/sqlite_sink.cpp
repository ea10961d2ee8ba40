#include "app/sqlite_sink.h"

#include "app/record_bytes.h"
#include "app/sink_events.h"
#include "app/sink_worker.h"

#include <utility>

namespace batchscope::app {
namespace {

using contract::RunState;
using storage::RunWriter;
using Kind = SinkEntry::Kind;

}  // namespace

SqliteSink::SqliteSink(std::filesystem::path folder, SinkListener listener, SinkOptions options)
    : worker_(
          std::make_unique<Worker>(std::move(folder), std::move(listener), std::move(options))) {}
SqliteSink::~SqliteSink() = default;

void SqliteSink::begin(const contract::RunInfo& info, bool resumed) {
  worker_->begin(info, resumed);
}
std::vector<std::int32_t> SqliteSink::add_series(const std::vector<contract::SeriesInfo>& series) {
  return worker_->add_series(series);
}
void SqliteSink::segment(const contract::SegmentRecord& record) {
  worker_->give(Kind::kKept, sizeof record, [worker = worker_.get(), record](RunWriter& writer) {
    writer.segment(record);
    worker->moved_to(record.segment, record.start_step);
  });
}
void SqliteSink::step(const contract::StepRecord& record) {
  worker_->give(Kind::kRow, bytes_of(record), [worker = worker_.get(), record](RunWriter& writer) {
    writer.step(record);
    worker->moved_to(record.segment, record.step);
  });
}
void SqliteSink::event(const contract::EventRecord& record) {
  worker_->give(Kind::kKept, bytes_of(record), [record](RunWriter& w) { w.event(record); });
}
void SqliteSink::eval(const contract::EvalRecord& record) {
  worker_->give(Kind::kKept, sizeof record, [record](RunWriter& w) { w.eval(record); });
}
void SqliteSink::probe(const contract::ProbeRecord& record) {
  worker_->give(Kind::kKept, bytes_of(record), [record](RunWriter& w) { w.probe(record); });
}
void SqliteSink::prediction(const contract::PredictionRecord& record) {
  worker_->give(
      Kind::kPrediction, bytes_of(record), [record](RunWriter& w) { w.prediction(record); });
}
void SqliteSink::note(const std::string& kind, const std::string& text) {
  const std::size_t bytes = kind.size() + text.size();
  worker_->give(Kind::kKept, bytes, [worker = worker_.get(), kind, text](RunWriter& writer) {
    writer.event(worker->placed(event_of(kind, text)));
  });
}
void SqliteSink::checkpoint(const contract::CheckpointRecord& record) {
  worker_->give(Kind::kKept, sizeof record, [record](RunWriter& w) { w.checkpoint(record); });
}
void SqliteSink::checkpoint_removed(const std::string& file) {
  worker_->give(Kind::kKept, file.size(), [file](RunWriter& w) { w.checkpoint_removed(file); });
}
void SqliteSink::after_commit(std::function<void()> call) {
  worker_->give(Kind::kKept, 0, {}, std::move(call));
}
void SqliteSink::status(const contract::StatusReport& report) {
  worker_->give(Kind::kStatus, sizeof report, [report](RunWriter& w) { w.status(report); });
}
void SqliteSink::flush() {
  worker_->flush();
}
void SqliteSink::finish(RunState state, int exit_code) {
  worker_->finish(state, exit_code);
}
std::string SqliteSink::failure() const {
  return worker_->failure();
}

}  // namespace batchscope::app
