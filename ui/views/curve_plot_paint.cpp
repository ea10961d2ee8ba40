// The part of CurvePlot that paints what Qt Charts does not.
#include "ui/views/curve_plot.h"
#include "ui/views/theme.h"

#include <QPainter>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr int kMarkerDistance = 130;  // px between the markers that tell curves apart
constexpr int kMostValues = 12;       // rows of the cross-hair's box

QColor markColour(const EventMark& mark) {
  const Palette& p = colours();
  if (mark.abandoned) {
    return p.abandoned;
  }
  switch (mark.kind) {
    case EventMark::Kind::kProblem:
      return p.bad;
    case EventMark::Kind::kChange:
      return p.eventMark;
    case EventMark::Kind::kNote:
      break;
  }
  return p.textMuted;
}

QColor withAlpha(QColor colour, double alpha) {
  colour.setAlphaF(static_cast<float>(alpha));
  return colour;
}

}  // namespace

QList<Tick> CurvePlot::valueTicks() const {
  const QFontMetricsF metrics(font());
  const int room = std::max(2, static_cast<int>(plot_.height() / (metrics.height() + 11)));
  return log_ ? logTicks(y_, room) : linearTicks(y_, room);
}

/// As many as their labels leave room for.
QList<Tick> CurvePlot::placeTicks() const {
  const QFontMetricsF metrics(font());
  for (int count = static_cast<int>(plot_.width() / 40); count > 1; --count) {
    QList<Tick> ticks = linearTicks(x_, count);
    ticks.removeIf([&](const Tick& tick) { return wholeX_ && tick.at != std::round(tick.at); });
    double widest = 0;
    for (const Tick& tick : ticks) {
      widest = std::max(widest, metrics.horizontalAdvance(tick.label));
    }
    if (ticks.size() < 2 ||
        toPlot({ticks[1].at, 0}).x() - toPlot({ticks[0].at, 0}).x() >= widest + 20) {
      return ticks;
    }
  }
  return linearTicks(x_, 1);
}

void CurvePlot::drawBackground(QPainter* painter, const QRectF&) {
  const Palette& p = colours();
  painter->save();
  painter->fillRect(rect(), p.panel);
  painter->fillRect(plot_, p.plot);
  if (saturatedFrom_) {
    const double from = transformed(*saturatedFrom_);
    if (from < y_.high) {
      const double bottom = std::min(plot_.bottom(), toPlot({0, from}).y());
      painter->fillRect(QRectF(plot_.topLeft(), QPointF(plot_.right(), bottom)), p.saturated);
    }
  }
  paintGrid(*painter);
  painter->restore();
}

void CurvePlot::paintGrid(QPainter& painter) const {
  const Palette& p = colours();
  painter.setRenderHint(QPainter::Antialiasing, false);
  painter.setPen(QPen(p.grid, 1));
  for (const Tick& tick : valueTicks()) {
    const double y = std::round(toPlot({0, tick.at}).y());
    painter.drawLine(QPointF(plot_.left(), y), QPointF(plot_.right(), y));
  }
  painter.setPen(QPen(p.border, 1));
  painter.drawLine(plot_.bottomLeft(), plot_.bottomRight());
}

void CurvePlot::drawForeground(QPainter* painter, const QRectF&) {
  painter->save();
  painter->setRenderHint(QPainter::Antialiasing, true);
  paintLabels(*painter);
  paintMarks(*painter);
  paintPoints(*painter);
  if (dragFrom_) {
    QRectF box = QRectF(*dragFrom_, dragTo_).normalized();
    if (!dragBoth_) {
      box.setTop(plot_.top());
      box.setBottom(plot_.bottom());
    }
    painter->setPen(QPen(colours().accent, 1));
    painter->setBrush(withAlpha(colours().accent, 0.15));
    painter->drawRect(box);
  }
  paintCursor(*painter);
  painter->restore();
}

void CurvePlot::paintLabels(QPainter& painter) const {
  const QFontMetricsF metrics(font());
  painter.setFont(font());
  painter.setPen(colours().textMuted);
  for (const Tick& tick : valueTicks()) {
    const double y = toPlot({0, tick.at}).y();
    const QRectF box(0, y - metrics.height() / 2, plot_.left() - 6, metrics.height());
    painter.drawText(box, Qt::AlignRight | Qt::AlignVCenter, tick.label);
  }
  const QRectF title(plot_.left(), plot_.bottom() + 4, plot_.width(), metrics.height());
  const double reserved = metrics.horizontalAdvance(xTitle_) + 16;
  painter.drawText(title, Qt::AlignRight | Qt::AlignTop, xTitle_);
  for (const Tick& tick : placeTicks()) {
    const double x = toPlot({tick.at, 0}).x();
    const double half = metrics.horizontalAdvance(tick.label) / 2 + 2;
    painter.setPen(QPen(colours().border, 1));
    painter.drawLine(QPointF(x, plot_.bottom()), QPointF(x, plot_.bottom() + 3));
    if (x + half < plot_.right() - reserved) {
      painter.setPen(colours().textMuted);
      painter.drawText(QRectF(x - half, plot_.bottom() + 4, 2 * half, metrics.height()),
                       Qt::AlignCenter,
                       tick.label);
    }
  }
}

void CurvePlot::paintMarks(QPainter& painter) const {
  const QFontMetricsF metrics(font());
  QList<double> places;
  for (const EventMark& mark : marks_) {
    places.append(std::round(toPlot({mark.x, 0}).x()) + 0.5);
  }
  for (int i = 0; i < marks_.size(); ++i) {
    const EventMark& mark = marks_[i];
    if (!x_.contains(mark.x)) {
      continue;
    }
    const QColor colour = markColour(mark);
    const double x = places[i];
    painter.setPen(QPen(withAlpha(colour, 0.75), 1, Qt::DashLine));
    painter.drawLine(QPointF(x, plot_.top() - 2), QPointF(x, plot_.bottom()));
    painter.setPen(Qt::NoPen);
    painter.setBrush(colour);
    painter.drawPolygon(
        QPolygonF({{x, plot_.top() - 8}, {x + 7, plot_.top() - 5}, {x, plot_.top() - 2}}));
    // A label is only written where it does not run into another mark.
    const double end = x + 9 + metrics.horizontalAdvance(mark.label);
    bool free = true;
    for (int j = 0; j < marks_.size() && free; ++j) {
      const bool same = std::abs(places[j] - x) <= 1;
      const bool yields =
          mark.abandoned ? !marks_[j].abandoned || j < i : !marks_[j].abandoned && j < i;
      free = j == i || !(same ? yields : places[j] > x && places[j] < end + 3);
    }
    if (free && end <= this->width() - 2 && mark.kind != EventMark::Kind::kNote) {
      painter.setPen(colour);
      painter.drawText(QPointF(x + 9, plot_.top() - 4), mark.label);
    }
  }
}

void CurvePlot::paintPoints(QPainter& painter) const {
  for (int i = 0; i < curves_.size(); ++i) {
    const Curve& curve = curves_[i];
    if (!isShown(curve)) {
      continue;
    }
    const QColor colour =
        curve.abandoned ? colours().abandoned : colours().seriesColor(curve.colour);
    painter.setPen(QPen(colour, 1.4));
    painter.setBrush(colour);
    for (const QPointF& point : drawn_[i].isolated) {
      if (x_.contains(point.x()) && y_.contains(point.y())) {
        paintSeriesMarker(painter, toPlot(point), curve.colour, 3);
      }
    }
    painter.setPen(QPen(colours().bad, 1.6));
    painter.setBrush(Qt::NoBrush);
    for (const QPointF& point : curve.nonfinite) {
      if (x_.contains(point.x())) {
        const double x = toPlot({point.x(), 0}).x();
        const bool down = std::isinf(point.y()) && point.y() < 0;
        paintSeriesMarker(painter, {x, down ? plot_.bottom() - 6 : plot_.top() + 6}, 4, 3.5);
      }
    }
    if (curve.abandoned || curve.forecast) {
      continue;
    }
    painter.setPen(QPen(colour, 1.4));
    painter.setBrush(colours().plot);
    double next = plot_.left() + 20 + 23.0 * (curve.colour % 5);
    for (const QPointF& point : drawn_[i].line) {
      const QPointF at = toPlot(point);
      if (at.x() >= next && x_.contains(point.x()) && y_.contains(point.y())) {
        paintSeriesMarker(painter, at, curve.colour, 3.2);
        next = at.x() + kMarkerDistance;
      }
    }
  }
}

void CurvePlot::paintCursor(QPainter& painter) const {
  if (!cursor_ || !x_.contains(*cursor_)) {
    return;
  }
  const double px = toPlot({*cursor_, 0}).x();
  painter.setPen(QPen(withAlpha(colours().crosshair, 0.8), 1));
  painter.drawLine(QPointF(px, plot_.top()), QPointF(px, plot_.bottom()));
  for (const Curve& curve : curves_) {
    if (curve.abandoned || !isShown(curve)) {
      continue;
    }
    const std::optional<QPointF> sample = sampleAt(curve, *cursor_);
    if (sample && std::isfinite(sample->y()) && !(log_ && sample->y() <= 0)) {
      const QPointF at = toPlot({sample->x(), transformed(sample->y())});
      if (plot_.adjusted(-1, -1, 1, 1).contains(at)) {
        painter.setPen(QPen(colours().plot, 1.5));
        painter.setBrush(colours().seriesColor(curve.colour));
        painter.drawEllipse(at, 4, 4);
      }
    }
  }
  if (withValues_) {
    paintValues(painter, px);
  }
}

void CurvePlot::paintValues(QPainter& painter, double px) const {
  const QFontMetricsF metrics(font());
  QList<std::pair<int, std::pair<QString, QString>>> rows;
  double names = 0;
  double values = 0;
  for (const Curve& curve : curves_) {
    if (curve.abandoned || !isShown(curve) || rows.size() >= kMostValues) {
      continue;
    }
    const std::optional<QPointF> sample = sampleAt(curve, *cursor_);
    const QString value = !sample ? QStringLiteral("–")
                          : curve.unknown && !std::isfinite(sample->y())
                              ? tr("unknown")
                              : formatNumber(sample->y(), 5);
    rows.append({curve.colour, {curve.name, value}});
    names = std::max(names, metrics.horizontalAdvance(curve.name));
    values = std::max(values, metrics.horizontalAdvance(value));
  }
  const QString head =
      QStringLiteral("%1 %2").arg(xTitle_, xText_ ? xText_(*cursor_) : formatNumber(*cursor_, 7));
  const double line = metrics.height() + 1;
  const double width = std::max(names + values + 34, metrics.horizontalAdvance(head)) + 18;
  const double height = line * static_cast<double>(rows.size() + 1) + 12;
  const bool right = px + 12 + width < plot_.right();
  const QRectF box(
      right ? px + 12 : std::max(2.0, px - 12 - width), plot_.top() + 6, width, height);
  painter.setPen(QPen(colours().border, 1));
  painter.setBrush(withAlpha(colours().raised, 0.96));
  painter.drawRoundedRect(box, 5, 5);
  double y = box.top() + 5;
  painter.setPen(colours().textMuted);
  painter.drawText(
      QRectF(box.left() + 9, y, width - 18, line), Qt::AlignLeft | Qt::AlignVCenter, head);
  for (const auto& [index, text] : rows) {
    y += line;
    painter.setPen(QPen(colours().seriesColor(index), 1.4));
    painter.setBrush(colours().seriesColor(index));
    paintSeriesMarker(painter, {box.left() + 14, y + line / 2}, index, 3.2);
    painter.setPen(colours().text);
    const QRectF cell(box.left() + 25, y, width - 34, line);
    painter.drawText(cell, Qt::AlignLeft | Qt::AlignVCenter, text.first);
    painter.drawText(cell, Qt::AlignRight | Qt::AlignVCenter, text.second);
  }
}

}  // namespace batchscope::views
