#pragma once

#include <QColor>
#include <QList>
#include <QPen>

#include <array>

namespace batchscope::views {

enum class ThemeMode { kSystem, kLight, kDark };

/// All colours of the window in one object. Text roles have a contrast of at least 4.5:1 on
/// `window`, `panel` and `plot`; curve colours at least 3:1 on `plot` (tst_views_theme computes
/// both).
struct Palette {
  bool dark = false;
  QColor window, panel, raised, plot, border, grid;
  QColor text, textMuted, textDisabled;
  QColor accent, onAccent, selection, hover;
  QColor good, warn, bad, info;
  QColor goodSoft, warnSoft, badSoft, infoSoft;
  QColor crosshair, abandoned, saturated, eventMark;
  std::array<QColor, 8> series;

  /// Colour of the n-th curve; repeats after eight.
  QColor seriesColor(int index) const;
  /// Pen of the n-th curve: colour, and a dash pattern that changes with every repetition of the
  /// colours and, within the first eight, between neighbours.
  QPen seriesPen(int index, double width = 1.6) const;
};

/// Marker shapes that tell curves apart without colour; drawn by paintSeriesMarker.
enum class SeriesMarker {
  kCircle,
  kSquare,
  kTriangle,
  kDiamond,
  kCross,
  kPlus,
  kTriangleDown,
  kBar
};
SeriesMarker seriesMarker(int index);
/// Paints the n-th curve's marker (radius in px) in the painter's coordinates.
void paintSeriesMarker(QPainter& painter, QPointF centre, int index, double radius);

Palette lightPalette();
Palette darkPalette();

/// Contrast ratio of WCAG 2.1: (L1 + 0.05) / (L2 + 0.05), 1…21. Alpha is ignored.
double contrastRatio(const QColor& a, const QColor& b);
/// `top` painted with its alpha over the opaque `bottom`.
QColor blend(const QColor& top, const QColor& bottom);
/// Cividis at t in 0…1 (clamped): a colour map that grows in lightness for every kind of sight.
QColor cividis(double t);

}  // namespace batchscope::views
