#include "ui/views/curve.h"

#include <QSet>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

// Differences of larger values overflow.
constexpr double kLargest = 1e307;
// The inverse of smaller ranges is infinite.
constexpr double kSmallestSpan = 1e-290;

double transformed(double value, bool log) {
  return log ? std::log10(value) : std::clamp(value, -kLargest, kLargest);
}

void closePiece(QList<QPointF>& piece, DrawnCurve& out) {
  if (piece.size() == 1) {
    out.isolated.append(piece.first());
  } else if (!piece.isEmpty()) {
    if (!out.line.isEmpty()) {
      out.line.append(QPointF(piece.first().x(), std::numeric_limits<double>::quiet_NaN()));
    }
    out.line.append(piece);
  }
  piece.clear();
}

}  // namespace

DrawnCurve drawnCurve(const Curve& curve, bool log) {
  DrawnCurve out;
  const QSet<int> breaks(curve.breaks.cbegin(), curve.breaks.cend());
  QList<QPointF> piece;
  for (int i = 0; i < curve.points.size(); ++i) {
    const QPointF& point = curve.points[i];
    if (breaks.contains(i)) {
      closePiece(piece, out);
    }
    if (!std::isfinite(point.x()) || !std::isfinite(point.y())) {
      closePiece(piece, out);
      continue;
    }
    if (log && point.y() <= 0) {
      ++out.hiddenByLog;
      closePiece(piece, out);
      continue;
    }
    piece.append(QPointF(point.x(), transformed(point.y(), log)));
  }
  closePiece(piece, out);
  return out;
}

std::optional<AxisRange> valueRange(const QList<DrawnCurve>& curves, const AxisRange& x) {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  const auto take = [&](const QPointF& p) {
    if (x.contains(p.x()) && std::isfinite(p.y())) {
      low = std::min(low, p.y());
      high = std::max(high, p.y());
    }
  };
  for (const DrawnCurve& curve : curves) {
    std::for_each(curve.line.cbegin(), curve.line.cend(), take);
    std::for_each(curve.isolated.cbegin(), curve.isolated.cend(), take);
  }
  if (low > high) {
    return std::nullopt;
  }
  const double size = std::max(std::abs(low), std::abs(high));
  if (high - low <= std::max(1e-12 * size, kSmallestSpan)) {
    const double air = size > 0 ? std::max(0.1 * size, kSmallestSpan) : 1.0;
    return AxisRange{low - air, high + air};
  }
  const double air = 0.05 * (high - low);
  return AxisRange{low - air, high + air};
}

std::optional<AxisRange> calmRange(const QList<DrawnCurve>& curves, const AxisRange& x) {
  constexpr qsizetype kEnough = 20;
  constexpr double kFar = 4;
  const std::optional<AxisRange> full = valueRange(curves, x);
  QList<double> values;
  for (const DrawnCurve& curve : curves) {
    for (const QList<QPointF>* points : {&curve.line, &curve.isolated}) {
      for (const QPointF& p : *points) {
        if (x.contains(p.x()) && std::isfinite(p.y())) {
          values.append(p.y());
        }
      }
    }
  }
  if (!full || values.size() < kEnough) {
    return full;
  }
  const auto share = [&](double part) {
    const auto at = values.begin() + static_cast<qsizetype>(part * double(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
  };
  const double low = share(0.15), high = share(0.85), far = kFar * (high - low);
  if (!(far > 0)) {
    return full;
  }
  return AxisRange{std::max(full->low, low - far), std::min(full->high, high + far)};
}

QList<QPointF> toUnitSquare(const QList<QPointF>& line, const AxisRange& x, const AxisRange& y) {
  QList<QPointF> out;
  out.reserve(line.size());
  const double xs = x.span() > 0 ? 1.0 / x.span() : 1.0;
  const double ys = y.span() > 0 ? 1.0 / y.span() : 1.0;
  for (const QPointF& p : line) {
    out.append(QPointF((p.x() - x.low) * xs, (p.y() - y.low) * ys));
  }
  return out;
}

std::optional<QPointF> pointAt(const Curve& curve, double x, int offset) {
  const auto& points = curve.points;
  if (points.isEmpty()) {
    return std::nullopt;
  }
  auto at = std::lower_bound(points.cbegin(),
                             points.cend(),
                             x,
                             [](const QPointF& p, double wanted) { return p.x() < wanted; }) -
            points.cbegin();
  at = std::min(at, points.size() - 1);
  if (at > 0 && x - points[at - 1].x() < points[at].x() - x) {
    --at;
  }
  return points[std::clamp<qsizetype>(at + offset, 0, points.size() - 1)];
}

}  // namespace batchscope::views
