#include "ui/session/command_log.h"

#include "ui/session/engine_client.h"

#include <algorithm>

namespace batchscope::session {

namespace {

bool isOpen(CommandLog::State state) {
  return state == CommandLog::State::kPending || state == CommandLog::State::kTaken ||
         state == CommandLog::State::kNoAnswer;
}

}  // namespace

QString CommandLog::Entry::stateText() const {
  switch (state) {
    case State::kPending:
      return QStringLiteral("pending");
    case State::kTaken:
      return QStringLiteral("pending: at the next step");
    case State::kApplied:
      if (preview)
        return QStringLiteral("preview only");
      return step >= 0 ? QStringLiteral("applied at step %1").arg(step) : QStringLiteral("done");
    case State::kRefused:
      return QStringLiteral("refused: ") + reason;
    case State::kNoAnswer:
    case State::kLost:
      break;
  }
  return reason;
}

CommandLog::CommandLog(QObject* parent) : QAbstractTableModel(parent) {}

void CommandLog::follow(EngineClient* client) {
  connect(client, &EngineClient::sent, this, [this](qint64 id, const QString& text, bool preview) {
    Entry entry;
    entry.id = id;
    entry.command = text;
    entry.preview = preview;
    entry.sentAt = QDateTime::currentDateTimeUtc();
    add(entry);
  });
  connect(client, &EngineClient::taken, this, [this](qint64 id) {
    update(id, [](Entry& entry) {
      if (isOpen(entry.state))
        entry.state = State::kTaken;
    });
  });
  connect(
      client, &EngineClient::applied, this, [this](qint64 id, qint64 step, const QString& detail) {
        update(id, [&](Entry& entry) {
          entry.state = State::kApplied;
          entry.step = step;
          entry.detail = detail;
        });
      });
  connect(client,
          &EngineClient::refused,
          this,
          [this](qint64 id, const QString& reason, const QString& field) {
            update(id, [&](Entry& entry) {
              entry.state = State::kRefused;
              entry.reason = reason;
              entry.field = field;
            });
          });
  const auto unanswered = [this](State state) {
    return [this, state](qint64 id, const QString& sentence) {
      update(id, [&](Entry& entry) {
        entry.state = state;
        entry.reason = sentence;
      });
    };
  };
  connect(client, &EngineClient::noAnswer, this, unanswered(State::kNoAnswer));
  connect(client, &EngineClient::lost, this, unanswered(State::kLost));
}

void CommandLog::add(const Entry& entry) {
  beginInsertRows({}, 0, 0);
  entries_.prepend(entry);
  endInsertRows();
  Q_EMIT pendingChanged(pendingCount());
}

void CommandLog::update(qint64 id, const std::function<void(Entry&)>& change) {
  for (int row = 0; row < entries_.size(); ++row) {
    if (entries_[row].id != id)
      continue;
    change(entries_[row]);
    Q_EMIT dataChanged(index(row, 0), index(row, kColumns - 1));
    Q_EMIT entryChanged(id);
    Q_EMIT pendingChanged(pendingCount());
    return;
  }
}

int CommandLog::pendingCount() const {
  return static_cast<int>(std::count_if(
      entries_.begin(), entries_.end(), [](const Entry& entry) { return isOpen(entry.state); }));
}

int CommandLog::rowCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : static_cast<int>(entries_.size());
}

int CommandLog::columnCount(const QModelIndex& parent) const {
  return parent.isValid() ? 0 : kColumns;
}

QVariant CommandLog::data(const QModelIndex& index, int role) const {
  if (!checkIndex(index, CheckIndexOption::IndexIsValid | CheckIndexOption::ParentIsInvalid))
    return {};
  const auto& entry = entries_[index.row()];
  switch (role) {
    case kIdRole:
      return entry.id;
    case kStateRole:
      return static_cast<int>(entry.state);
    case kStepRole:
      return entry.step;
    case kReasonRole:
      return entry.reason;
    case kFieldRole:
      return entry.field;
    case Qt::ToolTipRole:
      return entry.detail.isEmpty() ? entry.stateText() : entry.detail;
    case Qt::DisplayRole:
      break;
    default:
      return {};
  }
  if (index.column() == kCommandColumn)
    return entry.command;
  return index.column() == kStateColumn ? QVariant(entry.stateText()) : QVariant(entry.sentAt);
}

QVariant CommandLog::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole)
    return {};
  static const QStringList titles{
      QStringLiteral("Command"), QStringLiteral("State"), QStringLiteral("Sent (UTC)")};
  return titles.value(section);
}

QHash<int, QByteArray> CommandLog::roleNames() const {
  auto names = QAbstractTableModel::roleNames();
  names.insert(kIdRole, "commandId");
  names.insert(kStateRole, "state");
  names.insert(kStepRole, "step");
  names.insert(kReasonRole, "reason");
  names.insert(kFieldRole, "field");
  return names;
}

}  // namespace batchscope::session
