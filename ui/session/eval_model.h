#pragma once

#include "ui/session/view_data.h"

#include <QAbstractTableModel>

namespace batchscope::session {

/// Evaluations up to the playhead, oldest first: step, pictures, seconds, then one column per
/// metric. GUI thread.
class EvalModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { kStepColumn, kImagesColumn, kSecondsColumn, kFixedColumns };
  enum Role { kIdRole = Qt::UserRole + 1, kAbandonedRole, kMetricsRole };

  explicit EvalModel(QObject* parent = nullptr);
  /// As EventModel::setEvents.
  bool setEvals(const QList<EvalItem>& evals);
  const QList<EvalItem>& evals() const { return evals_; }
  /// Metric names in column order: COCO's twelve first, others by name.
  const QStringList& metrics() const { return metrics_; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  QHash<int, QByteArray> roleNames() const override;

 private:
  QList<EvalItem> evals_;
  QStringList metrics_;
};

}  // namespace batchscope::session
