#include "ui/views/probe_view.h"

#include "ui/views/pixel_overlay.h"
#include "ui/views/theme.h"

#include <QHelpEvent>
#include <QLocale>
#include <QPainter>
#include <QToolTip>

#include <algorithm>

namespace batchscope::views {

ProbeView::ProbeView(QWidget* parent) : QFrame(parent) {
  setMinimumSize(90, 90);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void ProbeView::setProbe(const session::ProbeItem& probe) {
  if (!probe.png.isSharedWith(probe_.png) && probe.png != probe_.png) {
    decoded_ = false;
  }
  probe_ = probe;
  overlay_ = {};
  describe();
  update();
}

void ProbeView::setThreshold(double score) {
  if (score == threshold_) {
    return;
  }
  threshold_ = score;
  overlay_ = {};
  describe();
  update();
}

void ProbeView::setShown(bool truth, bool predictions) {
  if (truth == truth_ && predictions == predictions_) {
    return;
  }
  truth_ = truth;
  predictions_ = predictions;
  overlay_ = {};
  describe();
  update();
}

void ProbeView::setPixelsShown(bool shown) {
  pixels_ = shown;
  update();
}

void ProbeView::describe() {
  setAccessibleName(tr("Picture %1: %2 objects, %3 predictions shown")
                        .arg(probe_.name)
                        .arg(probe_.truth.size())
                        .arg(predictions_ ? shownPredictions() : 0));
}

bool ProbeView::hasPixels() const {
  const auto any = [](const contract::PixelRecord& pixels) {
    return !pixels.masks.empty() || !pixels.labels.empty();
  };
  return any(probe_.truthPixels) || any(probe_.predictionPixels);
}

void ProbeView::setCompact(bool compact) {
  compact_ = compact;
  update();
}

int ProbeView::shownPredictions() const {
  return static_cast<int>(std::count_if(
      probe_.predictions.cbegin(), probe_.predictions.cend(), [this](const auto& box) {
        return box.score >= threshold_;
      }));
}

QRectF ProbeView::pictureRect() const {
  const double caption = compact_ ? 0 : fontMetrics().height() + 6;
  const QRectF room = QRectF(rect()).adjusted(1, 1, -1, -1 - caption);
  const double w = std::max(probe_.width, 1);
  const double h = std::max(probe_.height, 1);
  const double scale = std::min(room.width() / w, room.height() / h);
  const QSizeF size(w * scale, h * scale);
  return {room.left() + (room.width() - size.width()) / 2,
          room.top() + (room.height() - size.height()) / 2,
          size.width(),
          size.height()};
}

QRectF ProbeView::boxRect(const session::BoxItem& box, const QRectF& picture) const {
  const double sx = picture.width() / std::max(probe_.width, 1);
  const double sy = picture.height() / std::max(probe_.height, 1);
  return QRectF(QPointF(picture.left() + box.x1 * sx, picture.top() + box.y1 * sy),
                QPointF(picture.left() + box.x2 * sx, picture.top() + box.y2 * sy))
      .intersected(picture);
}

void ProbeView::paintBox(QPainter& painter,
                         const session::BoxItem& box,
                         const QRectF& picture,
                         bool truth) const {
  const QRectF place = boxRect(box, picture);
  // Light on a dark rim: visible on any picture.
  const QColor colour = truth ? QColor(255, 255, 255) : darkPalette().seriesColor(box.label);
  painter.setBrush(Qt::NoBrush);
  painter.setPen(QPen(QColor(0, 0, 0, 170), truth ? 2.5 : 3.5));
  painter.drawRect(place);
  QPen pen(colour, truth ? 1.4 : 2.0);
  if (truth) {
    pen.setDashPattern({4, 3});
  }
  painter.setPen(pen);
  painter.drawRect(place);
  if (truth || compact_) {
    return;
  }
  const QString text =
      QStringLiteral("%1 %2").arg(box.className, QLocale().toString(box.score, 'f', 2));
  const QSizeF size(painter.fontMetrics().horizontalAdvance(text) + 6,
                    painter.fontMetrics().height());
  QRectF tag(place.topLeft() - QPointF(0, size.height()), size);
  tag.moveTop(std::max(tag.top(), picture.top()));
  tag.moveLeft(std::clamp(
      tag.left(), picture.left(), std::max(picture.left(), picture.right() - size.width())));
  painter.fillRect(tag, QColor(0, 0, 0, 190));
  painter.setPen(colour);
  painter.drawText(tag, Qt::AlignCenter, text);
}

void ProbeView::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setRenderHint(QPainter::SmoothPixmapTransform, probe_.width > 128);
  const QRectF picture = pictureRect();
  painter.fillRect(picture, colours().raised);
  if (!decoded_) {  // of hundreds of pictures few are seen
    image_ = QImage::fromData(probe_.png);
    decoded_ = true;
  }
  painter.drawImage(picture, image_);
  if (pixels_ && hasPixels()) {
    if (overlay_.isNull()) {
      overlay_ = pixelOverlay(probe_, {threshold_, truth_, predictions_});
    }
    painter.drawImage(picture, overlay_);
  }
  QFont small = font();
  small.setPointSizeF(small.pointSizeF() * 0.86);
  painter.setFont(small);
  if (truth_) {
    for (const session::BoxItem& box : probe_.truth) {
      paintBox(painter, box, picture, true);
    }
  }
  if (predictions_) {
    for (const session::BoxItem& box : probe_.predictions) {
      if (box.score >= threshold_) {
        paintBox(painter, box, picture, false);
      }
    }
  }
  if (!compact_) {
    painter.setFont(font());
    painter.setPen(colours().textMuted);
    const QString caption = probe_.predictedStep < 0 ? tr("%1 · no prediction yet").arg(probe_.name)
                                                     : tr("%1 · %2 of %3 stored")
                                                           .arg(probe_.name)
                                                           .arg(shownPredictions())
                                                           .arg(probe_.predictions.size());
    const QRectF line(2, picture.bottom() + 3, width() - 4, fontMetrics().height());
    painter.drawText(
        line, Qt::AlignCenter, fontMetrics().elidedText(caption, Qt::ElideMiddle, width() - 4));
  }
}

bool ProbeView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    QStringList lines{probe_.name};
    for (const session::BoxItem& box : probe_.predictions) {
      if (box.score >= threshold_ && boxRect(box, pictureRect()).contains(help->pos())) {
        lines.append(
            QStringLiteral("%1 %2").arg(box.className, QLocale().toString(box.score, 'f', 3)));
      }
    }
    for (const session::BoxItem& box : probe_.truth) {
      if (boxRect(box, pictureRect()).contains(help->pos())) {
        lines.append(tr("truth: %1").arg(box.className));
      }
    }
    QToolTip::showText(help->globalPos(), lines.join(QLatin1Char('\n')), this);
    return true;
  }
  return QFrame::event(event);
}

}  // namespace batchscope::views
