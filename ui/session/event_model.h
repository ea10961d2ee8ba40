#pragma once

#include "ui/session/view_data.h"

#include <QAbstractTableModel>

namespace batchscope::session {

/// Events up to the playhead, oldest first. GUI thread.
class EventModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  enum Column { kStepColumn, kKindColumn, kTextColumn, kSourceColumn, kTimeColumn, kColumns };
  enum Role { kIdRole = Qt::UserRole + 1, kStepRole, kKindRole, kAbandonedRole, kPlaySecondsRole };

  explicit EventModel(QObject* parent = nullptr);
  /// Takes the whole list; rows that stay keep their indexes, so that a selection survives. False
  /// if nothing changed.
  bool setEvents(const QList<EventItem>& events);
  const QList<EventItem>& events() const { return events_; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  QHash<int, QByteArray> roleNames() const override;

 private:
  QList<EventItem> events_;
};

/// Title of an event kind for a person: "optimizer" -> "Optimizer switch".
QString eventKindTitle(const QString& kind);

}  // namespace batchscope::session
