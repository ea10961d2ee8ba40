#include "ui/session/engine_client.h"

#include "storage/run_files.h"

#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>

namespace batchscope::session {

namespace {

constexpr int kCheckAnswersMs = 100;

/// The socket's path from a run's control.json; empty if there is none.
QString socketOf(const QString& folder) {
  QFile file(folder + QLatin1Char('/') + QLatin1String(storage::kControlFile));
  if (!file.open(QIODevice::ReadOnly))
    return {};
  return QJsonDocument::fromJson(file.readAll()).object().value(QLatin1String("socket")).toString();
}

QString fromStdText(const std::string& text) {
  return QString::fromStdString(text);
}

QString describeOptimizer(const contract::OptimizerCommand& command) {
  QStringList parts;
  if (command.name)
    parts << QStringLiteral("switch to %1").arg(fromStdText(*command.name));
  if (command.agvm)
    parts << (*command.agvm ? QStringLiteral("AGVM on") : QStringLiteral("AGVM off"));
  if (command.lr)
    parts << QStringLiteral("base lr %1").arg(*command.lr);
  for (const auto& [key, value] : command.set)
    parts << QStringLiteral("%1 = %2").arg(fromStdText(key), fromStdText(value));
  return parts.isEmpty() ? QStringLiteral("optimizer") : parts.join(QLatin1String(", "));
}

}  // namespace

QString describeCommand(const contract::CommandBody& body) {
  if (const auto* optimizer = std::get_if<contract::OptimizerCommand>(&body))
    return describeOptimizer(*optimizer);
  if (const auto* stop = std::get_if<contract::StopCommand>(&body))
    return stop->mode == contract::StopMode::kSave ? QStringLiteral("stop and save")
                                                   : QStringLiteral("stop now");
  if (const auto* lr = std::get_if<contract::LrCommand>(&body))
    return QStringLiteral("base lr %1").arg(lr->value);
  if (const auto* accumulation = std::get_if<contract::AccumulationCommand>(&body))
    return QStringLiteral("accumulation %1").arg(accumulation->value);
  if (const auto* end = std::get_if<contract::EndCommand>(&body))
    return QStringLiteral("end at step %1").arg(end->step);
  if (const auto* shadow = std::get_if<contract::ShadowCommand>(&body)) {
    const bool add = shadow->action == contract::ShadowAction::kAdd;
    return (add ? QStringLiteral("add shadow %1") : QStringLiteral("remove shadow %1"))
        .arg(fromStdText(shadow->label.empty() ? shadow->name : shadow->label));
  }
  return fromStdText(contract::command_name(body));
}

EngineClient::EngineClient(QObject* parent) : QObject(parent) {
  connect(&socket_, &QLocalSocket::connected, this, &EngineClient::onConnected);
  connect(&socket_, &QLocalSocket::disconnected, this, &EngineClient::onDisconnected);
  connect(&socket_, &QLocalSocket::readyRead, this, &EngineClient::onReadyRead);
  retry_.setInterval(1000);
  connect(&retry_, &QTimer::timeout, this, &EngineClient::tryConnect);
  answers_.setInterval(kCheckAnswersMs);
  connect(&answers_, &QTimer::timeout, this, &EngineClient::onCheckAnswers);
}

EngineClient::~EngineClient() {
  socket_.disconnect(this);
}

void EngineClient::setRetryInterval(int ms) {
  retry_.setInterval(ms);
}

void EngineClient::attach(const QString& runFolder) {
  if (folder_ == runFolder && state_ != State::kDetached)
    return;
  detach();
  folder_ = runFolder;
  setState(State::kConnecting, QStringLiteral("Looking for the engine of this run."));
  retry_.start();
  tryConnect();
}

void EngineClient::detach() {
  retry_.stop();
  folder_.clear();
  setState(State::kDetached, QStringLiteral("No training process belongs to this run now."));
  socket_.abort();
  loseWaiting(QStringLiteral("the window detached before the answer"));
}

void EngineClient::setState(State state, const QString& reason) {
  reason_ = reason;
  if (state == state_)
    return;
  state_ = state;
  Q_EMIT stateChanged(state_);
}

void EngineClient::tryConnect() {
  if (folder_.isEmpty() || socket_.state() != QLocalSocket::UnconnectedState)
    return;
  const auto path = socketOf(folder_);
  if (!path.isEmpty())
    socket_.connectToServer(path);
}

void EngineClient::onConnected() {
  buffer_.clear();
  helloId_ = nextId_++;
  write(helloId_, contract::HelloCommand{contract::kProtocolVersion, "batchscope window"});
}

void EngineClient::onDisconnected() {
  if (state_ == State::kDetached)
    return;
  setState(State::kConnecting,
           QStringLiteral("The engine closed the connection; trying to attach again."));
  loseWaiting(
      QStringLiteral("the connection ended before the answer; the events show whether it "
                     "was applied"));
}

void EngineClient::loseWaiting(const QString& sentence) {
  const auto ids = waiting_.keys();
  waiting_.clear();
  answers_.stop();
  for (const auto id : ids)
    Q_EMIT lost(id, sentence);
}

void EngineClient::write(qint64 id, const contract::CommandBody& body) {
  socket_.write(QByteArray::fromStdString(contract::encode(contract::Command{id, body})) + '\n');
}

qint64 EngineClient::send(const contract::CommandBody& body) {
  const auto id = nextId_++;
  const auto text = describeCommand(body);
  const auto* change = std::get_if<contract::OptimizerCommand>(&body);
  Q_EMIT sent(id, text, change && change->dry_run);
  if (!canControl()) {
    Q_EMIT refused(id, reason_, {});
    return -1;
  }
  Waiting waiting;
  waiting.text = text;
  waiting.since.start();
  waiting_.insert(id, waiting);
  answers_.start();
  write(id, body);
  return id;
}

void EngineClient::onReadyRead() {
  buffer_ += socket_.readAll();
  qsizetype from = 0;
  for (auto end = buffer_.indexOf('\n', from); end >= 0; end = buffer_.indexOf('\n', from)) {
    const auto line = buffer_.mid(from, end - from);
    from = end + 1;
    onLine(line);
    if (state_ == State::kDetached)
      return;
  }
  buffer_.remove(0, from);
  if (buffer_.size() > static_cast<qsizetype>(contract::kMaxLineBytes))
    socket_.abort();  // not an engine of ours; the next attempt starts anew
}

void EngineClient::onLine(const QByteArray& line) {
  if (line.trimmed().isEmpty())
    return;
  contract::Report report;
  try {
    report = contract::decode_report(line.toStdString());
  } catch (const std::exception&) {
    return;  // PROTOCOL.md: a notice of an unknown kind is taken for none
  }
  if (const auto* reply = std::get_if<contract::Reply>(&report)) {
    if (reply->id == helloId_)
      onHello(*reply);
    else
      onReply(*reply);
  } else if (const auto* notice = std::get_if<contract::CommittedNotice>(&report)) {
    Q_EMIT committed(notice->seq);
  } else if (const auto* changed = std::get_if<contract::StateNotice>(&report)) {
    Q_EMIT statusReceived(changed->status);
  } else if (const auto* pending = std::get_if<contract::PendingNotice>(&report)) {
    Q_EMIT taken(pending->id);
  }
}

void EngineClient::onHello(const contract::Reply& reply) {
  engineVersion_ = fromStdText(reply.engine);
  if (reply.protocol != contract::kProtocolVersion) {
    setState(State::kMismatch,
             QStringLiteral("Engine speaks protocol %1, this window %2: view only.")
                 .arg(reply.protocol)
                 .arg(contract::kProtocolVersion));
    return;
  }
  if (!reply.ok) {
    setState(State::kMismatch, fromStdText(reply.error));
    return;
  }
  setState(State::kAttached, {});
  if (reply.status)
    Q_EMIT statusReceived(*reply.status);
}

void EngineClient::onReply(const contract::Reply& reply) {
  if (reply.status)
    Q_EMIT statusReceived(*reply.status);
  if (waiting_.remove(reply.id) == 0)
    return;
  if (waiting_.isEmpty())
    answers_.stop();
  if (reply.ok)
    Q_EMIT applied(reply.id, reply.step, fromStdText(reply.detail));
  else
    Q_EMIT refused(reply.id, fromStdText(reply.error), fromStdText(reply.field));
}

void EngineClient::onCheckAnswers() {
  for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
    if (it->reported || it->since.elapsed() < answerTimeoutMs_)
      continue;
    it->reported = true;
    const auto id = it.key();
    const auto sentence = QStringLiteral("no answer to \"%1\" for %2 s; the engine is busy")
                              .arg(it->text)
                              .arg(answerTimeoutMs_ / 1000.0);
    // A slot may send or detach: the loop ends here and goes on at the next tick.
    Q_EMIT noAnswer(id, sentence);
    return;
  }
}

}  // namespace batchscope::session
