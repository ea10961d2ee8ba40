#include "ui/views/heatmap_view.h"

#include "ui/views/axis_ticks.h"
#include "ui/views/theme.h"

#include <QHelpEvent>
#include <QPainter>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

const QString kWidestValue = QStringLiteral("0.00e+00");

}  // namespace

HeatmapView::HeatmapView(QWidget* parent) : QFrame(parent) {
  setProperty("card", true);
  followTheme(this, [this] { setMinimumHeight(32 + 6 * fontMetrics().height()); });
  setFocusPolicy(Qt::StrongFocus);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void HeatmapView::setTitle(const QString& title, const QString& help) {
  title_ = title;
  setAccessibleName(tr("Heat map: %1").arg(title));
  setAccessibleDescription(help);
  setToolTip(help);
}

void HeatmapView::setEmptyText(const QString& text) {
  empty_ = text;
  update();
}

void HeatmapView::setMarks(const QList<EventMark>& marks) {
  marks_ = marks;
  update();
}

void HeatmapView::setData(const session::HeatmapView& cells, session::XKind kind, bool log) {
  data_ = cells;
  kind_ = kind;
  log_ = log;
  rebuild();
  update();
}

double HeatmapView::scaled(double value) const {
  return log_ ? (value > 0 ? std::log10(value) : std::numeric_limits<double>::quiet_NaN()) : value;
}

QList<double> heldCells(const session::HeatmapView& data) {
  QList<double> held = data.cells;
  for (qsizetype r = 0; r < data.rows.size(); ++r) {
    double* row = held.data() + r * data.columns;
    QList<int> measured, gaps;
    for (int c = 0; c < data.columns; ++c) {
      if (!std::isnan(row[c])) {
        if (!measured.isEmpty()) {
          gaps.append(c - measured.last());
        }
        measured.append(c);
      }
    }
    if (gaps.isEmpty()) {
      continue;
    }
    std::nth_element(gaps.begin(), gaps.begin() + gaps.size() / 2, gaps.end());
    // Columns and steps do not divide evenly: half an interval more is none left out.
    const int due = gaps[gaps.size() / 2] * 3 / 2;
    for (qsizetype i = 0; i < measured.size(); ++i) {
      const int next = i + 1 < measured.size() ? measured[i + 1] : data.columns;
      const int end = std::min(next, measured[i] + std::max(1, due));
      std::fill(row + measured[i] + 1, row + std::max(end, measured[i] + 1), row[measured[i]]);
    }
  }
  return held;
}

void HeatmapView::rebuild() {
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (const double cell : data_.cells) {
    const double v = scaled(cell);
    if (std::isfinite(v)) {
      low = std::min(low, v);
      high = std::max(high, v);
    }
  }
  values_ = low <= high ? AxisRange{low, high} : AxisRange{0, 0};
  held_ = heldCells(data_);
  const int rows = static_cast<int>(data_.rows.size());
  image_ = QImage();
  if (rows == 0 || data_.columns <= 0 || low > high) {
    return;
  }
  image_ = QImage(data_.columns, rows, QImage::Format_ARGB32);
  const double span = std::max(values_.span(), 1e-12);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < data_.columns; ++c) {
      const double v = scaled(held_[r * data_.columns + c]);
      image_.setPixelColor(
          c, r, std::isfinite(v) ? cividis((v - low) / span) : QColor(Qt::transparent));
    }
  }
}

QRectF HeatmapView::area() const {
  const QFontMetricsF metrics(font());
  double names = 40;
  for (const QString& row : data_.rows) {
    names = std::max(names, metrics.horizontalAdvance(row));
  }
  const double left = std::min(names + 22, width() * 0.35);
  const double top = metrics.height() + 16;
  return QRectF(left,
                top,
                std::max(20.0, width() - left - 34 - metrics.horizontalAdvance(kWidestValue)),
                std::max(10.0, height() - top - metrics.height() - 14));
}

double HeatmapView::rowHeight() const {
  return area().height() / static_cast<double>(std::max<qsizetype>(data_.rows.size(), 1));
}

int HeatmapView::rowAt(double y) const {
  const QRectF plot = area();
  const int row = static_cast<int>(std::floor((y - plot.top()) / rowHeight()));
  return y >= plot.top() && row < data_.rows.size() ? row : -1;
}

int HeatmapView::columnsWanted() const {
  return std::clamp(static_cast<int>(area().width() / 3), 8, 600);
}

void HeatmapView::setCurrentRow(int row) {
  current_ = row;
  update();
}

void HeatmapView::paintScale(QPainter& painter, const QRectF& plot) const {
  const QRectF bar(plot.right() + 12, plot.top(), 12, plot.height());
  for (int y = 0; y < static_cast<int>(bar.height()); ++y) {
    painter.fillRect(QRectF(bar.left(), bar.bottom() - y - 1, bar.width(), 1),
                     cividis(y / bar.height()));
  }
  const QFontMetricsF metrics(font());
  painter.setPen(colours().textMuted);
  const auto label = [&](double t, int flags) {
    const double v = values_.low + t * values_.span();
    const double y = bar.bottom() - t * bar.height();
    const double half = metrics.height() / 2;
    painter.drawText(QRectF(bar.right() + 4, y - half, width() - bar.right() - 4, 2 * half),
                     flags | Qt::AlignLeft,
                     formatNumber(log_ ? std::pow(10, v) : v, 3));
  };
  label(0, Qt::AlignVCenter);
  label(1, Qt::AlignVCenter);
  if (bar.height() > 5 * metrics.height()) {
    label(0.5, Qt::AlignVCenter);
  }
}

void HeatmapView::paintRows(QPainter& painter, const QRectF& plot) const {
  const QFontMetricsF metrics(font());
  const double rows = rowHeight();
  // Names that would run into one another are left out; a tip tells them.
  const int every = std::max(1, static_cast<int>(std::ceil(0.8 * metrics.height() / rows)));
  for (int r = 0; r < data_.rows.size(); ++r) {
    const QRectF name(11, plot.top() + r * rows, plot.left() - 19, rows);
    if (r % every == 0) {
      painter.setPen(r == current_ ? colours().text : colours().textMuted);
      painter.drawText(name,
                       Qt::AlignLeft | Qt::AlignVCenter | Qt::TextDontClip,
                       metrics.elidedText(data_.rows[r], Qt::ElideMiddle, name.width()));
    }
    if (r > 0) {
      painter.fillRect(QRectF(plot.left(), name.top() - 0.5, plot.width(), 1), colours().panel);
    }
    if (r == current_) {
      painter.setPen(QPen(colours().accent, 2));
      painter.setBrush(Qt::NoBrush);
      painter.drawRect(QRectF(plot.left(), name.top(), plot.width(), rows).adjusted(1, 1, -1, -1));
    }
  }
}

void HeatmapView::paintAxis(QPainter& painter, const QRectF& plot) const {
  const QFontMetricsF metrics(font());
  const AxisRange x{data_.x0, data_.x1};
  const auto place = [&](double at) {
    return plot.left() + (at - x.low) / x.span() * plot.width();
  };
  for (const EventMark& mark : marks_) {
    if (x.contains(mark.x) && mark.kind != EventMark::Kind::kNote) {
      const double px = std::round(place(mark.x)) + 0.5;
      // Light on dark: visible over the whole colour map.
      painter.setPen(QPen(QColor(0, 0, 0, 150), 3));
      painter.drawLine(QPointF(px, plot.top()), QPointF(px, plot.bottom()));
      painter.setPen(QPen(QColor(255, 255, 255, 220), 1, Qt::DashLine));
      painter.drawLine(QPointF(px, plot.top()), QPointF(px, plot.bottom()));
    }
  }
  painter.setPen(colours().textMuted);
  const double titleWidth = metrics.horizontalAdvance(session::xKindTitle(kind_)) + 10;
  const double label = metrics.horizontalAdvance(QStringLiteral("000,000")) + 40;
  for (const Tick& tick : linearTicks(x, static_cast<int>(plot.width() / label))) {
    const double px = place(tick.at);
    if (px + 0.4 * label < plot.right() - titleWidth) {
      painter.drawText(QRectF(px - label / 2, plot.bottom() + 3, label, metrics.height()),
                       Qt::AlignCenter,
                       tick.label);
    }
  }
  painter.drawText(QRectF(plot.left(), plot.bottom() + 3, plot.width(), metrics.height()),
                   Qt::AlignRight,
                   session::xKindTitle(kind_));
}

void HeatmapView::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  QPainter painter(this);
  QFont bold = font();
  bold.setWeight(QFont::DemiBold);
  painter.setFont(bold);
  painter.setPen(colours().text);
  painter.drawText(QRectF(11, 8, width() - 22, QFontMetricsF(font()).height()),
                   Qt::AlignLeft | Qt::AlignVCenter,
                   title_);
  painter.setFont(font());
  painter.setPen(colours().textMuted);
  if (image_.isNull()) {
    painter.drawText(
        QRectF(rect()).adjusted(20, 30, -20, -10), Qt::AlignCenter | Qt::TextWordWrap, empty_);
  } else {
    const QRectF plot = area();
    painter.fillRect(plot, colours().raised);
    painter.drawImage(plot, image_);
    paintRows(painter, plot);
    paintAxis(painter, plot);
    paintScale(painter, plot);
  }
  if (hasFocus()) {
    painter.setPen(QPen(colours().accent, 2));
    painter.setBrush(Qt::NoBrush);
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 8, 8);
  }
}

void HeatmapView::mousePressEvent(QMouseEvent* event) {
  const int row = rowAt(event->position().y());
  if (row >= 0) {
    Q_EMIT rowChosen(row == current_ ? -1 : row);
  }
}

void HeatmapView::keyPressEvent(QKeyEvent* event) {
  const int rows = static_cast<int>(data_.rows.size());
  if (rows > 0 && (event->key() == Qt::Key_Up || event->key() == Qt::Key_Down)) {
    const int step = event->key() == Qt::Key_Down ? 1 : -1;
    Q_EMIT rowChosen(std::clamp(current_ + step, 0, rows - 1));
    event->accept();
    return;
  }
  QFrame::keyPressEvent(event);
}

bool HeatmapView::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip && !image_.isNull()) {
    auto* help = static_cast<QHelpEvent*>(event);
    const QRectF plot = area();
    const int row = rowAt(help->pos().y());
    if (row >= 0 && plot.contains(help->pos())) {
      const double t = (help->pos().x() - plot.left()) / plot.width();
      const int column = std::clamp(static_cast<int>(t * data_.columns), 0, data_.columns - 1);
      const double value = held_[row * data_.columns + column];
      QToolTip::showText(
          help->globalPos(),
          QStringLiteral("%1\n%2 %3: %4")
              .arg(data_.rows[row],
                   session::xKindTitle(kind_),
                   xText(kind_, data_.x0 + t * (data_.x1 - data_.x0)),
                   std::isnan(value) ? tr("not measured here") : formatNumber(value)),
          this);
      return true;
    }
  }
  return QFrame::event(event);
}

void HeatmapView::changeEvent(QEvent* event) {
  QFrame::changeEvent(event);
  update();
}

}  // namespace batchscope::views
