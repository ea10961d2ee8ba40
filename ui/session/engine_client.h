#pragma once

#include "engine/contract/messages.h"

#include <QElapsedTimer>
#include <QHash>
#include <QLocalSocket>
#include <QObject>
#include <QTimer>

namespace batchscope::session {

/// Speaks the line protocol with the engine of one run. Finds the socket in the run folder's
/// control.json, says hello, and tries again while the run lives; never blocks. GUI thread.
class EngineClient : public QObject {
  Q_OBJECT
  Q_PROPERTY(State state READ state NOTIFY stateChanged)

 public:
  enum class State {
    kDetached,    // not trying
    kConnecting,  // trying; no engine yet
    kAttached,    // commands are possible
    kMismatch     // another protocol version: view only
  };
  Q_ENUM(State)

  explicit EngineClient(QObject* parent = nullptr);
  ~EngineClient() override;

  State state() const { return state_; }
  bool canControl() const { return state_ == State::kAttached; }
  /// Why control is off, as a sentence for a person; empty while attached.
  QString reason() const { return reason_; }
  QString engineVersion() const { return engineVersion_; }
  /// Attaches to the run in this folder and keeps re-attaching. Another folder: detaches first.
  void attach(const QString& runFolder);
  void detach();
  /// Sends a command; its id, or -1 (after `sent` and `refused`) when control is off. The answer is
  /// a signal with that id.
  qint64 send(const contract::CommandBody& body);
  /// "no answer" after this long; the answer is still taken when it comes. Default 5,000 ms.
  void setAnswerTimeout(int ms) { answerTimeoutMs_ = ms; }
  /// Time between attempts to attach. Default 1,000 ms.
  void setRetryInterval(int ms);

 Q_SIGNALS:
  void stateChanged(batchscope::session::EngineClient::State state);
  /// A command went out, in words ("switch to lamb"); `preview`: it only asks what would be.
  void sent(qint64 id, const QString& text, bool preview);
  /// The engine took it and waits for the next step boundary.
  void taken(qint64 id);
  /// Applied: took effect after update `step` (-1: has no step).
  void applied(qint64 id, qint64 step, const QString& detail);
  void refused(qint64 id, const QString& reason, const QString& field);
  /// Nothing came within the timeout.
  void noAnswer(qint64 id, const QString& sentence);
  /// The connection went while the command was waiting: whether it was applied is in the events.
  void lost(qint64 id, const QString& sentence);
  void statusReceived(const batchscope::contract::StatusReport& status);
  /// Rows up to `seq` can be read.
  void committed(qint64 seq);

 private:
  struct Waiting {
    QString text;
    QElapsedTimer since;
    bool reported = false;
  };
  void tryConnect();
  void onConnected();
  void onDisconnected();
  void onReadyRead();
  void onLine(const QByteArray& line);
  void onReply(const contract::Reply& reply);
  void onHello(const contract::Reply& reply);
  void onCheckAnswers();
  void setState(State state, const QString& reason);
  void loseWaiting(const QString& sentence);
  void write(qint64 id, const contract::CommandBody& body);

  QString folder_, reason_, engineVersion_;
  State state_ = State::kDetached;
  QLocalSocket socket_;
  QByteArray buffer_;
  QTimer retry_, answers_;
  QHash<qint64, Waiting> waiting_;
  qint64 nextId_ = 1, helloId_ = 0;
  int answerTimeoutMs_ = 5000;
};

/// A command in words: "switch to pmd_lamb, AGVM on, base lr 0.01", "base lr 0.01", "stop and
/// save".
QString describeCommand(const contract::CommandBody& body);

}  // namespace batchscope::session
