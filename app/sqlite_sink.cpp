#include "app/sqlite_sink.h"

#include "app/record_bytes.h"
#include "storage/run_writer.h"
#include "storage/sqlite.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace batchscope::app {
namespace {

using contract::RunState;
using Clock = std::chrono::steady_clock;
using storage::RunWriter;

/// One call that waits to be carried out.
struct Job {
  std::function<void(RunWriter&)> apply;
  std::size_t bytes = 0;
};

constexpr std::size_t kJobBytes = 256;  // of a job without its payload
constexpr std::chrono::milliseconds kBusyPause{20};
/// After a failure that is not "busy" (a full disk, say) the batch is tried this often in all.
constexpr int kTries = 3;
constexpr std::chrono::milliseconds kRetryPause{200};

}  // namespace

class SqliteSink::Worker {
 public:
  Worker(std::filesystem::path folder,
         std::function<void(std::int64_t)> committed,
         SinkOptions options)
      : folder_(std::move(folder)), on_committed_(std::move(committed)), options_(options) {}

  ~Worker() {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
      thread_.join();
    }
  }

  void begin(const contract::RunInfo& info, bool resumed) {
    attempt([&] {
      with_patience([&] { writer_ = std::make_unique<RunWriter>(folder_, info, resumed); });
      for (const contract::SeriesInfo& known : writer_->series()) {
        index_of_.emplace(known.name, static_cast<std::int32_t>(index_of_.size()));
      }
      thread_ = std::thread([this] { run(); });
    });
  }

  std::vector<std::int32_t> add_series(const std::vector<contract::SeriesInfo>& series) {
    // The writer gives numbers by the same rule, so that nobody has to wait for it.
    std::vector<std::int32_t> indices;
    for (const contract::SeriesInfo& info : series) {
      const auto next = static_cast<std::int32_t>(index_of_.size());
      indices.push_back(index_of_.emplace(info.name, next).first->second);
    }
    give(kJobBytes * series.size(), [series](RunWriter& writer) { writer.add_series(series); });
    return indices;
  }

  void give(std::size_t bytes, std::function<void(RunWriter&)> apply) {
    attempt([&] {
      std::unique_lock guard(mutex_);
      drained_.wait(guard, [this] {
        return queued_bytes_ < options_.queue_bytes || !failure_.empty() || closed_;
      });
      if (!failure_.empty() || closed_ || !thread_.joinable()) {
        return;
      }
      queued_bytes_ += bytes + kJobBytes;
      queue_.push_back({std::move(apply), bytes + kJobBytes});
      ++given_;
      guard.unlock();
      wake_.notify_one();
    });
  }

  void flush() {
    std::unique_lock guard(mutex_);
    flush_wanted_ = true;
    wake_.notify_one();
    const std::uint64_t target = given_;
    drained_.wait(guard, [this, target] {
      return done_ >= target || !failure_.empty() || !thread_.joinable();
    });
  }

  void finish(RunState state, int exit_code) {
    {
      const std::lock_guard guard(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    if (!thread_.joinable()) {
      return;
    }
    thread_.join();
    attempt([&] {
      const std::string lost = failure();
      if (!lost.empty()) {  // the record is closed all the same, and says that it has a gap
        contract::EventRecord event;
        event.kind = "error";
        event.source = "engine";
        event.text = "Telemetry was lost: " + lost;
        writer_->event(event);
      }
      with_patience([&] { writer_->finish(state, exit_code); });
      writer_.reset();
    });
    const std::lock_guard guard(mutex_);
    closed_ = true;
  }

  std::string failure() const {
    const std::lock_guard guard(mutex_);
    return failure_;
  }

 private:
  /// Telemetry never ends a training: what goes wrong becomes failure().
  template <class Function>
  void attempt(Function function) noexcept {
    try {
      function();
    } catch (const std::exception& error) {
      fail(error.what());
    }
  }
  void fail(const std::string& sentence) noexcept {
    const std::lock_guard guard(mutex_);
    if (failure_.empty()) {
      failure_ = sentence;
    }
    queue_.clear();
    queued_bytes_ = 0;
    drained_.notify_all();
  }

  /// Repeats what another process keeps busy.
  template <class Function>
  void with_patience(Function function) {
    const Clock::time_point end = Clock::now() + options_.busy_patience;
    for (;;) {
      try {
        function();
        return;
      } catch (const storage::BusyError&) {
        if (Clock::now() >= end) {
          throw;
        }
        std::this_thread::sleep_for(kBusyPause);
      }
    }
  }

  void run() {
    Clock::time_point last_beat = Clock::now();
    for (;;) {
      std::deque<Job> batch;
      bool last = false;
      {
        std::unique_lock guard(mutex_);
        wake_.wait_until(guard, last_beat + options_.heartbeat_every, [this] {
          return stopping_ || flush_wanted_ || !queue_.empty() || !failure_.empty();
        });
        // Rows gather for a moment, so that a fast training costs ten transactions a second.
        wake_.wait_for(guard, options_.commit_every, [this] {
          return stopping_ || flush_wanted_ || queued_bytes_ >= options_.queue_bytes / 4;
        });
        flush_wanted_ = false;
        batch.swap(queue_);
        last = stopping_;
        if (!failure_.empty()) {
          return;
        }
      }
      const bool beat = Clock::now() - last_beat >= options_.heartbeat_every;
      if (beat) {
        last_beat = Clock::now();
      }
      attempt([&] { store(batch, beat); });
      settle(batch);
      if (last) {
        return;
      }
    }
  }

  /// All of a batch or nothing: it stays in memory until it is committed.
  void store(const std::deque<Job>& batch, bool beat) {
    if (batch.empty() && !beat) {
      return;
    }
    for (int attempts = 1;; ++attempts) {
      try {
        for (const Job& job : batch) {
          with_patience([&] { job.apply(*writer_); });
        }
        if (beat) {
          with_patience([&] { writer_->heartbeat(); });
        }
        std::int64_t seq = 0;
        with_patience([&] { seq = writer_->commit(); });
        if (on_committed_ && seq > committed_) {
          on_committed_(seq);
        }
        committed_ = seq;
        return;
      } catch (const contract::StorageError&) {
        writer_->rollback();
        if (attempts == kTries) {
          throw;
        }
        std::this_thread::sleep_for(kRetryPause);
      }
    }
  }

  void settle(const std::deque<Job>& batch) {
    const std::lock_guard guard(mutex_);
    done_ += batch.size();
    for (const Job& job : batch) {
      queued_bytes_ -= std::min(queued_bytes_, job.bytes);
    }
    drained_.notify_all();
  }

  const std::filesystem::path folder_;
  const std::function<void(std::int64_t)> on_committed_;
  const SinkOptions options_;
  std::map<std::string, std::int32_t> index_of_;  // caller's thread
  std::unique_ptr<RunWriter> writer_;             // writer's thread between begin and finish
  std::int64_t committed_ = 0;                    // writer's thread
  std::thread thread_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_, drained_;
  std::deque<Job> queue_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t given_ = 0, done_ = 0;
  bool flush_wanted_ = false, stopping_ = false, closed_ = false;
  std::string failure_;
};

SqliteSink::SqliteSink(std::filesystem::path folder,
                       std::function<void(std::int64_t)> on_committed,
                       SinkOptions options)
    : worker_(std::make_unique<Worker>(std::move(folder), std::move(on_committed), options)) {}
SqliteSink::~SqliteSink() = default;

void SqliteSink::begin(const contract::RunInfo& info, bool resumed) {
  worker_->begin(info, resumed);
}
std::vector<std::int32_t> SqliteSink::add_series(const std::vector<contract::SeriesInfo>& series) {
  return worker_->add_series(series);
}
void SqliteSink::segment(const contract::SegmentRecord& record) {
  worker_->give(sizeof record, [record](RunWriter& writer) { writer.segment(record); });
}
void SqliteSink::step(const contract::StepRecord& record) {
  worker_->give(bytes_of(record), [record](RunWriter& writer) { writer.step(record); });
}
void SqliteSink::event(const contract::EventRecord& record) {
  worker_->give(bytes_of(record), [record](RunWriter& writer) { writer.event(record); });
}
void SqliteSink::eval(const contract::EvalRecord& record) {
  worker_->give(sizeof record, [record](RunWriter& writer) { writer.eval(record); });
}
void SqliteSink::probe(const contract::ProbeRecord& record) {
  worker_->give(bytes_of(record), [record](RunWriter& writer) { writer.probe(record); });
}
void SqliteSink::prediction(const contract::PredictionRecord& record) {
  worker_->give(bytes_of(record), [record](RunWriter& writer) { writer.prediction(record); });
}
void SqliteSink::checkpoint(const contract::CheckpointRecord& record) {
  worker_->give(sizeof record, [record](RunWriter& writer) { writer.checkpoint(record); });
}
void SqliteSink::checkpoint_removed(const std::string& file) {
  worker_->give(file.size(), [file](RunWriter& writer) { writer.checkpoint_removed(file); });
}
void SqliteSink::status(const contract::StatusReport& report) {
  worker_->give(sizeof report, [report](RunWriter& writer) { writer.status(report); });
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
