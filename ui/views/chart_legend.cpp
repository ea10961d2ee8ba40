#include "ui/views/chart_legend.h"

#include "ui/views/curve_plot.h"
#include "ui/views/flow_layout.h"
#include "ui/views/theme.h"

#include <QPainter>
#include <QToolButton>

namespace batchscope::views {

namespace {

constexpr int kNameLength = 30;
constexpr int kSwatchWidth = 26;

/// Line and marker of a series as an icon, in the colours of the moment.
QIcon swatch(const Curve& curve) {
  QPixmap pixmap(QSize(26, 12) * 2);
  pixmap.setDevicePixelRatio(2);
  pixmap.fill(Qt::transparent);
  QPainter painter(&pixmap);
  painter.setRenderHint(QPainter::Antialiasing);
  QPen pen = colours().seriesPen(curve.colour, 2);
  if (curve.forecast) {
    // Stands for the dotted curves of all colours.
    pen.setColor(colours().textMuted);
    pen.setDashPattern({2, 2});
  } else if (curve.points.size() > CurvePlot::kDenseVertices) {
    pen.setStyle(Qt::SolidLine);
  }
  painter.setPen(pen);
  painter.drawLine(QPointF(1, 6), QPointF(25, 6));
  if (!curve.forecast) {
    painter.setPen(QPen(colours().seriesColor(curve.colour), 1.4));
    painter.setBrush(colours().panel);
    paintSeriesMarker(painter, {13, 6}, curve.colour, 3.4);
  }
  return QIcon(pixmap);
}

QString countersOf(const Curve& curve, qint64 hiddenByLog, qint64 beyond, qint64 points) {
  QStringList parts;
  if (curve.nonfiniteSamples > 0) {
    parts.append((curve.unknown ? ChartLegend::tr("%1 unknown") : ChartLegend::tr("%1 non-finite"))
                     .arg(formatCount(curve.nonfiniteSamples)));
  }
  if (hiddenByLog > 0) {
    parts.append(ChartLegend::tr("%1 ≤ 0 hidden").arg(formatCount(hiddenByLog)));
  }
  if (beyond > 0) {
    parts.append(ChartLegend::tr("runs out of view"));
  }
  const qint64 ratio = points > 0 ? (curve.samples + points / 2) / points : 0;
  if (curve.thinned && ratio > 1) {
    parts.append(ChartLegend::tr("thinned 1:%1").arg(ratio));
  }
  return parts.join(QStringLiteral(", "));
}

}  // namespace

ChartLegend::ChartLegend(QWidget* parent) : QWidget(parent) {
  setLayout(new FlowLayout(2));
}

void ChartLegend::add(const QString& series) {
  auto* button = new QToolButton(this);
  button->setCheckable(true);
  button->setChecked(!hidden_.contains(series));
  button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  button->setIconSize(QSize(kSwatchWidth, 12));
  button->setAutoRaise(true);
  button->setObjectName(QStringLiteral("legendEntry"));
  button->setProperty("legend", true);
  connect(button, &QToolButton::toggled, this, [this, series](bool on) {
    if (on) {
      hidden_.remove(series);
    } else {
      hidden_.insert(series);
    }
    Q_EMIT hiddenChanged(hidden_);
  });
  buttons_.insert(series, button);
  layout()->addWidget(button);
  button->show();
}

void ChartLegend::update(const CurvePlot& plot) {
  QStringList order;
  QHash<QString, Curve> live;
  QHash<QString, qint64> points;
  for (const Curve& curve : plot.curves()) {
    if (curve.abandoned) {
      continue;
    }
    if (!order.contains(curve.series)) {
      order.append(curve.series);
    }
    points[curve.series] += curve.points.size();
    live.insert(curve.series, curve);
  }
  if (order != order_) {
    qDeleteAll(buttons_);
    buttons_.clear();
    order_ = order;
    for (const QString& series : order_) {
      add(series);
    }
  }
  for (const QString& series : std::as_const(order_)) {
    QToolButton* button = buttons_[series];
    const Curve& curve = live[series];
    const QString counters =
        countersOf(curve, plot.hiddenByLog(series), plot.outOfView(series), points[series]);
    const QString name = fontMetrics().elidedText(
        curve.name, Qt::ElideMiddle, fontMetrics().averageCharWidth() * kNameLength);
    const QString text = counters.isEmpty() ? name : QStringLiteral("%1 (%2)").arg(name, counters);
    button->setIcon(swatch(curve));
    // As narrow as its content: rows of the legend are taken from the plot.
    const QFontMetrics metrics = button->fontMetrics();
    button->setMinimumSize(kSwatchWidth + 16, metrics.height() + 4);
    button->setMaximumSize(kSwatchWidth + 16 + metrics.horizontalAdvance(text),
                           metrics.height() + 4);
    if (button->text() != text) {
      button->setText(text);
    }
    button->setToolTip(tr("%1\n%2\nClick to hide or show.").arg(curve.name, curve.help));
    button->setAccessibleName(tr("Show %1").arg(text));
  }
}

int ChartLegend::heightForWidth(int width) const {
  return layout()->heightForWidth(width);
}

QString ChartLegend::textOf(const QString& series) const {
  const QToolButton* button = buttons_.value(series);
  return button ? button->text() : QString();
}

}  // namespace batchscope::views
