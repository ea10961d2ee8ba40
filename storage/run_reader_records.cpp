#include "storage/columns.h"
#include "storage/json_text.h"
#include "storage/lineage.h"
#include "storage/run_reader_impl.h"

#include <algorithm>

namespace batchscope::storage {

std::vector<StoredEvent> RunReader::events(std::int64_t after_id) {
  std::vector<StoredEvent> all;
  Statement row(impl_->current(),
                "SELECT id, segment, step, seq, time, kind, source, text, args FROM event "
                "WHERE id > ?1 ORDER BY id");
  row.with(after_id);
  while (row.step()) {
    all.push_back({row.integer(0),
                   {row.integer(1),
                    row.integer(2),
                    row.integer(3),
                    row.text(4),
                    row.text(5),
                    row.text(6),
                    row.text(7),
                    map_from_json(row.text(8))}});
  }
  return all;
}

std::vector<StoredEval> RunReader::evals(std::int64_t after_id) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  std::vector<StoredEval> all;
  Statement row(database,
                "SELECT id, segment, step, images, seconds, pictures, eval_seconds FROM eval "
                "WHERE id > ?1 ORDER BY id");
  Statement metric(database, "SELECT name, value FROM eval_metric WHERE eval = ?1");
  row.with(after_id);
  while (row.step()) {
    StoredEval eval{row.integer(0),
                    {row.integer(1),
                     row.integer(2),
                     row.integer(3),
                     row.number(4),
                     row.integer(5),
                     row.number(6),
                     {}}};
    metric.with(eval.id);
    while (metric.step()) {
      eval.record.metrics[metric.text(0)] = metric.number(1);
    }
    all.push_back(std::move(eval));
  }
  return all;
}

namespace {

/// Files of version 1 know nothing of pixels, and are read as they are.
std::string pixels_column(Database& database) {
  return database.query_integer("PRAGMA user_version") < 2 ? "x''" : "ifnull(pixels, x'')";
}

}  // namespace

namespace {

/// Whoever draws a picture takes memory for each of its pixels.
void check_picture(const Statement& row, const std::filesystem::path& file) {
  constexpr std::int64_t kLongestSide = 65535, kMostPixels = 64 << 20;
  const std::int64_t width = row.integer(2), height = row.integer(3);
  const auto fits = [](std::int64_t side) { return side >= 1 && side <= kLongestSide; };
  if (!fits(width) || !fits(height) || width * height > kMostPixels) {
    throw contract::StorageError("'" + file.string() + "' is damaged: its picture " +
                                 std::to_string(row.integer(0)) + " is " + std::to_string(width) +
                                 " x " + std::to_string(height) + " pixels, expected at most " +
                                 std::to_string(kMostPixels) + " in all");
  }
}

}  // namespace

std::vector<contract::ProbeRecord> RunReader::probes() {
  std::vector<contract::ProbeRecord> all;
  Database& database = impl_->current();
  Statement row(database,
                "SELECT probe, name, width, height, png, truth, " + pixels_column(database) +
                    " FROM probe ORDER BY probe");
  while (row.step()) {
    check_picture(row, impl_->file);
    all.push_back({row.integer(0),
                   row.text(1),
                   static_cast<std::int32_t>(row.integer(2)),
                   static_cast<std::int32_t>(row.integer(3)),
                   std::string(row.bytes(4)),
                   decode_boxes(row.bytes(5)),
                   decode_pixels(row.bytes(6))});
  }
  return all;
}

std::int64_t RunReader::probe_count() {
  return impl_->current().query_integer("SELECT count(*) FROM probe");
}

std::vector<StoredPredictions> RunReader::predicted(std::int64_t after_id) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  const std::int64_t newest = database.query_integer("SELECT max(rowid) FROM prediction");
  std::vector<StoredPredictions> all;
  if (newest == after_id) {
    return all;
  }
  Statement row(database,
                "SELECT max(rowid), segment, step FROM prediction WHERE rowid > ?1 "
                "GROUP BY segment, step ORDER BY 1");
  row.with(newest < after_id ? 0 : after_id);
  while (row.step()) {
    all.push_back({row.integer(0), row.integer(1), row.integer(2)});
  }
  return all;
}

namespace {

void read_predictions(Database& database,
                      std::int64_t segment,
                      std::int64_t step,
                      std::vector<contract::PredictionRecord>& out) {
  Statement row(database,
                "SELECT probe, boxes, " + pixels_column(database) +
                    " FROM prediction WHERE segment = ?1 AND step = ?2 ORDER BY probe");
  row.with(segment, step);
  while (row.step()) {
    out.push_back(
        {row.integer(0), segment, step, decode_boxes(row.bytes(1)), decode_pixels(row.bytes(2))});
  }
}

}  // namespace

std::vector<contract::PredictionRecord> RunReader::predictions_at(std::int64_t segment,
                                                                  std::int64_t step) {
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  std::vector<contract::PredictionRecord> all;
  read_predictions(database, segment, step, all);
  return all;
}

std::vector<contract::PredictionRecord> RunReader::predictions(std::int64_t segment,
                                                               std::int64_t step) {
  const std::vector<LineageSpan> spans = lineage(segments(), segment);
  Database& database = impl_->current();
  const Transaction snapshot(database, Transaction::Kind::kRead);
  Statement newest(
      database, "SELECT max(step) FROM prediction WHERE segment = ?1 AND step BETWEEN ?2 AND ?3");
  std::vector<contract::PredictionRecord> all;
  for (auto span = spans.rbegin(); span != spans.rend() && all.empty(); ++span) {
    // The picture of the untrained model is taken after update start_step, before the first row.
    newest.with(span->segment, span->first_step - 1, std::min(span->last_step, step));
    if (newest.step() && !newest.is_null(0)) {
      read_predictions(database, span->segment, newest.integer(0), all);
    }
  }
  return all;
}

std::vector<contract::CheckpointRecord> RunReader::checkpoints() {
  std::vector<contract::CheckpointRecord> all;
  Statement row(impl_->current(),
                "SELECT segment, step, file, kind, bytes FROM checkpoint ORDER BY segment, step, "
                "file");
  while (row.step()) {
    all.push_back({row.integer(0), row.integer(1), row.text(2), row.text(3), row.integer(4)});
  }
  return all;
}

}  // namespace batchscope::storage
