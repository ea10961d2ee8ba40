#include "ui/views/curve_plot.h"

#include "ui/views/theme.h"

#include <QChart>
#include <QGraphicsLayout>
#include <QLineSeries>
#include <QValueAxis>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr int kSmoothVertices = 2000;  // above, antialiasing costs more than a frame

}  // namespace

CurvePlot::CurvePlot(QWidget* parent) : QChartView(parent) {
  auto* canvas = new QChart;
  canvas->setAnimationOptions(QChart::NoAnimation);
  canvas->legend()->hide();
  canvas->setBackgroundVisible(false);
  canvas->setPlotAreaBackgroundVisible(false);
  canvas->setMargins(QMargins(0, 0, 0, 0));
  canvas->layout()->setContentsMargins(0, 0, 0, 0);
  xAxis_ = new QValueAxis(canvas);
  yAxis_ = new QValueAxis(canvas);
  canvas->addAxis(xAxis_, Qt::AlignBottom);
  canvas->addAxis(yAxis_, Qt::AlignLeft);
  for (QValueAxis* axis : {xAxis_, yAxis_}) {
    axis->setRange(0, 1);
    axis->setVisible(false);
  }
  QChart* previous = chart();
  setChart(canvas);
  delete previous;
  setFrameShape(QFrame::NoFrame);
  setMouseTracking(true);
  viewport()->setMouseTracking(true);
  setFocusPolicy(Qt::NoFocus);  // the chart around it has the focus
  setMinimumSize(160, 80);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    rebuild();
    viewport()->update();
  });
}

QPen CurvePlot::penOf(const Curve& curve) const {
  const bool current = !current_.isEmpty() && current_ == curve.series;
  if (curve.abandoned) {
    QPen pen(colours().abandoned, current ? 1.8 : 1.1);
    pen.setCosmetic(true);
    return pen;
  }
  QPen pen = colours().seriesPen(curve.colour, current ? 2.8 : 1.7);
  if (curve.points.size() > kDenseVertices) {
    pen.setStyle(Qt::SolidLine);
  }
  if (curve.forecast) {
    pen.setWidthF(current ? 2.2 : 1.2);
    pen.setDashPattern({2, 3});
  }
  return pen;
}

QLineSeries* CurvePlot::lineFor(const Curve& curve) {
  QLineSeries*& line = lines_[curve.id];
  if (line == nullptr) {
    line = new QLineSeries(chart());
    chart()->addSeries(line);
    line->attachAxis(xAxis_);
    line->attachAxis(yAxis_);
  }
  return line;
}

void CurvePlot::rebuild() {
  drawn_.clear();
  QList<DrawnCurve> shown;
  for (const Curve& curve : curves_) {
    drawn_.append(drawnCurve(curve, log_));
    if (isShown(curve)) {
      shown.append(drawn_.last());
    }
  }
  if (fixed_) {
    y_ = AxisRange{transformed(fixed_->low), transformed(fixed_->high)};
  } else {
    const bool calm = calm_ && !log_;
    y_ = (calm ? calmRange(shown, x_) : valueRange(shown, x_)).value_or(AxisRange{});
  }
  QSet<QString> used;
  vertices_ = 0;
  for (int i = 0; i < curves_.size(); ++i) {
    QLineSeries* line = lineFor(curves_[i]);
    used.insert(curves_[i].id);
    const QPen pen = penOf(curves_[i]);
    if (line->pen() != pen) {
      line->setPen(pen);
    }
    const QList<QPointF> points =
        isShown(curves_[i]) ? toUnitSquare(drawn_[i].line, x_, y_) : QList<QPointF>{};
    vertices_ += static_cast<int>(points.size());
    line->replace(points);
  }
  for (auto it = lines_.begin(); it != lines_.end();) {
    if (used.contains(it.key())) {
      ++it;
      continue;
    }
    chart()->removeSeries(it.value());
    delete it.value();
    it = lines_.erase(it);
  }
  setRenderHint(QPainter::Antialiasing, vertices_ <= kSmoothVertices);
  viewport()->update();
}

void CurvePlot::setCurves(const QList<Curve>& curves, const AxisRange& x) {
  curves_ = curves;
  x_ = x.span() > 0 ? x : AxisRange{x.low - 0.5, x.low + 0.5};
  rebuild();
}

void CurvePlot::setMarks(const QList<EventMark>& marks) {
  marks_ = marks;
  viewport()->update();
}

void CurvePlot::setHidden(const QSet<QString>& series) {
  hidden_ = series;
  rebuild();
}

void CurvePlot::setLog(bool on) {
  log_ = on;
  rebuild();
}

void CurvePlot::setCurrent(const QString& series) {
  current_ = series;
  rebuild();
}

void CurvePlot::setSaturatedFrom(std::optional<double> value) {
  saturatedFrom_ = value;
  viewport()->update();
}

void CurvePlot::setValueRange(std::optional<AxisRange> range) {
  fixed_ = range;
  rebuild();
}

void CurvePlot::setCalm(bool on) {
  calm_ = on;
  rebuild();
}

void CurvePlot::setXAxis(const QString& title, bool whole, std::function<QString(double)> text) {
  xTitle_ = title;
  wholeX_ = whole;
  xText_ = std::move(text);
  viewport()->update();
}

void CurvePlot::setCursor(std::optional<double> x, bool withValues) {
  if (cursor_ != x || withValues_ != withValues) {
    cursor_ = x;
    withValues_ = withValues;
    viewport()->update();
  }
}

qint64 CurvePlot::hiddenByLog(const QString& series) const {
  qint64 hidden = 0;
  for (int i = 0; i < curves_.size(); ++i) {
    if (log_ && curves_[i].series == series) {
      hidden += curves_[i].nonPositive.value_or(drawn_[i].hiddenByLog);
    }
  }
  return hidden;
}

qint64 CurvePlot::outOfView(const QString& series) const {
  qint64 beyond = 0;
  const auto count = [&](const QPointF& p) {
    const bool seen = std::isfinite(p.y()) && x_.contains(p.x());
    beyond += seen && !y_.contains(p.y()) ? 1 : 0;
  };
  for (int i = 0; i < curves_.size(); ++i) {
    if (curves_[i].series == series && isShown(curves_[i])) {
      std::for_each(drawn_[i].line.cbegin(), drawn_[i].line.cend(), count);
      std::for_each(drawn_[i].isolated.cbegin(), drawn_[i].isolated.cend(), count);
    }
  }
  return beyond;
}

int CurvePlot::pixels() const {
  return std::max(1, static_cast<int>(plot_.width()));
}

double CurvePlot::transformed(double value) const {
  return log_ ? (value > 0 ? std::log10(value) : -300.0) : value;
}

QPointF CurvePlot::toPlot(QPointF p) const {
  return {plot_.left() + (p.x() - x_.low) / x_.span() * plot_.width(),
          plot_.bottom() - (p.y() - y_.low) / y_.span() * plot_.height()};
}

double CurvePlot::xAt(double pixel) const {
  return x_.low + (pixel - plot_.left()) / std::max(plot_.width(), 1.0) * x_.span();
}

void CurvePlot::layoutPlot() {
  const QFontMetricsF metrics(font());
  // Wide enough for any label, so that the curves do not jump when one appears.
  const double left = metrics.horizontalAdvance(QStringLiteral("−0.00000")) + 10;
  const double bottom = metrics.height() + 8;
  const double top = metrics.height() + 6;
  const double before = plot_.width();
  plot_ = QRectF(
      left, top, std::max(20.0, width() - left - 14), std::max(20.0, height() - top - bottom));
  chart()->setPlotArea(plot_);
  viewport()->update();
  if (plot_.width() != before) {
    Q_EMIT pixelsChanged();
  }
}

void CurvePlot::resizeEvent(QResizeEvent* event) {
  QChartView::resizeEvent(event);
  layoutPlot();
}

void CurvePlot::changeEvent(QEvent* event) {
  QChartView::changeEvent(event);
  if (event->type() == QEvent::FontChange) {
    layoutPlot();
  }
}

}  // namespace batchscope::views
