#include "ui/session/eval_model.h"

#include <algorithm>

namespace batchscope::session {

namespace {

QStringList orderedMetrics(const QList<EvalItem>& evals) {
  QStringList first{QStringLiteral("AP"),
                    QStringLiteral("AP50"),
                    QStringLiteral("AP75"),
                    QStringLiteral("APs"),
                    QStringLiteral("APm"),
                    QStringLiteral("APl"),
                    QStringLiteral("AR1"),
                    QStringLiteral("AR10"),
                    QStringLiteral("AR100"),
                    QStringLiteral("ARs"),
                    QStringLiteral("ARm"),
                    QStringLiteral("ARl")};
  QStringList rest;
  for (const auto& eval : evals)
    for (auto it = eval.metrics.constBegin(); it != eval.metrics.constEnd(); ++it)
      if (!first.contains(it.key()) && !rest.contains(it.key()))
        rest.append(it.key());
  rest.sort();
  const auto absent = [&](const QString& name) {
    return std::none_of(evals.begin(), evals.end(), [&](const EvalItem& eval) {
      return eval.metrics.contains(name);
    });
  };
  first.removeIf(absent);
  return first + rest;
}

}  // namespace

EvalModel::EvalModel(QObject* parent) : QAbstractTableModel(parent) {}

bool EvalModel::setEvals(const QList<EvalItem>& evals) {
  const auto metrics = orderedMetrics(evals);
  if (metrics != metrics_) {
    beginResetModel();
    evals_ = evals;
    metrics_ = metrics;
    endResetModel();
    return true;
  }
  const auto limit = std::min(evals.size(), evals_.size());
  qsizetype same = 0;
  while (same < limit && evals[same].id == evals_[same].id)
    ++same;
  bool changed = same < evals_.size() || same < evals.size();
  for (qsizetype i = 0; i < same; ++i) {
    if (evals[i].abandoned == evals_[i].abandoned)
      continue;
    evals_[i] = evals[i];
    changed = true;
    const auto row = static_cast<int>(i);
    Q_EMIT dataChanged(index(row, 0), index(row, columnCount() - 1));
  }
  if (same < evals_.size()) {
    beginRemoveRows({}, static_cast<int>(same), static_cast<int>(evals_.size()) - 1);
    evals_.resize(same);
    endRemoveRows();
  }
  if (same < evals.size()) {
    beginInsertRows({}, static_cast<int>(same), static_cast<int>(evals.size()) - 1);
    evals_ += evals.mid(same);
    endInsertRows();
  }
  return changed;
}

int EvalModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(evals_.size());
}

int EvalModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kFixedColumns + static_cast<int>(metrics_.size());
}

QVariant EvalModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
    return {};
  const auto& eval = evals_[index.row()];
  if (role == kIdRole)
    return static_cast<qlonglong>(eval.id);
  if (role == kAbandonedRole)
    return eval.abandoned;
  if (role == kMetricsRole) {
    QVariantMap map;
    for (auto it = eval.metrics.constBegin(); it != eval.metrics.constEnd(); ++it)
      map.insert(it.key(), it.value());
    return map;
  }
  if (role != Qt::DisplayRole)
    return {};
  switch (index.column()) {
    case kStepColumn:
      return static_cast<qlonglong>(eval.step);
    case kImagesColumn:
      return static_cast<qlonglong>(eval.images);
    case kSecondsColumn:
      return eval.seconds;
    default:
      break;
  }
  const auto found = eval.metrics.constFind(metrics_[index.column() - kFixedColumns]);
  return found == eval.metrics.constEnd() ? QVariant() : QVariant(*found);
}

QVariant EvalModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole || section < 0)
    return {};
  switch (section) {
    case kStepColumn:
      return QStringLiteral("Step");
    case kImagesColumn:
      return QStringLiteral("Pictures");
    case kSecondsColumn:
      return QStringLiteral("Seconds");
    default:
      return metrics_.value(section - kFixedColumns);
  }
}

QHash<int, QByteArray> EvalModel::roleNames() const {
  auto names = QAbstractTableModel::roleNames();
  names.insert(kIdRole, "evalId");
  names.insert(kAbandonedRole, "abandoned");
  names.insert(kMetricsRole, "metrics");
  return names;
}

}  // namespace batchscope::session
