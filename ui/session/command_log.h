#pragma once

#include <QAbstractTableModel>
#include <QDateTime>
#include <QList>

#include <functional>

namespace batchscope::session {

class EngineClient;

/// Every command of this window and what came of it: pending, applied at step N, refused, no
/// answer. Newest first. GUI thread.
class CommandLog : public QAbstractTableModel {
  Q_OBJECT
  Q_PROPERTY(int pending READ pendingCount NOTIFY pendingChanged)

 public:
  enum Column { kCommandColumn, kStateColumn, kTimeColumn, kColumns };
  enum Role { kIdRole = Qt::UserRole + 1, kStateRole, kStepRole, kReasonRole, kFieldRole };
  enum class State { kPending, kTaken, kApplied, kRefused, kNoAnswer, kLost };
  Q_ENUM(State)
  struct Entry {
    qint64 id = 0;
    QString command;
    State state = State::kPending;
    bool preview = false;  // asked what would be; nothing changes
    qint64 step = -1;
    QString reason, field, detail;
    QDateTime sentAt;
    /// "pending", "applied at step 412", "preview only", "refused: …", "no answer yet: …".
    QString stateText() const;
  };

  explicit CommandLog(QObject* parent = nullptr);
  /// Follows a client's signals. The log may follow several.
  void follow(EngineClient* client);

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;
  QHash<int, QByteArray> roleNames() const override;

  /// Commands without a final answer.
  int pendingCount() const;
  const QList<Entry>& entries() const { return entries_; }
  /// The newest entry, or an empty one.
  Entry latest() const { return entries_.isEmpty() ? Entry{} : entries_.first(); }

 Q_SIGNALS:
  void pendingChanged(int pending);
  /// The entry of that id changed its state.
  void entryChanged(qint64 id);

 private:
  void add(const Entry& entry);
  void update(qint64 id, const std::function<void(Entry&)>& change);

  QList<Entry> entries_;
};

}  // namespace batchscope::session
