#pragma once

#include <QList>
#include <QPointF>
#include <QString>

#include <cstdint>

/// Differences of runs at equal x. Plain functions.
namespace batchscope::session {

/// `other` minus `base` at the x values of `other`: the sample of `base` at the same x where it has
/// one, else `base` interpolated linearly between its neighbours; nothing outside of it or beside
/// values that are not finite. Both in x order.
QList<QPointF> differenceAt(const QList<QPointF>& base, const QList<QPointF>& other);
/// Causal, debiased exponential mean; weight 0…0.999, 0 leaves it.
QList<QPointF> smoothed(const QList<QPointF>& points, double weight);
/// At most two points per pixel column of [x0, x1], the lowest and the highest.
QList<QPointF> thinned(const QList<QPointF>& points, double x0, double x1, int pixels);

/// A run as pairing sees it.
struct SeededRun {
  QString group;  // its settings but for name, notes, tags and seed
  QString label;
  std::int64_t seed = 0;
  QList<QPointF> points;
};
/// From the run's spec; a spec that cannot be read is a group of its own.
SeededRun seededRun(const QString& specToml, const QString& label);

/// One group minus the baseline's, over the seeds that both have.
struct PairedDifference {
  QString label;  // of the group's first run
  int pairs = 0;
  QList<QPointF> mean, low, high;  // over the pairs, at x where all of them have a value
  double endMean = 0,
         endSpread = 0;  // at the last x: mean and standard deviation (n - 1; 0 for one)
};
/// The first run's group is the baseline. Groups without a common seed are left out.
QList<PairedDifference> pairOverSeeds(const QList<SeededRun>& runs);

}  // namespace batchscope::session
