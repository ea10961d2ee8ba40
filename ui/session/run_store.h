#pragma once

#include "ui/session/curve.h"

#include <QHash>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <vector>

namespace batchscope::session {

/// Which curve: a series of the run, raw (0) or smoothed with weight thousandths / 1000.
struct CurveKey {
  int series = 0;
  int thousandths = 0;
  bool operator==(const CurveKey&) const = default;
  bool operator<(const CurveKey& other) const {
    return std::tie(series, thousandths) < std::tie(other.series, other.thousandths);
  }
  double weight() const { return thousandths / 1000.0; }
};
struct CurveWant {
  CurveKey key;
  XKind kind = XKind::kStep;
  bool operator==(const CurveWant&) const = default;
};

/// What is in memory of one run. The worker alone changes it; it builds aside and holds the lock
/// only to publish, so that views never wait long. The GUI thread calls the const functions and
/// `view`.
class RunStore {
 public:
  // GUI thread.
  std::int64_t rows() const;
  double duration() const;
  /// Rows whose place on the timeline is <= play.
  std::int64_t rowsUpTo(double play) const;
  /// Fills the view from memory. False: something of it has to be read first; it is noted as
  /// wanted.
  bool view(SeriesView& view,
            const CurveWant& want,
            std::int64_t limit,
            double x0,
            double x1,
            int pixels);
  /// Range of an axis over the first `limit` rows.
  QPointF xRange(XKind kind, std::int64_t limit) const;
  /// Row `row` without a value; invalid outside.
  SampleItem rowItem(std::int64_t row) const;
  /// Newest live row at `limit` whose step is <= step; -1: none.
  std::int64_t liveRowOfStep(std::int64_t step, std::int64_t limit) const;
  /// Samples on the live line (and abandoned ones) in [x0, x1] at `limit`.
  QList<SampleItem> samples(const CurveKey& key,
                            XKind kind,
                            std::int64_t limit,
                            double x0,
                            double x1,
                            bool abandoned) const;
  SampleItem nearest(
      const CurveKey& key, XKind kind, std::int64_t limit, double x, int offset) const;
  SampleItem nextNonFinite(const CurveKey& key, XKind kind, std::int64_t limit, double x) const;
  /// What is drawn at `limit`, and the segment table.
  std::vector<RowSpan> spans(std::int64_t limit) const;
  std::vector<LineSegment> line(std::int64_t limit) const;
  bool hasWants() const;
  /// Only the newest wish counts.
  void wantProbes(const PredictionPlace& place);

  // Worker thread.
  const AxisColumns& axis() const { return axis_; }
  const std::vector<SegmentRows>& segments() const { return segments_; }
  void setSegments(std::vector<SegmentRows> segments);
  void appendAxis(const AxisColumns& block);
  std::vector<CurveWant> takeWants();
  std::optional<PredictionPlace> takeProbeWant();
  /// After a read that failed; nothing if another place is wanted by now.
  void wantProbesAgain(const PredictionPlace& place);
  /// Curves that were looked at in the last ten seconds.
  std::vector<CurveKey> watched() const;
  Curve* curve(const CurveKey& key);
  void publish(const CurveKey& key, std::unique_ptr<Curve> curve);
  template <typename Change>
  void change(Change&& apply) {
    const std::lock_guard lock(mutex_);
    apply();
  }

 private:
  struct Entry {
    std::unique_ptr<Curve> curve;
    std::chrono::steady_clock::time_point viewed;
  };
  std::vector<RowSpan> spansLocked(std::int64_t limit) const;
  SampleItem itemLocked(std::int64_t row, XKind kind) const;
  const Curve* find(const CurveKey& key) const;
  void appendRowLocked(const AxisColumns& block, std::size_t i);
  void wantLocked(const CurveWant& want);

  mutable std::mutex mutex_;
  AxisColumns axis_;
  std::vector<SegmentRows> segments_;
  std::map<CurveKey, Entry> curves_;
  std::vector<CurveWant> wants_;
  std::optional<PredictionPlace> probeWant_;
};

}  // namespace batchscope::session
