#include "ui/views/axis_ticks.h"

#include <QLocale>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr int kMostTicks = 40;

double niceStep(double span, int count) {
  const double raw = span / std::max(count, 1);
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double m = raw / power;
  return (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10) * power;
}

/// A tick's label: as many decimals as the step needs.
QString tickLabel(double value, double step) {
  const QLocale locale;
  const double size = std::max(std::abs(value), step);
  if (std::abs(value) < 1e-9 * step) {
    return locale.toString(0);
  }
  if (size >= 1e7 || size < 1e-4) {
    return locale.toString(value, 'g', 4);
  }
  const int decimals = std::clamp(static_cast<int>(-std::floor(std::log10(step) + 1e-9)), 0, 8);
  return locale.toString(value, 'f', decimals);
}

}  // namespace

QList<Tick> linearTicks(const AxisRange& range, int count) {
  QList<Tick> ticks;
  if (!(range.span() > 0) || !std::isfinite(range.span())) {
    return ticks;
  }
  const double step = niceStep(range.span(), count);
  const double first = std::ceil(range.low / step - 1e-9);
  for (int i = 0; i < kMostTicks; ++i) {
    const double at = (first + i) * step;
    if (at > range.high + 1e-9 * step) {
      break;
    }
    ticks.append({at, tickLabel(at, step)});
  }
  return ticks;
}

QList<Tick> logTicks(const AxisRange& range, int count) {
  QList<Tick> ticks;
  if (!(range.span() > 0) || !std::isfinite(range.span())) {
    return ticks;
  }
  if (range.span() < 1.0) {
    const AxisRange values{std::pow(10.0, range.low), std::pow(10.0, range.high)};
    if (std::isfinite(values.high) && values.low > 0) {
      for (const Tick& tick : linearTicks(values, count)) {
        if (tick.at > 0) {
          ticks.append({std::log10(tick.at), formatNumber(tick.at)});
        }
      }
    }
    return ticks;
  }
  const int every = std::max(1, static_cast<int>(std::ceil(range.span() / std::max(count, 1))));
  const int first = static_cast<int>(std::ceil(range.low - 1e-9));
  const bool between = every == 1 && range.span() * 3 <= count + 1;
  for (int power = first - 1; power <= range.high + 1e-9; ++power) {
    if (power >= first && (power - first) % every == 0) {
      ticks.append({static_cast<double>(power), formatNumber(std::pow(10.0, power))});
    }
    for (const int m : {2, 5}) {
      const double at = power + std::log10(m);
      if (every == 1 && range.contains(at)) {
        ticks.append({at, between ? formatNumber(m * std::pow(10.0, power)) : QString()});
      }
    }
  }
  return ticks;
}

QString formatNumber(double value, int digits) {
  if (std::isnan(value)) {
    return QStringLiteral("NaN");
  }
  if (std::isinf(value)) {
    return value > 0 ? QStringLiteral("∞") : QStringLiteral("−∞");
  }
  const QLocale locale;
  if (value == 0) {
    return locale.toString(0);
  }
  const double size = std::abs(value);
  if (size < 1e-4 || size >= 1e6) {
    return locale.toString(value, 'g', digits);
  }
  const int before = static_cast<int>(std::floor(std::log10(size))) + 1;
  QString text = locale.toString(value, 'f', std::clamp(digits - before, 0, 8));
  if (text.contains(locale.decimalPoint())) {
    while (text.endsWith(locale.zeroDigit())) {
      text.chop(1);
    }
    if (text.endsWith(locale.decimalPoint())) {
      text.chop(1);
    }
  }
  return text;
}

QString formatCount(qint64 value) {
  return QLocale().toString(value);
}

QString formatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) {
    return QStringLiteral("–");
  }
  const auto total = static_cast<qint64>(std::llround(std::min(seconds, 1e12)));
  if (total < 60) {
    return QStringLiteral("%1 s").arg(total);
  }
  const QLatin1Char zero('0');
  if (total < 3600) {
    return QStringLiteral("%1:%2").arg(total / 60).arg(total % 60, 2, 10, zero);
  }
  return QStringLiteral("%1:%2:%3")
      .arg(total / 3600)
      .arg(total / 60 % 60, 2, 10, zero)
      .arg(total % 60, 2, 10, zero);
}

}  // namespace batchscope::views
