#include "ui/views/palette.h"

#include <QPainter>
#include <QPainterPath>
#include <QPolygonF>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

QColor hex(unsigned rgb) {
  return QColor::fromRgb(0xff000000u | rgb);
}

double linear(double channel) {
  return channel <= 0.04045 ? channel / 12.92 : std::pow((channel + 0.055) / 1.055, 2.4);
}

double luminance(const QColor& c) {
  return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF());
}

QPolygonF triangle(QPointF c, double r, double direction) {
  return QPolygonF({{c.x(), c.y() - direction * r * 1.15},
                    {c.x() + r * 1.05, c.y() + direction * r * 0.8},
                    {c.x() - r * 1.05, c.y() + direction * r * 0.8}});
}

}  // namespace

Palette lightPalette() {
  Palette p;
  p.dark = false;
  p.window = hex(0xf3f5f8);
  p.panel = hex(0xffffff);
  p.raised = hex(0xe9edf2);
  p.plot = hex(0xffffff);
  p.border = hex(0xd3d9e1);
  p.grid = hex(0xe8ecf1);
  p.text = hex(0x1b2430);
  p.textMuted = hex(0x55606f);
  p.textDisabled = hex(0x9aa4b1);
  p.accent = hex(0x0b63b0);
  p.onAccent = hex(0xffffff);
  p.selection = hex(0xd6e6f6);
  p.hover = hex(0xe6edf5);
  p.good = hex(0x0f7040);
  p.warn = hex(0x8a5300);
  p.bad = hex(0xb3261e);
  p.info = hex(0x0b63b0);
  p.goodSoft = hex(0xe2f4ea);
  p.warnSoft = hex(0xfdf0d8);
  p.badSoft = hex(0xfce8e6);
  p.infoSoft = hex(0xe3effa);
  p.crosshair = hex(0x3d4a5a);
  p.abandoned = hex(0x8d96a3);
  p.saturated = QColor(120, 130, 145, 46);
  p.eventMark = hex(0x6d4fb3);
  p.series = {hex(0x0067a5),
              hex(0xc2500a),
              hex(0x007d5c),
              hex(0xb03a83),
              hex(0x8f6b00),
              hex(0x5a55c9),
              hex(0x00809e),
              hex(0x5d6672)};
  return p;
}

Palette darkPalette() {
  Palette p;
  p.dark = true;
  p.window = hex(0x15181e);
  p.panel = hex(0x1c2027);
  p.raised = hex(0x262b34);
  p.plot = hex(0x181b21);
  p.border = hex(0x343b47);
  p.grid = hex(0x282d36);
  p.text = hex(0xe7ebf0);
  p.textMuted = hex(0xa3adba);
  p.textDisabled = hex(0x667080);
  p.accent = hex(0x5fb0f0);
  p.onAccent = hex(0x0a1a28);
  p.selection = hex(0x25405a);
  p.hover = hex(0x2b323d);
  p.good = hex(0x5fd39a);
  p.warn = hex(0xf0bd55);
  p.bad = hex(0xff8a80);
  p.info = hex(0x6db8f3);
  p.goodSoft = hex(0x183328);
  p.warnSoft = hex(0x392d14);
  p.badSoft = hex(0x40211f);
  p.infoSoft = hex(0x19304a);
  p.crosshair = hex(0xc3cbd6);
  p.abandoned = hex(0x767f8d);
  p.saturated = QColor(150, 160, 175, 38);
  p.eventMark = hex(0xb9a1f2);
  p.series = {hex(0x5cb8ee),
              hex(0xf28d49),
              hex(0x3fca9d),
              hex(0xe68fc3),
              hex(0xe3bb45),
              hex(0xa6a2ff),
              hex(0x62d3df),
              hex(0xb6bfca)};
  return p;
}

QColor Palette::seriesColor(int index) const {
  return series[static_cast<std::size_t>(std::max(index, 0)) % series.size()];
}

QPen Palette::seriesPen(int index, double width) const {
  // Long dashes with short gaps: told apart in the legend and on smooth curves, still whole on
  // noisy ones.
  static const std::array<QList<qreal>, 8> kDashes = {QList<qreal>{},
                                                      QList<qreal>{12, 2.5},
                                                      QList<qreal>{5, 2},
                                                      QList<qreal>{14, 2, 3, 2},
                                                      QList<qreal>{8, 2, 2, 2, 2, 2},
                                                      QList<qreal>{20, 3},
                                                      QList<qreal>{3, 2},
                                                      QList<qreal>{10, 2, 5, 2}};
  const int n = std::max(index, 0);
  const std::size_t repetition = static_cast<std::size_t>(n) / series.size();
  QPen pen(seriesColor(n), width, Qt::SolidLine, Qt::FlatCap, Qt::RoundJoin);
  const QList<qreal>& dash = kDashes[(static_cast<std::size_t>(n) + 3 * repetition) % 8];
  if (!dash.isEmpty()) {
    pen.setDashPattern(dash);
  }
  pen.setCosmetic(true);
  return pen;
}

SeriesMarker seriesMarker(int index) {
  return static_cast<SeriesMarker>(std::max(index, 0) % 8);
}

void paintSeriesMarker(QPainter& painter, QPointF c, int index, double r) {
  const QRectF box(c.x() - r, c.y() - r, 2 * r, 2 * r);
  switch (seriesMarker(index)) {
    case SeriesMarker::kCircle:
      painter.drawEllipse(box);
      break;
    case SeriesMarker::kSquare:
      painter.drawRect(box.adjusted(0.3, 0.3, -0.3, -0.3));
      break;
    case SeriesMarker::kTriangle:
      painter.drawPolygon(triangle(c, r, 1));
      break;
    case SeriesMarker::kDiamond:
      painter.drawPolygon(QPolygonF({{c.x(), c.y() - 1.25 * r},
                                     {c.x() + 1.1 * r, c.y()},
                                     {c.x(), c.y() + 1.25 * r},
                                     {c.x() - 1.1 * r, c.y()}}));
      break;
    case SeriesMarker::kCross:
      painter.drawLine(box.topLeft(), box.bottomRight());
      painter.drawLine(box.topRight(), box.bottomLeft());
      break;
    case SeriesMarker::kPlus:
      painter.drawLine(QPointF(c.x() - r, c.y()), QPointF(c.x() + r, c.y()));
      painter.drawLine(QPointF(c.x(), c.y() - r), QPointF(c.x(), c.y() + r));
      break;
    case SeriesMarker::kTriangleDown:
      painter.drawPolygon(triangle(c, r, -1));
      break;
    case SeriesMarker::kBar:
      painter.drawRect(QRectF(c.x() - 0.4 * r, c.y() - 1.2 * r, 0.8 * r, 2.4 * r));
      break;
  }
}

double contrastRatio(const QColor& a, const QColor& b) {
  const double la = luminance(a);
  const double lb = luminance(b);
  return (std::max(la, lb) + 0.05) / (std::min(la, lb) + 0.05);
}

QColor blend(const QColor& top, const QColor& bottom) {
  const double a = top.alphaF();
  return QColor::fromRgbF(static_cast<float>(a * top.redF() + (1 - a) * bottom.redF()),
                          static_cast<float>(a * top.greenF() + (1 - a) * bottom.greenF()),
                          static_cast<float>(a * top.blueF() + (1 - a) * bottom.blueF()));
}

QColor cividis(double t) {
  static const std::array<QColor, 9> kStops = {hex(0x00204d),
                                               hex(0x14326e),
                                               hex(0x414d6b),
                                               hex(0x5f636e),
                                               hex(0x7c7b78),
                                               hex(0x9b9477),
                                               hex(0xbcaf6f),
                                               hex(0xdecb5d),
                                               hex(0xffea46)};
  const double at = std::clamp(std::isnan(t) ? 0.0 : t, 0.0, 1.0) * 8.0;
  const auto below = static_cast<std::size_t>(std::min(std::floor(at), 7.0));
  QColor upper = kStops[below + 1];
  upper.setAlphaF(static_cast<float>(at - static_cast<double>(below)));
  return blend(upper, kStops[below]);
}

}  // namespace batchscope::views
