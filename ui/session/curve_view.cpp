#include "ui/session/curve.h"

#include <algorithm>
#include <cmath>

namespace batchscope::session {

namespace {

/// The samples of one span of a curve: indices [first, end) into its segment's columns.
struct Piece {
  const SegmentCurve* curve = nullptr;
  const storage::Pyramid* pyramid = nullptr;
  std::size_t first = 0, end = 0;
  double from = 0, to = 0;  // x of the first and the last sample
};

bool makePiece(
    const Curve& curve, const AxisColumns& axis, const RowSpan& span, XKind kind, Piece& out) {
  const auto found = curve.segments.find(span.segment);
  if (found == curve.segments.end())
    return false;
  out.curve = &found->second;
  out.pyramid = out.curve->pyramids[static_cast<std::size_t>(kind)].get();
  out.first = out.curve->lowerBound(span.firstRow);
  out.end = out.curve->lowerBound(span.endRow);
  if (!out.pyramid || out.first >= out.end)
    return false;
  out.from = axis.x(kind, out.curve->row[out.first]);
  out.to = axis.x(kind, out.curve->row[out.end - 1]);
  return true;
}

std::int64_t nonPositiveBetween(const Piece& piece, double x0, double x1) {
  const auto& x = piece.pyramid->x();
  const auto begin = x.begin() + static_cast<std::ptrdiff_t>(piece.first);
  const auto end = x.begin() + static_cast<std::ptrdiff_t>(piece.end);
  const auto a = static_cast<std::size_t>(std::lower_bound(begin, end, x0) - x.begin());
  const auto b = static_cast<std::size_t>(std::upper_bound(begin, end, x1) - x.begin());
  if (b <= a)
    return 0;
  const auto before = a == 0 ? 0U : piece.curve->nonPositive[a - 1];
  return static_cast<std::int64_t>(piece.curve->nonPositive[b - 1]) - before;
}

void addBreak(CurvePart& part) {
  const auto at = static_cast<int>(part.points.size());
  if (at > 0 && (part.breaks.isEmpty() || part.breaks.last() != at))
    part.breaks.append(at);
}

/// Appends the pyramid's answer for one piece to a part; only what the piece itself holds.
void addPiece(SeriesView& view,
              CurvePart& part,
              const Piece& piece,
              const storage::CurveView& got) {
  std::size_t nextBreak = 0;
  for (std::size_t i = 0; i < got.points.size(); ++i) {
    const bool cut = nextBreak < got.breaks.size() && got.breaks[nextBreak] <= i;
    while (nextBreak < got.breaks.size() && got.breaks[nextBreak] <= i)
      ++nextBreak;
    const auto& point = got.points[i];
    if (point.x < piece.from || point.x > piece.to)
      continue;
    if (cut)
      addBreak(part);
    part.points.append(QPointF(point.x, point.y));
  }
  for (const auto& marker : got.nonfinite)
    if (marker.x >= piece.from && marker.x <= piece.to)
      part.markers.append(QPointF(marker.x, marker.y));
  view.samples += got.samples;
  view.nonFinite += got.nonfinite_samples;
  view.thinned = view.thinned || got.thinned;
}

void findIsolated(CurvePart& part) {
  const auto count = static_cast<int>(part.points.size());
  const auto cutBefore = [&](int i) {
    return i == 0 || i >= count || std::binary_search(part.breaks.begin(), part.breaks.end(), i);
  };
  for (int i = 0; i < count; ++i)
    if (cutBefore(i) && cutBefore(i + 1))
      part.isolated.append(i);
}

void addPart(SeriesView& view,
             const std::vector<Piece>& pieces,
             bool abandoned,
             std::int64_t segment,
             double x0,
             double x1,
             int pixels) {
  CurvePart part;
  part.abandoned = abandoned;
  part.segment = segment;
  const Piece* previous = nullptr;
  for (const auto& piece : pieces) {
    const bool joined = previous && std::isfinite(previous->curve->y[previous->end - 1]) &&
                        std::isfinite(piece.curve->y[piece.first]);
    if (previous && !joined)
      addBreak(part);
    previous = &piece;
    const auto q0 = std::max(x0, piece.from), q1 = std::min(x1, piece.to);
    if (q0 <= q1) {
      const auto share = x1 > x0 ? (q1 - q0) / (x1 - x0) : 1.0;
      const auto columns = std::max(1, static_cast<int>(pixels * share));
      addPiece(view, part, piece, piece.pyramid->view(q0, q1, columns));
      view.nonPositive += nonPositiveBetween(piece, q0, q1);
      continue;
    }
    // Outside the view: its nearest sample carries the line to the edge.
    const bool before = piece.to < x0;
    const auto at = before ? piece.end - 1 : piece.first;
    const QPointF point(piece.pyramid->x()[at], piece.curve->y[at]);
    if (!std::isfinite(point.y()))
      continue;
    if (before && !part.points.isEmpty()) {
      part.points.clear();
      part.breaks.clear();
    }
    if (before || part.points.isEmpty() || part.points.last().x() <= x1)
      part.points.append(point);
  }
  findIsolated(part);
  if (!part.points.isEmpty() || !part.markers.isEmpty())
    view.parts.append(part);
}

void findRange(SeriesView& view) {
  bool first = true;
  for (const auto& part : view.parts) {
    view.drawn += part.points.size();
    for (const auto& point : part.points) {
      view.xMin = first ? point.x() : std::min(view.xMin, point.x());
      view.xMax = first ? point.x() : std::max(view.xMax, point.x());
      view.yMin = first ? point.y() : std::min(view.yMin, point.y());
      view.yMax = first ? point.y() : std::max(view.yMax, point.y());
      first = false;
    }
  }
}

}  // namespace

void fillView(SeriesView& view,
              const Curve& curve,
              const AxisColumns& axis,
              const std::vector<RowSpan>& spans,
              XKind kind,
              double x0,
              double x1,
              int pixels) {
  std::vector<Piece> live;
  std::int64_t tip = 0;
  for (const auto& span : spans) {
    Piece piece;
    if (!makePiece(curve, axis, span, kind, piece))
      continue;
    if (!span.abandoned) {
      live.push_back(piece);
      tip = span.segment;
    } else if (piece.from <= x1 && piece.to >= x0) {
      addPart(view, {piece}, true, span.segment, x0, x1, pixels);
    }
  }
  if (!live.empty())
    addPart(view, live, false, tip, x0, x1, pixels);
  findRange(view);
}

}  // namespace batchscope::session
