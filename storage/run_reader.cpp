#include "storage/columns.h"
#include "storage/json_text.h"
#include "storage/migrations.h"
#include "storage/run_files.h"
#include "storage/run_reader_impl.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sys/stat.h>

namespace batchscope::storage {
namespace {

constexpr const char* kLastSeq =
    "SELECT max(coalesce((SELECT max(seq) FROM live_row), 0), "
    "coalesce((SELECT max(last_seq) FROM axis_chunk), 0))";

/// Device and inode; zeros if there is no such file.
std::pair<std::uint64_t, std::uint64_t> identity_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    return {};
  }
  return {std::uint64_t{status.st_dev}, std::uint64_t{status.st_ino}};
}

/// Keeps what lies in after < seq <= through of one chunk.
void append_range(const Column& from, std::int64_t after, std::int64_t through, SeriesSamples& to) {
  const auto begin = std::upper_bound(from.seq.begin(), from.seq.end(), after);
  const auto end = std::upper_bound(begin, from.seq.end(), through);
  const auto at = from.value.begin() + (begin - from.seq.begin());
  to.seq.insert(to.seq.end(), begin, end);
  to.value.insert(to.value.end(), at, at + (end - begin));
}

void append_range(const AxisColumns& from, std::int64_t after, std::int64_t through, RowAxis& to) {
  const auto begin = std::upper_bound(from.seq.begin(), from.seq.end(), after);
  const auto end = std::upper_bound(begin, from.seq.end(), through);
  const auto first = begin - from.seq.begin();
  const auto last = end - from.seq.begin();
  const auto append = [first, last](auto& out, const auto& values) {
    out.insert(out.end(), values.begin() + first, values.begin() + last);
  };
  append(to.seq, from.seq);
  append(to.segment, from.segment);
  append(to.step, from.step);
  append(to.images, from.images);
  append(to.seconds, from.seconds);
}

/// A count and one more, which a file says: of no use where they do not fit, but no fault.
std::int64_t with(std::int64_t count, std::int64_t more) {
  std::int64_t sum = 0;
  return __builtin_add_overflow(count, more, &sum) ? std::numeric_limits<std::int64_t>::max() : sum;
}

}  // namespace

RunReader::Impl::Impl(const std::filesystem::path& path, ReadLimits reading)
    : file(run_file_of(path)),
      limits(reading),
      database(Database::open_for_reading(file, limits)),
      identity(identity_of(file)) {
  check_run_file(database);
}

Database& RunReader::Impl::current() {
  const Identity now = identity_of(file);
  if (now != identity && now != Identity{}) {
    database = Database::open_for_reading(file, limits);
    identity = now;
    check_run_file(database);
  }
  return database;
}

RunReader::RunReader(const std::filesystem::path& path, ReadLimits limits)
    : impl_(std::make_unique<Impl>(path, limits)) {}
RunReader::~RunReader() = default;
RunReader::RunReader(RunReader&&) noexcept = default;

contract::RunInfo RunReader::info() {
  Statement row(impl_->current(),
                "SELECT id, name, spec_toml, engine_version, host, device, threads, data_checksum, "
                "modules, classes, steps, total_images, parent_run, parent_step, started FROM run");
  if (!row.step()) {
    throw contract::StorageError("'" + impl_->file.string() + "' is damaged: it names no run");
  }
  contract::RunInfo info;
  info.id = row.text(0);
  info.name = row.text(1);
  info.spec_toml = row.text(2);
  info.engine_version = row.text(3);
  info.host = row.text(4);
  info.device = row.text(5);
  info.threads = row.integer(6);
  info.data_checksum = row.text(7);
  info.modules = list_from_json(row.text(8));
  info.classes = list_from_json(row.text(9));
  info.steps = row.integer(10);
  info.total_images = row.integer(11);
  info.parent_run = row.text(12);
  info.parent_step = row.integer(13);
  info.started = row.text(14);
  return info;
}

std::vector<contract::SeriesInfo> RunReader::series() {
  std::vector<contract::SeriesInfo> all;
  Statement row(impl_->current(), "SELECT name, unit, module, help FROM series ORDER BY id");
  while (row.step()) {
    all.push_back({row.text(0), row.text(1), row.text(2), row.text(3)});
  }
  return all;
}

std::vector<contract::SegmentRecord> RunReader::segments() {
  std::vector<contract::SegmentRecord> all;
  Statement row(impl_->current(),
                "SELECT segment, parent, start_step, abandoned_after, reason FROM segment "
                "ORDER BY segment");
  while (row.step()) {
    all.push_back({row.integer(0), row.integer(1), row.integer(2), row.integer(3), row.text(4)});
  }
  return all;
}

StoredState RunReader::state() {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  const bool tells_more = database.query_integer("PRAGMA user_version") >= 3;
  const std::string more = tells_more ? "lr_in_use, trouble" : "lr, ''";
  Statement row(database,
                "SELECT state, step, steps, images, optimizer, agvm, lr, micro, accumulation, "
                "ranks, phase, pid, pid_started, boot_id, heartbeat_unix, exit_code, finished, "
                "(SELECT id FROM run), " +
                    more + " FROM state");
  if (!row.step()) {
    throw contract::StorageError("'" + impl_->file.string() + "' is damaged: it holds no state");
  }
  StoredState stored;
  contract::StatusReport& report = stored.report;
  try {
    report.state = contract::run_state_from(row.text(0));
  } catch (const contract::SpecError& error) {
    throw contract::StorageError("'" + impl_->file.string() + "' is damaged: " + error.what());
  }
  report.step = row.integer(1);
  report.steps = row.integer(2);
  report.images = row.integer(3);
  report.optimizer = row.text(4);
  report.agvm = row.integer(5) != 0;
  report.lr = row.number(6);
  report.micro = row.integer(7);
  report.accumulation = row.integer(8);
  report.ranks = row.integer(9);
  report.phase = row.text(10);
  stored.pid = row.integer(11);
  stored.pid_started = row.text(12);
  stored.boot_id = row.text(13);
  stored.heartbeat_unix = row.number(14);
  if (!row.is_null(15)) {
    stored.exit_code = static_cast<int>(row.integer(15));
  }
  stored.finished = row.text(16);
  report.run_id = row.text(17);
  report.lr_in_use = row.number(18);
  report.trouble = row.text(19);
  report.committed_seq = database.query_integer(kLastSeq);
  return stored;
}

std::int64_t RunReader::last_seq() {
  return impl_->current().query_integer(kLastSeq);
}

std::int64_t RunReader::read_axis(std::int64_t after, RowAxis& out, std::int64_t through) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  const std::size_t before = out.seq.size();
  // Chunks do not overlap, so the one before the first that starts behind `after` is the earliest
  // with something to give.
  Statement chunk(database,
                  "SELECT count, rows FROM axis_chunk WHERE last_seq > ?1 AND first_seq <= ?2 AND "
                  "first_seq >= coalesce((SELECT max(first_seq) FROM axis_chunk WHERE first_seq "
                  "<= ?1), 0) ORDER BY first_seq");
  chunk.with(after, through);
  while (chunk.step()) {
    AxisColumns axis;
    decode_axis(chunk.bytes(1), chunk.integer(0), axis);
    append_range(axis, after, through, out);
  }
  Statement live(database,
                 "SELECT seq, segment, step, images, seconds FROM live_row WHERE seq > ?1 AND seq "
                 "<= ?2 ORDER BY seq");
  live.with(after, through);
  while (live.step()) {
    out.seq.push_back(live.integer(0));
    out.segment.push_back(live.integer(1));
    out.step.push_back(live.integer(2));
    out.images.push_back(live.integer(3));
    out.seconds.push_back(live.number(4));
  }
  return out.seq.size() > before ? out.seq.back() : after;
}

std::int64_t RunReader::read_series(std::int32_t series,
                                    std::int64_t after,
                                    SeriesSamples& out,
                                    std::int64_t through) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  const std::size_t before = out.seq.size();
  Statement chunk(database,
                  "SELECT first_seq, count, offsets, samples FROM series_chunk WHERE series = ?1 "
                  "AND last_seq > ?2 AND first_seq <= ?3 AND first_seq >= coalesce((SELECT "
                  "max(first_seq) FROM series_chunk WHERE series = ?1 AND first_seq <= ?2), 0) "
                  "ORDER BY first_seq");
  chunk.with(series, after, through);
  while (chunk.step()) {
    Column column;
    const std::int64_t count = chunk.integer(1);
    decode_offsets(chunk.bytes(2), chunk.integer(0), count, column.seq);
    decode_values(chunk.bytes(3), count, column.value);
    append_range(column, after, through, out);
  }
  Statement live(database,
                 "SELECT seq, samples FROM live_row WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
  live.with(after, through);
  while (live.step()) {
    double value = 0;
    if (find_sample(live.bytes(1), series, value)) {
      out.seq.push_back(live.integer(0));
      out.value.push_back(value);
    }
  }
  return out.seq.size() > before ? out.seq.back() : after;
}

SeriesSummary RunReader::summary(std::int32_t series) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  SeriesSummary all;
  all.min = all.max = std::nan("");
  const auto add = [&all](std::int64_t count, double min, double max, double first, double last) {
    all.min = std::fmin(all.min, min);
    all.max = std::fmax(all.max, max);
    all.first = all.count == 0 ? first : all.first;
    all.last = last;
    all.count = with(all.count, count);
  };
  Statement chunk(database,
                  "SELECT count, nonfinite, min, max, first, last FROM series_chunk "
                  "WHERE series = ?1 ORDER BY first_seq");
  chunk.with(series);
  while (chunk.step()) {
    const double none = std::nan("");
    all.nonfinite = with(all.nonfinite, chunk.integer(1));
    add(chunk.integer(0),
        chunk.is_null(2) ? none : chunk.number(2),
        chunk.is_null(3) ? none : chunk.number(3),
        chunk.number(4),
        chunk.number(5));
  }
  Statement live(database, "SELECT samples FROM live_row ORDER BY seq");
  while (live.step()) {
    double value = 0;
    if (find_sample(live.bytes(0), series, value)) {
      const double finite = std::isfinite(value) ? value : std::nan("");
      all.nonfinite += std::isfinite(value) ? 0 : 1;
      add(1, finite, finite, value, value);
    }
  }
  return all;
}

}  // namespace batchscope::storage
