#include "storage/run_reader.h"
#include "ui/session/run_worker.h"

#include <algorithm>

namespace batchscope::session {

namespace {

// Samples appended under one hold of the store's lock: about a millisecond.
constexpr std::size_t kSlice = 8192;
constexpr int kSignalEveryMs = 60;

}  // namespace

void RunWorker::fulfil() {
  if (cancelled_)
    return;
  QElapsedTimer since;
  since.start();
  try {
    if (!reader_)
      return;
    for (const auto& want : store_->takeWants()) {
      if (cancelled_)
        return;
      makeCurve(want);
      if (since.elapsed() > kSignalEveryMs) {
        Q_EMIT curvesReady(generation_);
        since.restart();
      }
    }
  } catch (const std::exception& error) {
    report(QString::fromUtf8(error.what()));
  }
  Q_EMIT curvesReady(generation_);
}

void RunWorker::makeCurve(const CurveWant& want) {
  const CurveKey rawKey{want.key.series, 0};
  const auto kind = static_cast<std::size_t>(want.kind);
  // A kind that is missing in a curve that views use is built aside and swapped in.
  const auto build = [&](const CurveKey& key) {
    auto curve = std::make_unique<Curve>();
    if (const auto* known = store_->curve(key))
      curve->kinds = known->kinds;
    curve->kinds[kind] = true;
    curve->weight = key.weight();
    if (key.thousandths == 0)
      readInto(*curve, key.series, false);
    else
      curve->smoothFrom(*store_->curve(rawKey), store_->axis(), store_->segments());
    store_->publish(key, std::move(curve));
  };
  const bool smoothed = want.key.thousandths > 0;
  const auto* raw = store_->curve(rawKey);
  if (!raw || (!smoothed && !raw->kinds[kind]))
    build(rawKey);
  else
    extendRaw(rawKey);
  if (!smoothed)
    return;
  const auto* known = store_->curve(want.key);
  if (!known || !known->kinds[kind])
    build(want.key);
  else
    extendSmoothed(want.key);
}

void RunWorker::extendRaw(const CurveKey& key) {
  auto* curve = store_->curve(key);
  const auto& axis = store_->axis();
  if (!curve || axis.seq.empty() || curve->readTo >= axis.seq.back())
    return;
  readInto(*curve, key.series, true);
}

void RunWorker::extendSmoothed(const CurveKey& key) {
  auto* curve = store_->curve(key);
  const auto* raw = store_->curve({key.series, 0});
  if (!curve || !raw || curve->readTo == raw->readTo)
    return;
  store_->change([&] { curve->smoothFrom(*raw, store_->axis(), store_->segments()); });
}

void RunWorker::readInto(Curve& curve, int series, bool published) {
  const auto& axis = store_->axis();
  if (axis.seq.empty())
    return;
  storage::SeriesSamples samples;
  reader_->read_series(series, curve.readTo, samples);
  // Rows that came after the axis was read follow with the next read.
  const auto newest = axis.seq.back();
  const auto count = static_cast<std::size_t>(
      std::upper_bound(samples.seq.begin(), samples.seq.end(), newest) - samples.seq.begin());
  std::int64_t row = -1;
  const auto append = [&](std::size_t from, std::size_t to) {
    for (auto i = from; i < to; ++i) {
      const bool next = row >= 0 && row + 1 < axis.rows() &&
                        axis.seq[static_cast<std::size_t>(row + 1)] == samples.seq[i];
      row = next ? row + 1 : axis.rowOfSeq(samples.seq[i]);
      if (row >= 0)
        curve.append(axis, row, samples.value[i]);
    }
  };
  for (std::size_t from = 0; from < count && !cancelled_; from += kSlice) {
    const auto to = std::min(count, from + kSlice);
    if (published)
      store_->change([&] { append(from, to); });
    else
      append(from, to);
  }
  if (published)
    store_->change([&] { curve.readTo = newest; });
  else
    curve.readTo = newest;
}

}  // namespace batchscope::session
