#include "storage/columns.h"
#include "storage/json_text.h"
#include "storage/run_files.h"
#include "storage/run_writer_impl.h"

namespace batchscope::storage {

void RunWriter::segment(const contract::SegmentRecord& record) {
  impl_->write(
      "INSERT OR REPLACE INTO segment (segment, parent, start_step, abandoned_after, reason) "
      "VALUES (?1, ?2, ?3, ?4, ?5)",
      record.segment,
      record.parent,
      record.start_step,
      record.abandoned_after,
      record.reason);
}

void RunWriter::event(const contract::EventRecord& record) {
  impl_->write(
      "INSERT INTO event (segment, step, seq, time, kind, source, text, args) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
      record.segment,
      record.step,
      impl_->now.last_seq,
      record.time.empty() ? now_utc() : record.time,
      record.kind,
      record.source,
      record.text,
      to_json(record.args));
}

void RunWriter::eval(const contract::EvalRecord& record) {
  impl_->write(
      "INSERT INTO eval (segment, step, images, seconds, pictures, eval_seconds) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
      record.segment,
      record.step,
      record.images,
      record.seconds,
      record.pictures,
      record.eval_seconds);
  const std::int64_t id = impl_->database.last_insert_id();
  for (const auto& [name, value] : record.metrics) {
    impl_->write(
        "INSERT INTO eval_metric (eval, name, value) VALUES (?1, ?2, ?3)", id, name, value);
  }
}

void RunWriter::probe(const contract::ProbeRecord& record) {
  const std::string truth = encode_boxes(record.truth), pixels = encode_pixels(record.pixels);
  impl_->begin();
  Statement same(impl_->database,
                 "SELECT probe FROM probe WHERE name = ?1 AND png = ?2 AND truth = ?3 AND "
                 "ifnull(pixels, x'') = ?4");
  same.with(record.name, view_of(record.png), view_of(truth), view_of(pixels));
  if (same.step()) {
    impl_->probe_of[record.probe] = same.integer(0);
    return;
  }
  Statement taken(impl_->database,
                  "SELECT (SELECT max(probe) FROM probe) FROM probe WHERE probe = ?1");
  taken.with(record.probe);
  const std::int64_t number = taken.step() ? taken.integer(0) + 1 : record.probe;
  impl_->probe_of[record.probe] = number;
  impl_->write(
      "INSERT INTO probe (probe, name, width, height, png, truth, pixels) "
      "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
      number,
      record.name,
      record.width,
      record.height,
      view_of(record.png),
      view_of(truth),
      view_of(pixels));
}

void RunWriter::prediction(const contract::PredictionRecord& record) {
  const std::string boxes = encode_boxes(record.boxes), pixels = encode_pixels(record.pixels);
  const auto stored = impl_->probe_of.find(record.probe);
  impl_->write(
      "INSERT OR REPLACE INTO prediction (segment, step, probe, boxes, pixels) "
      "VALUES (?1, ?2, ?3, ?4, ?5)",
      record.segment,
      record.step,
      stored == impl_->probe_of.end() ? record.probe : stored->second,
      view_of(boxes),
      view_of(pixels));
}

void RunWriter::checkpoint(const contract::CheckpointRecord& record) {
  impl_->write(
      "INSERT OR REPLACE INTO checkpoint (file, segment, step, kind, bytes) "
      "VALUES (?1, ?2, ?3, ?4, ?5)",
      record.file,
      record.segment,
      record.step,
      record.kind,
      record.bytes);
}

void RunWriter::checkpoint_removed(const std::string& file) {
  impl_->write("DELETE FROM checkpoint WHERE file = ?1", file);
}

}  // namespace batchscope::storage
