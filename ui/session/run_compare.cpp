#include "ui/session/run_compare.h"

#include "storage/headline.h"

#include <QFileInfo>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace batchscope::session {

namespace {

// Runs are compared as they are: their playheads belong to their own pages.
constexpr auto kWhole = RunSession::Extent::kWhole;

}  // namespace

SettingsDiffModel::SettingsDiffModel(QObject* parent) : QAbstractTableModel(parent) {}

void SettingsDiffModel::setRows(const QStringList& runs, const QList<Row>& rows) {
  beginResetModel();
  runs_ = runs;
  rows_ = rows;
  endResetModel();
}

int SettingsDiffModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(rows_.size());
}

int SettingsDiffModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : 1 + static_cast<int>(runs_.size());
}

QVariant SettingsDiffModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid) ||
      (role != Qt::DisplayRole && role != Qt::ToolTipRole))
    return {};
  const auto& row = rows_[index.row()];
  return index.column() == 0 ? row.key : row.values.value(index.column() - 1);
}

QVariant SettingsDiffModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole || section < 0)
    return {};
  return section == 0 ? QStringLiteral("Setting") : runs_.value(section - 1);
}

RunCompare::RunCompare(QObject* parent) : QObject(parent), settings_(new SettingsDiffModel(this)) {}

QList<RunSession*> RunCompare::sessions() const {
  QList<RunSession*> alive;
  for (const auto& session : sessions_)
    if (session)
      alive.append(session);
  return alive;
}

bool RunCompare::add(RunSession* session) {
  const auto alive = sessions();
  if (!session || alive.contains(session) || alive.size() >= kMaxRuns)
    return false;
  sessions_.append(session);
  connect(session, &RunSession::dataChanged, this, &RunCompare::dataChanged);
  connect(session, &RunSession::evalsChanged, this, &RunCompare::dataChanged);
  connect(session, &RunSession::infoChanged, this, &RunCompare::refreshSettings);
  connect(session, &QObject::destroyed, this, &RunCompare::onRunsChanged);
  onRunsChanged();
  return true;
}

void RunCompare::remove(RunSession* session) {
  if (sessions_.removeAll(session) == 0)
    return;
  session->disconnect(this);
  onRunsChanged();
}

void RunCompare::clear() {
  for (auto* session : sessions())
    session->disconnect(this);
  sessions_.clear();
  onRunsChanged();
}

void RunCompare::setBaseline(RunSession* session) {
  const auto at = sessions_.indexOf(session);
  if (at <= 0)
    return;
  sessions_.move(at, 0);
  onRunsChanged();
}

void RunCompare::onRunsChanged() {
  sessions_.removeIf([](const QPointer<RunSession>& session) { return session.isNull(); });
  refreshSettings();
  Q_EMIT runsChanged();
}

QStringList RunCompare::labels() const {
  QStringList names;
  for (const auto* session : sessions()) {
    const auto& info = session->info();
    // A run that waits for its turn has no record yet.
    const auto place = QFileInfo(session->path()).fileName();
    names.append(!info.name.isEmpty() ? info.name : info.id.isEmpty() ? place : info.id);
  }
  auto labels = names;
  const auto alive = sessions();
  for (int i = 0; i < names.size(); ++i)
    if (names.count(names[i]) > 1)
      labels[i] = QStringLiteral("%1 (%2)").arg(names[i], alive[i]->info().id.left(6));
  return labels;
}

QStringList RunCompare::seriesNames() const {
  QStringList names;
  for (const auto* session : sessions())
    for (const auto& series : session->series())
      if (!names.contains(series.name))
        names.append(series.name);
  return names;
}

QStringList RunCompare::runsWithout(const QString& series) const {
  QStringList lacking;
  const auto alive = sessions();
  const auto names = labels();
  for (int i = 0; i < alive.size(); ++i)
    if (!alive[i]->hasSeries(series))
      lacking.append(names[i]);
  return lacking;
}

QList<SeriesView> RunCompare::views(
    const QString& series, XKind kind, double x0, double x1, int pixels, double smoothing) {
  QList<SeriesView> all;
  for (auto* session : sessions())
    all.append(session->view(series, kind, x0, x1, pixels, smoothing, kWhole));
  return all;
}

QPointF RunCompare::xRange(XKind kind) const {
  bool first = true;
  QPointF range(0, 0);
  for (const auto* session : sessions()) {
    const auto own = session->fullXRange(kind);
    if (own.x() == 0 && own.y() == 0)
      continue;
    range = first ? own : QPointF(std::min(range.x(), own.x()), std::max(range.y(), own.y()));
    first = false;
  }
  return range;
}

QList<QPointF> RunCompare::liveSamples(
    int index, const QString& series, XKind kind, double x0, double x1) {
  QList<QPointF> points;
  for (const auto& sample : sessions()[index]->samples(series, kind, x0, x1, kWhole))
    if (!sample.abandoned)
      points.append({sample.x, sample.value});
  return points;
}

QList<QPointF> RunCompare::difference(int index,
                                      const QString& series,
                                      XKind kind,
                                      double x0,
                                      double x1,
                                      int pixels,
                                      double smoothing) {
  if (index <= 0 || index >= count())
    return {};
  // Asking for the view has the samples read.
  const auto alive = sessions();
  for (auto* session : {alive.first(), alive[index]})
    session->view(series, kind, x0, x1, pixels, 0, kWhole);
  const auto points =
      differenceAt(liveSamples(0, series, kind, x0, x1), liveSamples(index, series, kind, x0, x1));
  return thinned(smoothed(points, smoothing), x0, x1, pixels);
}

QList<PairedDifference> RunCompare::pairedDifferences(
    const QString& series, XKind kind, double x0, double x1, int pixels, double smoothing) {
  QList<SeededRun> runs;
  const auto alive = sessions();
  const auto names = labels();
  for (int i = 0; i < alive.size(); ++i) {
    alive[i]->view(series, kind, x0, x1, pixels, 0, kWhole);
    runs.append(seededRun(alive[i]->info().specToml, names[i]));
    runs.last().points = liveSamples(i, series, kind, x0, x1);
  }
  auto paired = pairOverSeeds(runs);
  for (auto& one : paired)
    for (auto* curve : {&one.mean, &one.low, &one.high})
      *curve = thinned(smoothed(*curve, smoothing), x0, x1, pixels);
  return paired;
}

void RunCompare::refreshSettings() {
  QList<contract::RunSpec> specs;
  for (const auto* session : sessions()) {
    contract::RunSpec spec;
    try {
      spec = contract::parse_spec(session->info().specToml.toStdString());
    } catch (const std::exception&) {
      // A run of a newer version: its readable settings are not guessed at.
    }
    specs.append(spec);
  }
  QStringList keys;
  for (int i = 1; i < specs.size(); ++i)
    for (const auto& difference : contract::diff_specs(specs[0], specs[i]))
      if (const auto key = QString::fromStdString(difference.key); !keys.contains(key))
        keys.append(key);
  QList<SettingsDiffModel::Row> rows;
  for (const auto& key : keys) {
    SettingsDiffModel::Row row;
    row.key = key;
    for (const auto& spec : specs)
      row.values.append(settingText(spec, key));
    rows.append(row);
  }
  settings_->setRows(labels(), rows);
  Q_EMIT settingsChanged();
}

QString RunCompare::settingText(const contract::RunSpec& spec, const QString& key) {
  try {
    const auto text = QString::fromStdString(contract::get_value(spec, key.toStdString()));
    return text.isEmpty() ? QStringLiteral("(derived)") : text;
  } catch (const std::exception&) {
    return QStringLiteral("%1 events").arg(spec.events.size());
  }
}

QStringList RunCompare::metricNames() const {
  QStringList names;
  for (const auto* session : sessions())
    for (const auto& eval : session->allEvals())
      for (auto it = eval.metrics.constBegin(); it != eval.metrics.constEnd(); ++it)
        if (!names.contains(it.key()))
          names.append(it.key());
  names.sort();
  return names;
}

QString RunCompare::headlineMetric() const {
  std::map<std::string, double> some, all;
  bool first = true;
  for (const auto* session : sessions()) {
    std::map<std::string, double> own;
    for (const auto& eval : session->allEvals())
      for (auto it = eval.metrics.constBegin(); it != eval.metrics.constEnd(); ++it)
        own.emplace(it.key().toStdString(), 0);
    some.insert(own.begin(), own.end());
    if (std::exchange(first, false))
      all = own;
    else
      std::erase_if(all, [&](const auto& entry) { return !own.contains(entry.first); });
  }
  const auto shared = storage::headline(all);
  const auto figure = shared ? shared : storage::headline(some);
  return figure ? QString::fromStdString(figure->name) : QString();
}

QList<TargetReached> RunCompare::timeToTarget(const QString& metric, double value) const {
  QList<TargetReached> all;
  const auto alive = sessions();
  const auto names = labels();
  for (int i = 0; i < alive.size(); ++i) {
    TargetReached reached;
    reached.run = names[i];
    reached.best = std::numeric_limits<double>::quiet_NaN();
    for (const auto& eval : alive[i]->allEvals()) {
      const auto got = eval.metrics.value(metric, std::numeric_limits<double>::quiet_NaN());
      if (eval.abandoned || std::isnan(got))
        continue;
      reached.best = std::fmax(reached.best, got);
      if (reached.reached() || got < value)
        continue;
      reached.step = eval.step;
      reached.images = eval.images;
      reached.seconds = eval.seconds;
    }
    all.append(reached);
  }
  return all;
}

}  // namespace batchscope::session
