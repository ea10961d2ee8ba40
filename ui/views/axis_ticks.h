#pragma once

#include "ui/views/curve.h"

#include <QList>
#include <QString>

namespace batchscope::views {

/// A tick of an axis: place in the axis' (transformed) coordinates and its label.
struct Tick {
  double at = 0;
  QString label;  // empty: a grid line only
};

/// About `count` ticks at 1, 2 or 5 times a power of ten within the range.
QList<Tick> linearTicks(const AxisRange& range, int count);
/// Ticks of a range of log10 values: powers of ten, and 2 and 5 between them where there is room;
/// a range within one decade falls back to linear values at their logarithms.
QList<Tick> logTicks(const AxisRange& range, int count);

/// A number for a person: four significant digits, thousands and decimals by locale, an exponent
/// outside 1e-4…1e6; "NaN", "∞" and "−∞".
QString formatNumber(double value, int digits = 4);
/// A whole number with the locale's thousands separators.
QString formatCount(qint64 value);
/// 75 -> "1:15", 3700 -> "1:01:40", 8 -> "8 s".
QString formatDuration(double seconds);

}  // namespace batchscope::views
