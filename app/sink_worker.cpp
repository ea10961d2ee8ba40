#include "app/sink_worker.h"

#include "app/sink_events.h"
#include "engine/contract/error.h"
#include "storage/sqlite.h"

#include <algorithm>
#include <iostream>
#include <new>
#include <utility>

namespace batchscope::app {
namespace {

using contract::RunState;
using contract::StorageError;
using std::chrono::milliseconds;
using storage::RunWriter;

constexpr milliseconds kFirstPause{20};

/// Repeats what another process keeps busy.
template <class Function>
void with_patience(milliseconds patience, Function function) {
  const auto end = SinkQueue::Clock::now() + patience;
  for (;;) {
    try {
      function();
      return;
    } catch (const storage::BusyError&) {
      if (SinkQueue::Clock::now() >= end) {
        throw;
      }
      std::this_thread::sleep_for(kFirstPause);
    }
  }
}

}  // namespace

SqliteSink::Worker::Worker(std::filesystem::path folder, SinkListener listener, SinkOptions options)
    : folder_(std::move(folder)),
      listener_(std::move(listener)),
      options_(std::move(options)),
      queue_(options_.queue_bytes) {}

SqliteSink::Worker::~Worker() {
  queue_.stop();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void SqliteSink::Worker::begin(const contract::RunInfo& info, bool resumed) {
  with_patience(options_.begin_patience,
                [&] { writer_ = std::make_unique<RunWriter>(folder_, info, resumed); });
  for (const contract::SeriesInfo& known : writer_->series()) {
    index_of_.emplace(known.name, static_cast<std::int32_t>(index_of_.size()));
  }
  tell_committed(writer_->last_seq());
  queue_.open();
  thread_ = std::thread([this] { run(); });
}

std::vector<std::int32_t> SqliteSink::Worker::add_series(
    const std::vector<contract::SeriesInfo>& series) {
  // The writer gives numbers by the same rule, so that nobody has to wait for it.
  std::vector<std::int32_t> indices;
  std::size_t bytes = 0;
  for (const contract::SeriesInfo& info : series) {
    const auto next = static_cast<std::int32_t>(index_of_.size());
    indices.push_back(index_of_.emplace(info.name, next).first->second);
    bytes += sizeof info + info.name.size() + info.help.size();
  }
  give(SinkEntry::Kind::kKept, bytes, [series](RunWriter& writer) { writer.add_series(series); });
  return indices;
}

void SqliteSink::Worker::run() {
  Clock::time_point last_beat = Clock::now(), end = Clock::time_point::max();
  for (;;) {
    const bool last = queue_.stopping();
    if (last && end == Clock::time_point::max()) {
      end = Clock::now() + options_.last_patience;
    }
    std::deque<SinkEntry> batch =
        queue_.take(last_beat + options_.heartbeat_every, options_.commit_every);
    const bool beat = Clock::now() - last_beat >= options_.heartbeat_every;
    last_beat = beat ? Clock::now() : last_beat;
    if (store(batch, beat)) {
      call_back(batch);
      queue_.settle(batch);
      if (!trouble_.empty()) {
        queue_.set_hindered(false);
        if (queue_.empty()) {
          free_again();
        }
      }
      if (last && queue_.empty()) {
        return;
      }
      continue;
    }
    queue_.put_back(std::move(batch));
    if (last && Clock::now() >= end) {
      give_up();
      return;
    }
    queue_.pause(pause_);
  }
}

/// All of a batch or nothing. False: nothing, and it is to be tried again.
bool SqliteSink::Worker::store(std::deque<SinkEntry>& batch, bool beat) noexcept {
  if (batch.empty() && !beat && trouble_.empty()) {
    return true;
  }
  try {
    if (!trouble_.empty()) {  // a small question first: a batch may be large
      writer_->heartbeat(idle());
      writer_->commit();
    }
    apply(batch);
    if (beat) {
      writer_->heartbeat(idle());
    }
    tell_committed(writer_->commit());
    pause_ = milliseconds(0);
    return true;
  } catch (const std::exception& error) {
    writer_->rollback();
    hindered(error.what());
    return false;
  }
}

/// Leaves out what can never be stored: it must not keep back what comes after it.
void SqliteSink::Worker::apply(std::deque<SinkEntry>& batch) {
  for (std::size_t i = 0; i < batch.size(); ++i) {
    SinkEntry& entry = batch[i];
    if (!entry.store || entry.refused) {
      continue;
    }
    std::string why;
    try {
      entry.store(*writer_);
      continue;
    } catch (const storage::StatementError& error) {
      why = error.what();
    } catch (const StorageError&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      why = error.what();
    }
    refuse(entry, why);
    writer_->rollback();  // half of it may be in: all others once more
    i = static_cast<std::size_t>(-1);
  }
}

void SqliteSink::Worker::refuse(SinkEntry& entry, const std::string& sentence) {
  entry.refused = true;
  const bool first = failure().empty();
  lost("a record could not be stored: " + sentence);
  if (first) {
    say("warning: " + failure() + "; it is left out");
  }
}

void SqliteSink::Worker::call_back(const std::deque<SinkEntry>& batch) noexcept {
  for (const SinkEntry& entry : batch) {
    refused_ = refused_ || entry.refused;
    if (!entry.stored || std::exchange(refused_, false)) {
      continue;
    }
    try {
      entry.stored();
    } catch (const std::exception& error) {
      say(std::string("warning: ") + error.what());
    }
  }
}

void SqliteSink::Worker::hindered(const char* sentence) noexcept {
  pause_ = std::clamp(2 * pause_, kFirstPause, options_.longest_pause);
  queue_.set_hindered(true);
  if (trouble_ == sentence) {
    return;
  }
  if (trouble_.empty()) {
    trouble_since_ = Clock::now();
    say(std::string("warning: telemetry cannot be written: ") + sentence +
        "; the training goes on, and it is tried again");
  }
  trouble_ = sentence;
  tell_trouble();
}

void SqliteSink::Worker::free_again() {
  const SinkLosses losses = queue_.take_losses();
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - trouble_since_).count();
  const contract::EventRecord event = placed(gap_event(seconds, trouble_, losses));
  queue_.add({[event](RunWriter& writer) { writer.event(event); }, {}, sizeof event});
  trouble_.clear();
  say("telemetry is written again; " + dropped_text(losses));
  tell_trouble();
}

contract::EventRecord SqliteSink::Worker::placed(contract::EventRecord event) const {
  event.segment = place_.segment;
  event.step = place_.step;
  return event;
}

/// The training is over, and the file still cannot be written.
void SqliteSink::Worker::give_up() {
  lost(trouble_ + "; " + text_of(queue_.waiting()) + " of telemetry could not be stored");
}

void SqliteSink::Worker::finish(RunState state, int exit_code) {
  queue_.stop();
  if (!thread_.joinable()) {
    return;
  }
  thread_.join();
  queue_.close();
  try {
    close(state, exit_code);
  } catch (const std::exception& error) {
    lost(error.what());
  }
  writer_.reset();
}

void SqliteSink::Worker::close(RunState state, int exit_code) {
  const auto patience = trouble_.empty() ? options_.last_patience : milliseconds(0);
  const Clock::time_point end = Clock::now() + patience;
  for (;;) {
    try {
      if (const std::string sentence = failure(); !sentence.empty()) {
        writer_->event(placed(loss_event(sentence)));
      }
      writer_->finish(state, exit_code);
      return;
    } catch (const StorageError&) {
      writer_->rollback();
      if (Clock::now() >= end) {
        throw;
      }
      std::this_thread::sleep_for(kFirstPause);
    }
  }
}

std::string SqliteSink::Worker::failure() const {
  const std::lock_guard guard(failure_mutex_);
  return failure_;
}

void SqliteSink::Worker::lost(const std::string& sentence) {
  const std::lock_guard guard(failure_mutex_);
  if (failure_.empty()) {
    failure_ = sentence;
  }
}

void SqliteSink::Worker::tell_committed(std::int64_t seq) noexcept {
  try {
    if (listener_.committed && seq > committed_) {
      listener_.committed(seq);
    }
  } catch (const std::exception&) {  // what is committed is not to be stored again
  }
  committed_ = seq;
}

void SqliteSink::Worker::tell_trouble() noexcept {
  try {
    if (listener_.trouble) {
      listener_.trouble(trouble_.empty() ? "" : "Telemetry cannot be written: " + trouble_ + ".");
    }
  } catch (const std::exception&) {  // whoever listens is no reason to stop writing
  }
}

void SqliteSink::Worker::say(const std::string& line) const noexcept {
  try {
    if (listener_.say) {
      listener_.say(line);
    } else {
      std::cerr << line + "\n" << std::flush;
    }
  } catch (const std::exception&) {
  }
}

}  // namespace batchscope::app
