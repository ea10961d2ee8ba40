#include "ui/session/run_list_model.h"

#include "storage/catalogue.h"
#include "storage/headline.h"
#include "storage/run_files.h"
#include "ui/session/convert.h"

#include <QDir>

#include <cmath>

namespace batchscope::session {

namespace {

constexpr int kScanMs = 2000;

RunListItem listItem(const storage::RunSummary& summary) {
  RunListItem item;
  item.id = fromStd(summary.id);
  item.name = fromStd(summary.name);
  item.group = fromStd(summary.group);
  item.folder = fromPath(summary.folder);
  item.status = statusItem(summary);
  item.effectiveBatch = summary.effective_batch;
  item.started = fromStd(summary.started);
  item.finished = fromStd(summary.finished);
  item.metrics = fromMetrics(summary.metrics);
  if (const auto figure = storage::headline(summary.metrics)) {
    item.resultName = fromStd(figure->name);
    item.result = figure->value;
  }
  return item;
}

bool sameNumbers(const QMap<QString, double>& a, const QMap<QString, double>& b) {
  if (a.keys() != b.keys())
    return false;
  for (auto it = a.constBegin(); it != a.constEnd(); ++it)
    if (it.value() != b[it.key()] && !(std::isnan(it.value()) && std::isnan(b[it.key()])))
      return false;
  return true;
}

}  // namespace

bool RunListItem::operator==(const RunListItem& other) const {
  return id == other.id && name == other.name && group == other.group && folder == other.folder &&
         status.state == other.status.state && status.evidence == other.status.evidence &&
         status.phase == other.status.phase && status.error == other.status.error &&
         status.step == other.status.step && status.steps == other.status.steps &&
         status.images == other.status.images && status.optimizer == other.status.optimizer &&
         status.dead == other.status.dead && effectiveBatch == other.effectiveBatch &&
         started == other.started && finished == other.finished &&
         sameNumbers(metrics, other.metrics);
}

RunListModel::RunListModel(QObject* parent)
    : QAbstractTableModel(parent), worker_(std::make_unique<QObject>()) {
  worker_->moveToThread(&thread_);
  thread_.start();
  timer_.setInterval(kScanMs);
  connect(&timer_, &QTimer::timeout, this, &RunListModel::refresh);
  connect(&watcher_, &QFileSystemWatcher::directoryChanged, this, &RunListModel::refresh);
}

RunListModel::~RunListModel() {
  cancelled_ = true;
  thread_.quit();
  thread_.wait();
}

QString RunListModel::defaultLibrary() {
  return fromPath(storage::default_library());
}

void RunListModel::setLibrary(const QString& folder) {
  const auto wanted = folder.isEmpty() ? defaultLibrary() : QDir(folder).absolutePath();
  if (wanted == library_) {
    refresh();
    return;
  }
  if (!watcher_.directories().isEmpty())
    watcher_.removePaths(watcher_.directories());
  library_ = wanted;
  loaded_ = false;
  lastError_.clear();
  beginResetModel();
  runs_.clear();
  endResetModel();
  Q_EMIT libraryChanged(library_);
  timer_.start();
  refresh();
}

void RunListModel::setInterval(int ms) {
  timer_.setInterval(ms);
}

void RunListModel::refresh() {
  if (library_.isEmpty())
    return;
  if (scanning_) {
    again_ = true;
    return;
  }
  scanning_ = true;
  if (watcher_.directories().isEmpty() && QDir(library_).exists())
    watcher_.addPath(library_);
  QMetaObject::invokeMethod(worker_.get(), [this, library = library_] {
    QList<RunListItem> runs;
    QString error;
    try {
      if (QDir(library).exists())
        for (const auto& summary : storage::list_runs(toPath(library), &cancelled_))
          runs.append(listItem(summary));
    } catch (const std::exception& thrown) {
      error = QString::fromUtf8(thrown.what());
    }
    QMetaObject::invokeMethod(this, [this, library, runs, error] { merge(library, runs, error); });
  });
}

void RunListModel::merge(const QString& library,
                         const QList<RunListItem>& runs,
                         const QString& error) {
  scanning_ = false;
  if (library == library_) {
    if (error.isEmpty())
      apply(runs);
    else if (error != lastError_)
      Q_EMIT failed(error);
    lastError_ = error;
    loaded_ = true;
    Q_EMIT refreshed();
  }
  if (std::exchange(again_, false) || library != library_)
    refresh();
}

void RunListModel::noteStep(const QString& id, std::optional<std::int64_t> step) {
  if (!step) {
    noted_.remove(id);
    return;
  }
  noted_.insert(id, *step);
  const auto row = rowOf(id);
  if (row < 0 || !runs_[row].status.isLive() || runs_[row].status.step == *step)
    return;
  runs_[row].status.step = *step;
  Q_EMIT dataChanged(index(row, 0), index(row, kColumns - 1));
}

void RunListModel::apply(QList<RunListItem> runs) {
  for (auto& run : runs)
    if (run.status.isLive())
      run.status.step = noted_.value(run.id, run.status.step);
    else
      noted_.remove(run.id);
  QHash<QString, int> wanted;
  for (int i = 0; i < runs.size(); ++i)
    wanted.insert(runs[i].folder, i);
  QHash<QString, bool> known;
  for (int row = static_cast<int>(runs_.size()) - 1; row >= 0; --row) {
    const auto found = wanted.constFind(runs_[row].folder);
    if (found == wanted.constEnd()) {
      beginRemoveRows({}, row, row);
      runs_.removeAt(row);
      endRemoveRows();
      continue;
    }
    known.insert(runs_[row].folder, true);
    if (!(runs_[row] == runs[*found])) {
      runs_[row] = runs[*found];
      Q_EMIT dataChanged(index(row, 0), index(row, kColumns - 1));
    }
  }
  QList<RunListItem> fresh;
  for (const auto& run : runs)
    if (!known.contains(run.folder))
      fresh.append(run);
  if (fresh.isEmpty())
    return;
  const auto first = static_cast<int>(runs_.size());
  beginInsertRows({}, first, first + static_cast<int>(fresh.size()) - 1);
  runs_ += fresh;
  endInsertRows();
}

int RunListModel::rowOf(const QString& idOrFolder) const {
  for (int row = 0; row < runs_.size(); ++row)
    if (runs_[row].id == idOrFolder || runs_[row].folder == idOrFolder)
      return row;
  return -1;
}

int RunListModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(runs_.size());
}

int RunListModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant RunListModel::display(const RunListItem& run, int column) const {
  switch (column) {
    case kStateColumn:
      return run.status.dead ? run.status.word + QStringLiteral(" (dead)") : run.status.word;
    case kNameColumn:
      return run.name.isEmpty() ? run.id : run.name;
    case kStepColumn:
      return run.status.steps > 0
                 ? QStringLiteral("%1 / %2").arg(run.status.step).arg(run.status.steps)
                 : QString::number(run.status.step);
    case kResultColumn:
      return run.resultName.isEmpty()
                 ? QString()
                 : QStringLiteral("%1 %2").arg(run.resultName).arg(run.result, 0, 'f', 3);
    case kOptimizerColumn:
      return run.status.optimizer;
    case kBatchColumn:
      return run.effectiveBatch > 0 ? QString::number(run.effectiveBatch) : QString();
    default:
      return run.started;
  }
}

QVariant RunListModel::sortValue(const RunListItem& run, int column) const {
  switch (column) {
    case kStepColumn:
      return static_cast<qlonglong>(run.status.step);
    case kResultColumn:
      return run.resultName.isEmpty() ? -1 : run.result;
    case kBatchColumn:
      return static_cast<qlonglong>(run.effectiveBatch);
    case kStateColumn:
      return static_cast<int>(run.status.state);
    default:
      return display(run, column);
  }
}

QVariant RunListModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
    return {};
  const auto& run = runs_[index.row()];
  switch (role) {
    case Qt::DisplayRole:
      return display(run, index.column());
    case kSortRole:
      return sortValue(run, index.column());
    case Qt::ToolTipRole:
      return run.status.error.isEmpty()
                 ? QStringLiteral("%1: %2").arg(run.status.word, run.status.evidence)
                 : run.status.error;
    case kIdRole:
      return run.id;
    case kFolderRole:
      return run.folder;
    case kStateRole:
      return static_cast<int>(run.status.state);
    case kStateWordRole:
      return run.status.word;
    case kIconRole:
      return stateIcon(run.status.state);
    case kEvidenceRole:
      return run.status.evidence;
    case kErrorRole:
      return run.status.error;
    case kLiveRole:
      return run.status.isLive();
    case kProgressRole:
      return run.status.steps > 0
                 ? static_cast<double>(run.status.step) / static_cast<double>(run.status.steps)
                 : 0.0;
    case kMetricsRole: {
      QVariantMap map;
      for (auto it = run.metrics.constBegin(); it != run.metrics.constEnd(); ++it)
        map.insert(it.key(), it.value());
      return map;
    }
    default:
      return {};
  }
}

QVariant RunListModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
    return {};
  static const QStringList titles{QStringLiteral("State"),
                                  QStringLiteral("Name"),
                                  QStringLiteral("Step"),
                                  QStringLiteral("Result"),
                                  QStringLiteral("Optimizer"),
                                  QStringLiteral("Batch"),
                                  QStringLiteral("Started (UTC)")};
  return titles.value(section);
}

QHash<int, QByteArray> RunListModel::roleNames() const {
  auto names = QAbstractTableModel::roleNames();
  names.insert(kIdRole, "runId");
  names.insert(kFolderRole, "folder");
  names.insert(kStateRole, "state");
  names.insert(kStateWordRole, "stateWord");
  names.insert(kIconRole, "icon");
  names.insert(kEvidenceRole, "evidence");
  names.insert(kErrorRole, "error");
  names.insert(kSortRole, "sortValue");
  names.insert(kProgressRole, "progress");
  names.insert(kLiveRole, "live");
  names.insert(kMetricsRole, "metrics");
  return names;
}

RunFilterModel::RunFilterModel(QObject* parent) : QSortFilterProxyModel(parent) {
  setSortRole(RunListModel::kSortRole);
  setSortCaseSensitivity(Qt::CaseInsensitive);
}

void RunFilterModel::setText(const QString& text) {
  text_ = text.trimmed();
  invalidateFilter();
}

bool RunFilterModel::filterAcceptsRow(int row, const QModelIndex& parent) const {
  if (text_.isEmpty())
    return true;
  const auto index = sourceModel()->index(row, 0, parent);
  const auto holds = [&](const QVariant& value) {
    return value.toString().contains(text_, Qt::CaseInsensitive);
  };
  const auto cell = [&](int column) { return index.siblingAtColumn(column).data(); };
  return holds(index.data(RunListModel::kIdRole)) || holds(cell(RunListModel::kNameColumn)) ||
         holds(cell(RunListModel::kOptimizerColumn)) || holds(cell(RunListModel::kStateColumn));
}

}  // namespace batchscope::session
