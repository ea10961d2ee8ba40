// The part of CurvePlot that the mouse moves: zoom, rubber band, cross-hair, tips of marks.
#include "ui/views/curve_plot.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr double kDragPixels = 5;

}  // namespace

void CurvePlot::wheelEvent(QWheelEvent* event) {
  const double turns = event->angleDelta().y() / 120.0;
  const double sideways = event->angleDelta().x() / 120.0;
  if (!plot_.contains(event->position())) {
    event->ignore();
    return;
  }
  if (sideways != 0) {
    Q_EMIT rangeWanted(x_.low - 0.1 * sideways * x_.span(), x_.high - 0.1 * sideways * x_.span());
  } else {
    const double factor = std::pow(0.8, turns);
    const double centre = xAt(event->position().x());
    Q_EMIT rangeWanted(centre - (centre - x_.low) * factor, centre + (x_.high - centre) * factor);
  }
  event->accept();
}

void CurvePlot::mousePressEvent(QMouseEvent* event) {
  if (event->button() == Qt::LeftButton && plot_.contains(event->position())) {
    dragFrom_ = dragTo_ = event->position();
    dragBoth_ = event->modifiers() & Qt::ShiftModifier;
    parentWidget()->setFocus(Qt::MouseFocusReason);
  }
  event->accept();
}

void CurvePlot::mouseMoveEvent(QMouseEvent* event) {
  if (dragFrom_) {
    dragTo_ = QPointF(std::clamp(event->position().x(), plot_.left(), plot_.right()),
                      std::clamp(event->position().y(), plot_.top(), plot_.bottom()));
    viewport()->update();
  }
  if (plot_.contains(event->position())) {
    Q_EMIT cursorWanted(xAt(event->position().x()));
  } else {
    Q_EMIT cursorLeft();
  }
  event->accept();
}

void CurvePlot::mouseReleaseEvent(QMouseEvent* event) {
  event->accept();
  if (!dragFrom_) {
    return;
  }
  const QRectF box = QRectF(*dragFrom_, dragTo_).normalized();
  const bool both = dragBoth_;
  dragFrom_.reset();
  viewport()->update();
  if (box.width() < kDragPixels) {
    return;
  }
  const AxisRange y{y_.high - (box.bottom() - plot_.top()) / plot_.height() * y_.span(),
                    y_.high - (box.top() - plot_.top()) / plot_.height() * y_.span()};
  Q_EMIT rangeWanted(xAt(box.left()), xAt(box.right()));
  if (both && box.height() >= kDragPixels) {
    Q_EMIT valueRangeWanted(log_ ? std::pow(10.0, y.low) : y.low,
                            log_ ? std::pow(10.0, y.high) : y.high);
  }
}

void CurvePlot::mouseDoubleClickEvent(QMouseEvent* event) {
  dragFrom_.reset();
  Q_EMIT fitWanted();
  event->accept();
}

void CurvePlot::leaveEvent(QEvent* event) {
  Q_EMIT cursorLeft();
  QChartView::leaveEvent(event);
}

QString CurvePlot::tipAt(QPoint position) const {
  QStringList lines;
  for (const EventMark& mark : marks_) {
    if (x_.contains(mark.x) && std::abs(toPlot({mark.x, 0}).x() - position.x()) <= 5) {
      lines.append(mark.detail.isEmpty() ? mark.label : mark.detail);
    }
  }
  constexpr int kMost = 8;
  if (lines.size() > kMost) {
    const auto more = lines.size() - kMost;
    lines = lines.mid(0, kMost);
    lines.append(tr("and %1 more").arg(more));
  }
  return lines.join(QLatin1Char('\n'));
}

bool CurvePlot::viewportEvent(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const QString tip = tipAt(help->pos());
    if (tip.isEmpty()) {
      QToolTip::hideText();
    } else {
      QToolTip::showText(help->globalPos(), tip, this);
    }
    return true;
  }
  return QChartView::viewportEvent(event);
}

}  // namespace batchscope::views
