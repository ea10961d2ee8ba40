// The part of CurveChart that moves range and cross-hair, says where they stand, and copies.
#include "ui/views/chart_legend.h"
#include "ui/views/curve_chart.h"
#include "ui/views/theme.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

void CurveChart::wantRange(double low, double high) {
  if (!(high > low) || !std::isfinite(low) || !std::isfinite(high)) {
    return;
  }
  const AxisRange full = full_.value_or(AxisRange{low, high});
  low = std::max(low, full.low);
  high = std::min(high, full.high);
  // Nearer than this a double cannot tell neighbouring samples apart.
  if (high - low < 1e-9 * std::max(1.0, std::abs(high))) {
    return;
  }
  if (low <= full.low && high >= full.high) {
    link_->setRange(std::nullopt);
  } else {
    link_->setRange(AxisRange{low, high});
  }
}

void CurveChart::zoom(double factor) {
  const AxisRange x = plot_->xRange();
  const double centre = plot_->cursor().value_or((x.low + x.high) / 2);
  wantRange(centre - (centre - x.low) / factor, centre + (x.high - centre) / factor);
}

void CurveChart::fit() {
  plot_->setValueRange(std::nullopt);
  link_->setRange(std::nullopt);
}

const Curve* CurveChart::currentCurve() const {
  const Curve* first = nullptr;
  for (const Curve& curve : plot_->curves()) {
    if (curve.abandoned || plot_->hidden().contains(curve.series)) {
      continue;
    }
    if (curve.series == current_) {
      return &curve;
    }
    first = first ? first : &curve;
  }
  return first;
}

void CurveChart::setCursor(double x) {
  link_->setCursor(x, this);
  announce();
}

void CurveChart::moveCursor(int samples) {
  const Curve* curve = currentCurve();
  if (curve == nullptr || samples == 0) {
    return;
  }
  const AxisRange x = plot_->xRange();
  const bool right = samples > 0;
  const double from = plot_->cursor().value_or(right ? x.low : x.high);
  const std::optional<QPointF> here = plot_->nearestSample(*curve, from);
  if (!here) {
    return;
  }
  // From between two samples, or from nowhere, the first step only reaches the next one.
  const bool counts = right ? here->x() <= from : here->x() >= from;
  const int further = counts && plot_->cursor() ? samples : samples - (right ? 1 : -1);
  if (const auto there = plot_->nearestSample(*curve, from, further); x.contains(there->x())) {
    setCursor(there->x());
  }
}

void CurveChart::cursorToMark(int direction) {
  const double from =
      plot_->cursor().value_or(direction > 0 ? plot_->xRange().low : plot_->xRange().high);
  std::optional<double> best;
  for (const EventMark& mark : plot_->marks()) {
    const bool ahead = direction > 0 ? mark.x > from : mark.x < from;
    if (ahead && (!best || std::abs(mark.x - from) < std::abs(*best - from))) {
      best = mark.x;
    }
  }
  if (best) {
    setCursor(*best);
  }
}

void CurveChart::cursorToNonFinite() {
  const double from = plot_->cursor().value_or(plot_->xRange().low - 1);
  std::optional<double> best;
  for (const Curve& curve : plot_->curves()) {
    for (const QPointF& point : curve.nonfinite) {
      if (point.x() > from && (!best || point.x() < *best)) {
        best = point.x();
      }
    }
  }
  if (best) {
    setCursor(*best);
  }
}

void CurveChart::selectSeries(int direction) {
  const QStringList series = legend_->series();
  if (series.isEmpty()) {
    return;
  }
  const auto at = series.indexOf(current_);
  const auto count = series.size();
  current_ = series[at < 0 ? (direction > 0 ? 0 : count - 1) : (at + direction + count) % count];
  plot_->setCurrent(current_);
  announce();
}

void CurveChart::announce() {
  const Curve* curve = currentCurve();
  if (curve == nullptr) {
    return;
  }
  QString text = curve->name;
  if (plot_->cursor()) {
    const std::optional<QPointF> sample = plot_->sampleAt(*curve, *plot_->cursor());
    text = tr("%1 %2, %3 %4")
               .arg(session::xKindName(link_->kind()),
                    xText(link_->kind(), *plot_->cursor()),
                    curve->name,
                    sample ? formatNumber(sample->y(), 5) : tr("none"));
  }
  setAccessibleDescription(text);
  QAccessibleEvent event(this, QAccessible::DescriptionChanged);
  QAccessible::updateAccessibility(&event);
  Q_EMIT announced(text);
}

QImage CurveChart::image(const QSize& size) const {
  QImage image(size * 2, QImage::Format_ARGB32_Premultiplied);
  image.setDevicePixelRatio(2);
  image.fill(colours().panel);
  QPainter painter(&image);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setPen(colours().text);
  QFont bold = font();
  bold.setBold(true);
  painter.setFont(bold);
  const int line = QFontMetrics(bold).height() + 8;
  painter.drawText(QRect(10, 2, size.width() - 20, line), Qt::AlignLeft | Qt::AlignVCenter, title_);
  const int foot = legend_->height() + 4;
  const QSize body(size.width(), std::max(size.height() - line - foot, 40));
  plot_->render(
      &painter, QRectF(QPointF(0, line), body), plot_->viewport()->rect(), Qt::IgnoreAspectRatio);
  legend_->render(&painter, QPoint(10, size.height() - foot), {}, QWidget::DrawChildren);
  return image;
}

QByteArray CurveChart::csv() const {
  return samples_ ? session::curvesToCsv(samples_(link_->kind(), plot_->xRange()), link_->kind())
                  : QByteArray();
}

void CurveChart::copyImage() {
  const int rest = height() - plot_->height();
  QApplication::clipboard()->setImage(
      image(QSize(plot_->width(), plot_->height() + std::max(rest, 40))));
}

void CurveChart::copyCsv() {
  QApplication::clipboard()->setText(QString::fromUtf8(csv()));
}

}  // namespace batchscope::views
