#include "ui/session/event_model.h"

#include <QHash>

#include <algorithm>

namespace batchscope::session {

QString eventKindTitle(const QString& kind) {
  static const QHash<QString, QString> titles{
      {QStringLiteral("start"), QStringLiteral("Start")},
      {QStringLiteral("resume"), QStringLiteral("Resumed from a checkpoint")},
      {QStringLiteral("fork"), QStringLiteral("Forked from another run")},
      {QStringLiteral("pause"), QStringLiteral("Pause")},
      {QStringLiteral("continue"), QStringLiteral("Continue")},
      {QStringLiteral("optimizer"), QStringLiteral("Optimizer switch")},
      {QStringLiteral("lr"), QStringLiteral("Learning rate")},
      {QStringLiteral("accumulation"), QStringLiteral("Accumulation")},
      {QStringLiteral("end"), QStringLiteral("End of run")},
      {QStringLiteral("shadow"), QStringLiteral("Shadow optimizers")},
      {QStringLiteral("checkpoint"), QStringLiteral("Checkpoint")},
      {QStringLiteral("restore_point"), QStringLiteral("Restore point")},
      {QStringLiteral("undo"), QStringLiteral("Undo")},
      {QStringLiteral("abnormal"), QStringLiteral("Abnormal step")},
      {QStringLiteral("diverged"), QStringLiteral("Diverged")},
      {QStringLiteral("nonfinite"), QStringLiteral("Not finite")},
      {QStringLiteral("target"), QStringLiteral("Target reached")},
      {QStringLiteral("stop"), QStringLiteral("Stop")},
      {QStringLiteral("finish"), QStringLiteral("Finished")},
      {QStringLiteral("error"), QStringLiteral("Error")},
      {QStringLiteral("warning"), QStringLiteral("Warning")},
      {QStringLiteral("agvm_skipped"), QStringLiteral("AGVM measurement skipped")},
      {QStringLiteral("stuck"), QStringLiteral("Rank stuck")},
      {QStringLiteral("unstuck"), QStringLiteral("Rank goes on")},
      {QStringLiteral("telemetry_gap"), QStringLiteral("Gap in the record")},
      {QStringLiteral("saved"), QStringLiteral("Saved again")},
      {QStringLiteral("weights"), QStringLiteral("Weights loaded")}};
  return titles.value(kind, kind);
}

EventModel::EventModel(QObject* parent) : QAbstractTableModel(parent) {}

bool EventModel::setEvents(const QList<EventItem>& events) {
  // Lists grow at the end, or shrink when the playhead goes back: the common start stays.
  const auto limit = std::min(events.size(), events_.size());
  qsizetype same = 0;
  while (same < limit && events[same].id == events_[same].id)
    ++same;
  bool changed = same < events_.size() || same < events.size();
  for (qsizetype i = 0; i < same; ++i) {
    if (events[i].abandoned == events_[i].abandoned)
      continue;
    events_[i] = events[i];
    changed = true;
    Q_EMIT dataChanged(index(static_cast<int>(i), 0), index(static_cast<int>(i), kColumns - 1));
  }
  if (same < events_.size()) {
    beginRemoveRows({}, static_cast<int>(same), static_cast<int>(events_.size()) - 1);
    events_.resize(same);
    endRemoveRows();
  }
  if (same < events.size()) {
    beginInsertRows({}, static_cast<int>(same), static_cast<int>(events.size()) - 1);
    events_ += events.mid(same);
    endInsertRows();
  }
  return changed;
}

int EventModel::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(events_.size());
}

int EventModel::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant EventModel::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
    return {};
  const auto& event = events_[index.row()];
  switch (role) {
    case kIdRole:
      return static_cast<qlonglong>(event.id);
    case kStepRole:
      return static_cast<qlonglong>(event.step);
    case kKindRole:
      return event.kind;
    case kAbandonedRole:
      return event.abandoned;
    case kPlaySecondsRole:
      return event.playSeconds;
    case Qt::ToolTipRole:
      return event.abandoned ? event.text + QStringLiteral(" (undone)") : event.text;
    case Qt::DisplayRole:
      break;
    default:
      return {};
  }
  switch (index.column()) {
    case kStepColumn:
      return static_cast<qlonglong>(event.step);
    case kKindColumn:
      return eventKindTitle(event.kind);
    case kTextColumn:
      return event.text;
    case kSourceColumn:
      return event.source;
    default:
      return event.time;
  }
}

QVariant EventModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
    return {};
  static const QStringList titles{QStringLiteral("Step"),
                                  QStringLiteral("Event"),
                                  QStringLiteral("What happened"),
                                  QStringLiteral("By"),
                                  QStringLiteral("Time (UTC)")};
  return titles.value(section);
}

QHash<int, QByteArray> EventModel::roleNames() const {
  auto names = QAbstractTableModel::roleNames();
  names.insert(kIdRole, "eventId");
  names.insert(kStepRole, "step");
  names.insert(kKindRole, "kind");
  names.insert(kAbandonedRole, "abandoned");
  names.insert(kPlaySecondsRole, "playSeconds");
  return names;
}

}  // namespace batchscope::session
