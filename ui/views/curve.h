#pragma once

#include <QList>
#include <QPointF>
#include <QString>

#include <limits>
#include <optional>

namespace batchscope::views {

/// What a chart draws of one unbroken line of a series, already reduced to the pixels of the view.
struct Curve {
  QString id;      // stable over updates, unique in the chart
  QString series;  // shared by the lines of one series; the legend shows and hides by it
  QString name;    // shown in the legend
  QString help;    // tooltip of the legend entry
  int colour = 0;
  bool abandoned = false;    // steps that an undo left behind: grey, not in the legend
  bool forecast = false;     // computed, not measured: thin and dotted
  QList<QPointF> points;     // finite, x not decreasing
  QList<int> breaks;         // indices of points before which the line is interrupted
  QList<QPointF> nonfinite;  // x of NaN and ±inf samples; y carries which
  qint64 samples = 0;        // raw samples in view
  qint64 nonfiniteSamples = 0;
  std::optional<qint64> nonPositive;  // raw samples <= 0 in view; absent: count the points
  bool thinned = false;
  bool unknown = false;  // what is not finite is unknown by definition: gaps, no markers
};

/// A vertical mark: something happened at x.
struct EventMark {
  enum class Kind { kChange, kProblem, kNote };
  double x = 0;
  QString label;   // a word or two
  QString detail;  // sentence of the tooltip
  Kind kind = Kind::kNote;
  bool abandoned = false;
};

/// A closed range of an axis.
struct AxisRange {
  double low = 0, high = 1;
  double span() const { return high - low; }
  bool contains(double v) const { return v >= low && v <= high; }
  bool operator==(const AxisRange&) const = default;
};

/// A curve as it goes to the canvas: values after the log transform, gaps as NaN points.
struct DrawnCurve {
  QList<QPointF> line;      // x as measured, y transformed; NaN y = gap
  QList<QPointF> isolated;  // points without a neighbour: a line would not show them
  qint64 hiddenByLog = 0;   // points ≤ 0 left out of a logarithmic view
};

/// Splits a curve into line and isolated points, leaves out values ≤ 0 when `log`, and takes log10.
DrawnCurve drawnCurve(const Curve& curve, bool log);

/// The y range (after the transform) of what lies within `x`, 5 % air on both sides; a constant
/// curve gets a range relative to its value. Absent when nothing is to be seen.
std::optional<AxisRange> valueRange(const QList<DrawnCurve>& curves, const AxisRange& x);

/// The same without what runs away, for curves that are compared: the range ends 4 times the spread
/// of the middle 70 % of the points from them. As valueRange() where nothing lies farther out, for
/// few points, and where the middle has no spread.
std::optional<AxisRange> calmRange(const QList<DrawnCurve>& curves, const AxisRange& x);

/// Line points scaled to the unit square of (x, y): small numbers for the canvas whatever the data.
QList<QPointF> toUnitSquare(const QList<QPointF>& line, const AxisRange& x, const AxisRange& y);

/// The point nearest to x, `offset` points further, at most the ends; absent if there is none.
std::optional<QPointF> pointAt(const Curve& curve, double x, int offset = 0);

}  // namespace batchscope::views
