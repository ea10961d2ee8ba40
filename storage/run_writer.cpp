#include "storage/columns.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_opening.h"
#include "storage/run_status.h"
#include "storage/run_writer_impl.h"

#include <chrono>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::StorageError;
using Clock = std::chrono::steady_clock;

constexpr int kWriterBusyMs = 5000, kTruncateBusyMs = 250;
/// Readers that keep the log of a run that is over are waited for so long.
constexpr std::chrono::seconds kTidyPatience{30};

}  // namespace

RunWriter::Impl::Impl(Database opened)
    : database(std::move(opened)),
      folding(database),
      insert_row(database,
                 "INSERT INTO live_row (seq, segment, step, images, seconds, samples) "
                 "VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
      update_heartbeat(database, "UPDATE state SET heartbeat_unix = ?1"),
      update_state(database,
                   "UPDATE state SET state = ?1, step = ?2, steps = ?3, images = ?4, "
                   "optimizer = ?5, agvm = ?6, lr = ?7, micro = ?8, accumulation = ?9, "
                   "ranks = ?10, phase = ?11, heartbeat_unix = ?12, lr_in_use = ?13, "
                   "trouble = ?14") {
  now.last_seq = database.query_integer(
      "SELECT max(coalesce((SELECT max(seq) FROM live_row), 0), "
      "coalesce((SELECT max(last_seq) FROM axis_chunk), 0))");
  now.live_rows = database.query_integer("SELECT count(*) FROM live_row");
  Statement stored(database, "SELECT name, unit, module, help FROM series ORDER BY id");
  while (stored.step()) {
    remember({stored.text(0), stored.text(1), stored.text(2), stored.text(3)});
  }
  committed = now;
}

void RunWriter::Impl::truncate_wal() noexcept {
  std::error_code error;
  const auto size = fs::file_size(beside(database.path(), "-wal"), error);
  if (error || size <= kWalLimit) {
    return;
  }
  // No reader of ours stays in a transaction for longer than 200 ms; another's is not waited for.
  database.set_busy_timeout(kTruncateBusyMs);
  try {
    database.query_integer("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const StorageError&) {
    // What was given is committed; the next commit tries again.
  }
  database.set_busy_timeout(kWriterBusyMs);
}

RunWriter::RunWriter(const fs::path& folder, const contract::RunInfo& info, bool resume) {
  const fs::path file = folder / kRunFile;
  std::error_code error;
  if (resume && !fs::is_regular_file(file, error)) {
    throw StorageError("there is no run file '" + file.string() + "' to go on with");
  }
  const bool begins = !resume || (!info.id.empty() && nothing_written(file));
  impl_ = std::make_unique<Impl>(begins ? create_run(file, info) : reopen_run(file, info));
}

RunWriter::~RunWriter() = default;

std::vector<std::int32_t> RunWriter::add_series(const std::vector<contract::SeriesInfo>& series) {
  std::vector<std::int32_t> indices;
  for (const contract::SeriesInfo& info : series) {
    const auto known = impl_->index_of.find(info.name);
    if (known != impl_->index_of.end()) {
      indices.push_back(known->second);
      continue;
    }
    impl_->write("INSERT INTO series (id, name, unit, module, help) VALUES (?1, ?2, ?3, ?4, ?5)",
                 impl_->series.size(),
                 info.name,
                 info.unit,
                 info.module,
                 info.help);
    indices.push_back(impl_->remember(info));
  }
  return indices;
}

const std::vector<contract::SeriesInfo>& RunWriter::series() const {
  return impl_->series;
}

void RunWriter::step(const contract::StepRecord& record) {
  impl_->begin();
  Impl::Counters next = impl_->now;
  if (record.seq + next.seq_shift <= next.last_seq) {
    next.seq_shift = next.last_seq + 1 - record.seq;
  }
  next.last_seq = record.seq + next.seq_shift;
  ++next.live_rows;
  const std::string samples = encode_samples(record.values);
  impl_->insert_row
      .with(next.last_seq,
            record.segment,
            record.step,
            record.images,
            record.seconds,
            view_of(samples))
      .run();
  impl_->now = next;
}

void RunWriter::status(const contract::StatusReport& report) {
  impl_->begin();
  impl_->update_state
      .with(contract::to_string(report.state),
            report.step,
            report.steps,
            report.images,
            report.optimizer,
            report.agvm,
            report.lr,
            report.micro,
            report.accumulation,
            report.ranks,
            report.phase,
            unix_now(),
            report.lr_in_use,
            report.trouble)
      .run();
}

void RunWriter::heartbeat(double idle_seconds) {
  impl_->begin();
  impl_->update_heartbeat.with(unix_now() - idle_seconds).run();
}

std::int64_t RunWriter::commit() {
  Impl& impl = *impl_;
  if (impl.database.in_transaction()) {
    const auto chunk = static_cast<std::int64_t>(kChunkRows);
    if (impl.now.live_rows >= chunk) {
      impl.folding.fold(impl.now.live_rows / chunk * chunk);
      impl.now.live_rows %= chunk;
    }
    impl.database.execute("COMMIT");
    impl.committed = impl.now;
    impl.truncate_wal();
  }
  return impl.committed.last_seq;
}

void RunWriter::rollback() noexcept {
  impl_->rollback();
}

void RunWriter::Impl::rollback() noexcept {
  try {
    if (database.in_transaction()) {
      database.execute("ROLLBACK");
    }
  } catch (const StorageError&) {  // SQLite had rolled back by itself
  }
  now = committed;
  while (series.size() > now.series) {
    index_of.erase(series.back().name);
    series.pop_back();
  }
}

std::int64_t RunWriter::last_seq() const {
  return impl_->now.last_seq;
}

void RunWriter::finish(contract::RunState state, int exit_code) {
  impl_->write(
      "UPDATE state SET state = ?1, exit_code = ?2, finished = ?3, heartbeat_unix = ?4, "
      "trouble = ''",
      contract::to_string(state),
      exit_code,
      now_utc(),
      unix_now());
  commit();
  const fs::path file = impl_->database.path();
  const bool copied = impl_->write_copy();
  impl_.reset();
  if (copied) {
    put_compact_copy(file);
  }
}

bool RunWriter::Impl::write_copy() noexcept {
  const Clock::time_point end = Clock::now() + kTidyPatience;
  for (;;) {
    try {
      begin();
      folding.fold(now.live_rows);
      database.execute("COMMIT");
      now.live_rows = 0;
      committed = now;
      write_compact_copy(database);
      return true;
    } catch (const BusyError&) {
      rollback();
      if (Clock::now() >= end) {
        return false;
      }
    } catch (const std::exception&) {
      rollback();
      leave_wal(database);
      return false;
    }
  }
}

}  // namespace batchscope::storage
