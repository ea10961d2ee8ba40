#include "ui/session/paired_runs.h"

#include "engine/contract/run_spec.h"

#include <QMap>

#include <algorithm>
#include <cmath>

namespace batchscope::session {

QList<QPointF> differenceAt(const QList<QPointF>& base, const QList<QPointF>& other) {
  QList<QPointF> result;
  qsizetype at = 0;
  for (const auto& point : other) {
    while (at + 1 < base.size() && base[at + 1].x() <= point.x())
      ++at;
    if (at >= base.size() || base[at].x() > point.x())
      continue;
    double value = base[at].y();
    if (base[at].x() < point.x()) {
      if (at + 1 >= base.size())
        break;
      const auto& next = base[at + 1];
      value += (next.y() - value) * (point.x() - base[at].x()) / (next.x() - base[at].x());
    }
    if (std::isfinite(value) && std::isfinite(point.y()))
      result.append({point.x(), point.y() - value});
  }
  return result;
}

QList<QPointF> smoothed(const QList<QPointF>& points, double weight) {
  if (weight <= 0)
    return points;
  QList<QPointF> result;
  double sum = 0, mass = 0;
  for (const auto& point : points) {
    sum = weight * sum + (1 - weight) * point.y();
    mass = weight * mass + (1 - weight);
    result.append({point.x(), sum / mass});
  }
  return result;
}

QList<QPointF> thinned(const QList<QPointF>& points, double x0, double x1, int pixels) {
  if (points.size() <= 2 * qsizetype(pixels) || x1 <= x0)
    return points;
  QList<QPointF> result;
  const auto column = [&](const QPointF& point) {
    return std::floor((point.x() - x0) / (x1 - x0) * pixels);
  };
  const auto byValue = [](const QPointF& a, const QPointF& b) { return a.y() < b.y(); };
  for (auto begin = points.cbegin(); begin != points.cend();) {
    const auto end = std::find_if(begin, points.cend(), [&](const QPointF& point) {
      return column(point) != column(*begin);
    });
    auto [low, high] = std::minmax_element(begin, end, byValue);
    if (high < low)
      std::swap(low, high);
    result.append(*low);
    if (high != low)
      result.append(*high);
    begin = end;
  }
  return result;
}

SeededRun seededRun(const QString& specToml, const QString& label) {
  SeededRun run;
  run.label = label;
  run.group = label;
  if (specToml.isEmpty())
    return run;  // it waits for its turn and has no record yet
  try {
    auto spec = contract::parse_spec(specToml.toStdString());
    run.seed = spec.run.seed;
    spec.run = {};
    run.group = QString::fromStdString(contract::to_toml(spec));
  } catch (const std::exception&) {
    // Of a newer version: a group of its own.
  }
  return run;
}

namespace {

PairedDifference paired(const QList<QList<QPointF>>& differences) {
  PairedDifference result;
  result.pairs = static_cast<int>(differences.size());
  QMap<double, QList<double>> at;
  for (const auto& curve : differences)
    for (const auto& point : curve)
      at[point.x()].append(point.y());
  for (auto it = at.cbegin(); it != at.cend(); ++it) {
    if (it->size() != differences.size())
      continue;
    double sum = 0;
    for (const auto value : *it)
      sum += value;
    const auto mean = sum / static_cast<double>(it->size());
    double squares = 0;
    for (const auto value : *it)
      squares += (value - mean) * (value - mean);
    const auto [low, high] = std::minmax_element(it->cbegin(), it->cend());
    result.mean.append({it.key(), mean});
    result.low.append({it.key(), *low});
    result.high.append({it.key(), *high});
    result.endMean = mean;
    result.endSpread =
        it->size() > 1 ? std::sqrt(squares / (static_cast<double>(it->size()) - 1)) : 0;
  }
  return result;
}

}  // namespace

QList<PairedDifference> pairOverSeeds(const QList<SeededRun>& runs) {
  QList<PairedDifference> all;
  if (runs.isEmpty())
    return all;
  QMap<std::int64_t, const SeededRun*> base;
  QStringList groups;
  for (const auto& run : runs) {
    if (run.group == runs.first().group)
      base.insert(run.seed, &run);
    else if (!groups.contains(run.group))
      groups.append(run.group);
  }
  for (const auto& group : groups) {
    QList<QList<QPointF>> differences;
    QString label;
    for (const auto& run : runs) {
      if (run.group != group)
        continue;
      label = label.isEmpty() ? run.label : label;
      if (const auto* partner = base.value(run.seed))
        differences.append(differenceAt(partner->points, run.points));
    }
    if (differences.isEmpty())
      continue;
    auto one = paired(differences);
    one.label = label;
    if (!one.mean.isEmpty())
      all.append(one);
  }
  return all;
}

}  // namespace batchscope::session
