#pragma once

#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_writer.h"

#include <QString>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <unistd.h>

namespace batchscope::test {

/// A run that a test writes row by row, in LIBRARY/id, with the lock held as an engine holds it.
/// Rows: one a step, 8 pictures and 0.5 s each; series "loss", "lr", "d/backbone", "d/neck".
class WrittenRun {
 public:
  explicit WrittenRun(const std::filesystem::path& library,
                      const std::string& id = "0123456789ab",
                      const std::string& name = "test run",
                      const std::string& spec = "") {
    folder_ = storage::run_folder(library, id);
    std::filesystem::create_directories(folder_);
    lock_ = std::make_unique<storage::RunLock>(folder_);
    info_.id = id;
    info_.name = name;
    info_.spec_toml = spec;
    info_.engine_version = "test";
    info_.modules = {"backbone", "neck"};
    info_.classes = {"square", "disc"};
    info_.steps = 1000;
    info_.total_images = 8000;
    info_.started = storage::now_utc();
    writer_ = std::make_unique<storage::RunWriter>(folder_, info_, false);
    index_ = writer_->add_series({{"loss", "", "", "total loss"},
                                  {"lr", "", "", ""},
                                  {"d/backbone", "", "backbone", ""},
                                  {"d/neck", "", "neck", ""}});
    segment(0, -1, 0, "start");
    state(contract::RunState::kRunning, "sgd");
    writer_->commit();
  }

  using Value = std::function<double(std::int64_t step)>;

  void segment(std::int64_t number, std::int64_t parent, std::int64_t start, const char* reason) {
    contract::SegmentRecord record;
    record.segment = number;
    record.parent = parent;
    record.start_step = start;
    record.reason = reason;
    writer_->segment(record);
    segment_ = number;
  }
  /// Steps first…last of the present segment; lr only in every second row.
  void rows(std::int64_t first, std::int64_t last, const Value& loss) {
    for (auto step = first; step <= last; ++step) {
      contract::StepRecord record;
      record.seq = ++seq_;
      record.segment = segment_;
      record.step = step;
      record.images = step * 8;
      record.seconds = (seconds_ += 0.5);
      record.values = {{index_[0], loss(step)}, {index_[2], 0.25}, {index_[3], 0.75}};
      if (step % 2 == 0)
        record.values.push_back({index_[1], 0.1});
      writer_->step(record);
    }
    step_ = last;
  }
  void event(const char* kind, std::int64_t step, const char* text = "something happened") {
    contract::EventRecord record;
    record.segment = segment_;
    record.step = step;
    record.seq = seq_;
    record.time = storage::now_utc();
    record.kind = kind;
    record.source = "user";
    record.text = text;
    writer_->event(record);
  }
  void eval(std::int64_t step, double ap) { eval(step, {{"AP", ap}, {"AP50", 2 * ap}}); }
  void eval(std::int64_t step, const std::map<std::string, double>& metrics) {
    contract::EvalRecord record;
    record.segment = segment_;
    record.step = step;
    record.images = step * 8;
    record.seconds = seconds_;
    record.metrics = metrics;
    writer_->eval(record);
  }
  void state(contract::RunState state, const char* optimizer) {
    contract::StatusReport report;
    report.run_id = info_.id;
    report.state = state;
    report.step = step_;
    report.steps = 1000;
    report.images = step_ * 8;
    report.optimizer = optimizer;
    report.lr = 0.1;
    report.micro = 8;
    report.accumulation = 1;
    report.ranks = 1;
    report.phase = "training";
    writer_->status(report);
  }
  void commit() { writer_->commit(); }
  void finish() {
    state(contract::RunState::kFinished, "sgd");
    writer_->finish(contract::RunState::kFinished, 0);
    writer_.reset();
    lock_.reset();
  }
  storage::RunWriter& writer() { return *writer_; }
  QString path() const { return QString::fromStdString(folder_.string()); }
  std::int64_t seq() const { return seq_; }

 private:
  std::filesystem::path folder_;
  contract::RunInfo info_;
  std::unique_ptr<storage::RunLock> lock_;
  std::unique_ptr<storage::RunWriter> writer_;
  std::vector<std::int32_t> index_;
  std::int64_t seq_ = 0, segment_ = 0, step_ = 0;
  double seconds_ = 0;
};

}  // namespace batchscope::test
