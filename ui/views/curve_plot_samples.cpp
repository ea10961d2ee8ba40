// The part of CurvePlot that knows which samples there are.
#include "ui/views/curve_plot.h"

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr double kSnapPixels = 24;

}  // namespace

std::optional<QPointF> CurvePlot::nearestSample(const Curve& curve, double x, int offset) const {
  const std::optional<QPointF> recorded =
      at_ && !curve.forecast ? at_(curve.series, x, offset) : std::nullopt;
  return recorded ? recorded : pointAt(curve, x, offset);
}

std::optional<QPointF> CurvePlot::sampleAt(const Curve& curve, double x) const {
  std::optional<QPointF> sample = nearestSample(curve, x);
  if (sample && sample->x() > x) {
    sample = nearestSample(curve, x, -1);
    return sample && sample->x() <= x ? sample : std::nullopt;
  }
  const bool past = sample && sample->x() < x && nearestSample(curve, x, 1)->x() < x;
  return past ? std::nullopt : sample;
}

double CurvePlot::snapped(double x) const {
  std::optional<double> best;
  for (const Curve& curve : curves_) {
    if (curve.abandoned || curve.forecast || !isShown(curve)) {
      continue;
    }
    const std::optional<QPointF> sample = nearestSample(curve, x);
    if (sample && (!best || std::abs(sample->x() - x) < std::abs(*best - x))) {
      best = sample->x();
    }
  }
  const double reach = kSnapPixels / std::max(plot_.width(), 1.0) * x_.span();
  if (best && std::abs(*best - x) <= reach) {
    return *best;
  }
  return wholeX_ ? std::round(x) : x;
}

}  // namespace batchscope::views
