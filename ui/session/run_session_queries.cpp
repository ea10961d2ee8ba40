#include "ui/session/eval_model.h"
#include "ui/session/event_model.h"
#include "ui/session/playhead.h"
#include "ui/session/run_session.h"
#include "ui/session/run_store.h"
#include "ui/session/run_worker.h"

#include <QSet>

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchscope::session {

namespace {

constexpr double kMaxSmoothing = 0.999;

int thousandthsOf(double smoothing) {
  return static_cast<int>(std::lround(std::clamp(smoothing, 0.0, kMaxSmoothing) * 1000));
}

/// Changes of the training: what an undo to their own step takes back.
bool isChange(const QString& kind) {
  static const QStringList kinds{QStringLiteral("optimizer"),
                                 QStringLiteral("lr"),
                                 QStringLiteral("accumulation"),
                                 QStringLiteral("end")};
  return kinds.contains(kind);
}

/// Which changes stand after these events (in order) and which an undo took back: each undo takes
/// the newest that stands, a resume all after its checkpoint.
struct Changes {
  QList<EventItem> standing;
  QSet<std::int64_t> undone;

  explicit Changes(const QList<EventItem>& events) {
    for (const auto& event : events) {
      if (isChange(event.kind))
        standing.append(event);
      else if (event.kind == QLatin1String("undo") && !standing.isEmpty())
        drop();
      else if (event.kind == QLatin1String("resume"))
        while (!standing.isEmpty() && standing.last().step > event.step)
          drop();
    }
  }

 private:
  void drop() {
    undone.insert(standing.last().id);
    standing.removeLast();
  }
};

bool isAbandoned(const std::vector<LineSegment>& line, std::int64_t segment, std::int64_t step) {
  for (const auto& part : line)
    if (part.segment == segment)
      return step > part.lastStep;
  return true;
}

}  // namespace

QStringList RunSession::seriesWithPrefix(const QString& prefix) const {
  QStringList names;
  for (const auto& module : info_.modules)
    if (hasSeries(prefix + module))
      names.append(prefix + module);
  for (const auto& series : series_)
    if (series.name.startsWith(prefix) && !names.contains(series.name))
      names.append(series.name);
  return names;
}

bool RunSession::hasSeries(const QString& name) const {
  return seriesIndex_.contains(name);
}

void RunSession::requestWanted() {
  if (worker_)
    QMetaObject::invokeMethod(worker_, &RunWorker::fulfil, Qt::QueuedConnection);
}

std::int64_t RunSession::limitOf(Extent extent) const {
  return extent == Extent::kWhole ? store_->rows() : rowLimit();
}

SeriesView RunSession::view(const QString& name,
                            XKind kind,
                            double x0,
                            double x1,
                            int pixels,
                            double smoothing,
                            Extent extent) {
  SeriesView view;
  view.name = name;
  const auto found = seriesIndex_.constFind(name);
  view.known = found != seriesIndex_.constEnd();
  if (!view.known)
    return view;
  const auto& item = series_[*found];
  view.unit = item.unit;
  view.module = item.module;
  view.help = item.help;
  const CurveWant want{{*found, thousandthsOf(smoothing)}, kind};
  view.smoothing = want.key.weight();
  view.loading = !store_->view(
      view, want, limitOf(extent), std::min(x0, x1), std::max(x0, x1), std::max(1, pixels));
  if (store_->hasWants())
    requestWanted();
  return view;
}

HeatmapView RunSession::heatmap(
    const QString& prefix, XKind kind, double x0, double x1, int columns) {
  HeatmapView map;
  map.columns = std::max(1, columns);
  map.x0 = x0;
  map.x1 = x1;
  for (const auto& name : seriesWithPrefix(prefix)) {
    const auto curve = view(name, kind, x0, x1, map.columns);
    map.loading = map.loading || curve.loading;
    map.rows.append(name.mid(prefix.size()));
    QList<double> low(map.columns, std::numeric_limits<double>::quiet_NaN()), high = low;
    for (const auto& part : curve.parts)
      for (const auto& point : part.points) {
        if (part.abandoned || point.x() < x0 || point.x() > x1 || x1 <= x0)
          continue;
        const auto column =
            std::min(map.columns - 1, static_cast<int>((point.x() - x0) / (x1 - x0) * map.columns));
        low[column] = std::fmin(low[column], point.y());
        high[column] = std::fmax(high[column], point.y());
      }
    for (int column = 0; column < map.columns; ++column)
      map.cells.append((low[column] + high[column]) / 2);
  }
  return map;
}

QPointF RunSession::xRange(XKind kind) const {
  return store_->xRange(kind, rowLimit());
}

QPointF RunSession::fullXRange(XKind kind) const {
  return store_->xRange(kind, store_->rows());
}

SampleItem RunSession::nearest(
    const QString& name, XKind kind, double x, int offset, double smoothing) {
  const auto found = seriesIndex_.constFind(name);
  if (found == seriesIndex_.constEnd())
    return {};
  return store_->nearest({*found, thousandthsOf(smoothing)}, kind, rowLimit(), x, offset);
}

SampleItem RunSession::nextNonFinite(const QString& name, XKind kind, double x) {
  const auto found = seriesIndex_.constFind(name);
  if (found == seriesIndex_.constEnd())
    return {};
  return store_->nextNonFinite({*found, 0}, kind, rowLimit(), x);
}

QList<SampleItem> RunSession::samples(
    const QString& name, XKind kind, double x0, double x1, Extent extent) {
  const auto found = seriesIndex_.constFind(name);
  if (found == seriesIndex_.constEnd())
    return {};
  return store_->samples({*found, 0}, kind, limitOf(extent), x0, x1, true);
}

QList<EventItem> RunSession::events() const {
  return eventModel_->events();
}

QList<EvalItem> RunSession::evals() const {
  return evalModel_->evals();
}

void RunSession::markUndone() {
  const auto line = store_->line(store_->rows());
  const Changes changes(events_);
  for (auto& event : events_)
    event.abandoned =
        changes.undone.contains(event.id) || isAbandoned(line, event.segment, event.step);
  for (auto& eval : evals_)
    eval.abandoned = isAbandoned(line, eval.segment, eval.step);
}

std::int64_t RunSession::savedStep(std::int64_t step, bool checkpoint) const {
  const auto line = store_->line(store_->rows());
  std::int64_t newest = -1;
  for (const auto& state : states_)
    if (state.step <= step && (state.checkpoint || !checkpoint) &&
        !isAbandoned(line, state.segment, state.step))
      newest = std::max(newest, state.step);
  return newest;
}

void RunSession::refreshLists() {
  const auto limit = rowLimit();
  const bool all = limit >= store_->rows();
  const auto now = playhead_->position();
  const auto line = store_->line(limit);
  QList<EventItem> events;
  for (const auto& event : events_)
    if (all || event.playSeconds <= now)
      events.append(event);
  const Changes changes(events);
  for (auto& event : events)
    event.abandoned =
        changes.undone.contains(event.id) || isAbandoned(line, event.segment, event.step);
  QList<EvalItem> evals;
  for (auto eval : evals_) {
    if (!all && eval.playSeconds > now)
      continue;
    eval.abandoned = isAbandoned(line, eval.segment, eval.step);
    evals.append(eval);
  }
  const bool newEvents = eventModel_->setEvents(events);
  const bool newEvals = evalModel_->setEvals(evals);
  if (newEvents)
    Q_EMIT eventsChanged();
  if (newEvals)
    Q_EMIT evalsChanged();
  requestProbes();
}

EvalItem RunSession::latestEval() const {
  for (int i = static_cast<int>(evalModel_->evals().size()) - 1; i >= 0; --i)
    if (!evalModel_->evals()[i].abandoned)
      return evalModel_->evals()[i];
  EvalItem none;
  none.step = -1;
  return none;
}

void RunSession::takePredicted(const RunUpdate& update) {
  for (const auto& place : update.newPredictions) {
    predicted_[place.segment].insert(place.step);
    if (probesAt_ == place)
      probesAt_.reset();
  }
  if (update.pictures)
    probesAt_.reset();
}

/// Not that of an evaluation: the first predictions come before any.
PredictionPlace RunSession::placeOfProbes() const {
  const auto limit = rowLimit();
  const auto here = limit < store_->rows() ? store_->rowItem(limit - 1).step
                                           : std::numeric_limits<std::int64_t>::max();
  for (const auto& part : store_->line(limit)) {
    const auto steps = predicted_.find(part.segment);
    if (steps == predicted_.end())
      continue;
    const auto after = steps->second.upper_bound(std::min(part.lastStep, here));
    if (after != steps->second.begin())
      return {part.segment, *std::prev(after)};
  }
  return {};
}

void RunSession::requestProbes() {
  const auto place = placeOfProbes();
  if (!worker_ || probesAt_ == place)
    return;
  probesAt_ = place;
  store_->wantProbes(place);
  QMetaObject::invokeMethod(worker_, &RunWorker::readProbes, Qt::QueuedConnection);
}

SampleItem RunSession::playheadSample() const {
  // The newest row may be of a branch that was undone since.
  return store_->rowItem(
      store_->liveRowOfStep(std::numeric_limits<std::int64_t>::max(), rowLimit()));
}

EventItem RunSession::undoTarget() const {
  const Changes changes(events_);
  return changes.standing.isEmpty() ? EventItem() : changes.standing.last();
}

}  // namespace batchscope::session
