#pragma once

#include "storage/pyramid.h"
#include "ui/session/view_data.h"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace batchscope::session {

/// Causal exponential mean without the bias towards its start:
/// m_t = w·m_{t-1} + (1 - w)·y_t, value m_t / (1 - w^t), t counting finite samples. A non-finite
/// sample gives NaN and leaves the state. weight 0…0.999.
class DebiasedMean {
 public:
  explicit DebiasedMean(double weight = 0) : weight_(weight) {}
  double next(double y);

 private:
  double weight_, mean_ = 0, power_ = 1;
};

/// The rows of a run as columns, in seq order. `play` is the time on the timeline: the training
/// seconds since the first row, never running back.
struct AxisColumns {
  std::vector<std::int64_t> seq, segment, step, images;
  std::vector<double> seconds, play;
  std::int64_t rows() const { return static_cast<std::int64_t>(seq.size()); }
  double x(XKind kind, std::int64_t row) const;
  /// The row of the newest seq <= `wanted`, or -1.
  std::int64_t rowOfSeq(std::int64_t wanted) const;
};

/// A segment and the rows that it holds (contiguous; -1, -1 before the first).
struct SegmentRows {
  std::int64_t segment = 0, parent = -1, startStep = 0;
  std::int64_t firstRow = -1, endRow = -1;
};

/// A segment of the live line and the last of its steps that counts.
struct LineSegment {
  std::int64_t segment = 0;
  std::int64_t lastStep = std::numeric_limits<std::int64_t>::max();
};
/// The live line, newest segment first, when only the rows before `limit` exist. `segments` in
/// order of their number; `atEnd` says that no later row is hidden.
std::vector<LineSegment> lineAt(const std::vector<SegmentRows>& segments,
                                std::int64_t limit,
                                bool atEnd);

/// Rows that are drawn together, [firstRow, endRow).
struct RowSpan {
  std::int64_t segment = 0, firstRow = 0, endRow = 0;
  bool abandoned = false;
};

/// What is drawn of them: the live line in order, then what is abandoned.
std::vector<RowSpan> spansAt(const AxisColumns& axis,
                             const std::vector<SegmentRows>& segments,
                             std::int64_t limit,
                             bool atEnd);

/// Samples of one series in one segment, with a pyramid per x axis that was asked for.
struct SegmentCurve {
  std::vector<std::int32_t> row;
  std::vector<double> y;
  std::vector<std::uint32_t> nonPositive;  // of the first i + 1 samples
  std::array<std::unique_ptr<storage::Pyramid>, 3> pyramids;

  void append(const AxisColumns& axis, std::int64_t axisRow, double value);
  void addPyramid(const AxisColumns& axis, XKind kind);
  /// Index of the first sample at or after this row.
  std::size_t lowerBound(std::int64_t axisRow) const;
};

/// One series, raw or smoothed, over all segments.
struct Curve {
  std::map<std::int64_t, SegmentCurve> segments;
  std::array<bool, 3> kinds{};
  std::int64_t readTo = -1;  // every sample up to this seq is in
  double weight = 0;
  std::map<std::int64_t, DebiasedMean> means;  // state at the end of each segment, smoothed only

  void addKind(const AxisColumns& axis, XKind kind);
  void append(const AxisColumns& axis, std::int64_t axisRow, double value);
  /// Takes from `raw` what is not in yet, smoothed along the line that each segment continues.
  void smoothFrom(const Curve& raw,
                  const AxisColumns& axis,
                  const std::vector<SegmentRows>& segmentRows);

 private:
  DebiasedMean meanAtStart(const Curve& raw,
                           const AxisColumns& axis,
                           const std::vector<SegmentRows>& segmentRows,
                           std::int64_t segment) const;
};

/// Cuts the view out of a curve; x0 <= x1, pixels >= 1.
void fillView(SeriesView& view,
              const Curve& curve,
              const AxisColumns& axis,
              const std::vector<RowSpan>& spans,
              XKind kind,
              double x0,
              double x1,
              int pixels);

}  // namespace batchscope::session
