#include "ui/session/fan_runner.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QRegularExpression>

#include <limits>
#include <map>

namespace batchscope::session {

namespace {

double numberOf(const QJsonValue& value) {
  return value.toDouble(std::numeric_limits<double>::quiet_NaN());
}

FanRow rowOf(const QJsonObject& probe) {
  FanRow row;
  row.number = probe.value(QLatin1String("number")).toInt();
  row.optimizer = probe.value(QLatin1String("optim")).toString();
  row.lr = numberOf(probe.value(QLatin1String("lr")));
  if (const auto seed = probe.value(QLatin1String("seed")); seed.isDouble())
    row.seed = seed.toInteger();
  row.survives = probe.value(QLatin1String("survives")).toBool();
  row.why = probe.value(QLatin1String("why")).toString();
  row.startLoss = numberOf(probe.value(QLatin1String("start_loss")));
  row.endLoss = numberOf(probe.value(QLatin1String("end_loss")));
  row.fall = numberOf(probe.value(QLatin1String("fall")));
  const auto losses = probe.value(QLatin1String("losses")).toArray();
  for (qsizetype i = 0; i < losses.size(); ++i)
    if (losses[i].isDouble())
      row.losses.append({static_cast<double>(i + 1), losses[i].toDouble()});
  std::map<std::string, std::string> args;
  const auto command = probe.value(QLatin1String("command")).toObject();
  for (auto it = command.begin(); it != command.end(); ++it)
    args[it.key().toStdString()] = it.value().toString().toStdString();
  row.command = std::get<contract::OptimizerCommand>(contract::make_command("optimizer", args));
  return row;
}

}  // namespace

std::optional<FanOutcome> readFan(const QByteArray& json) {
  const auto object = QJsonDocument::fromJson(json).object();
  if (!object.contains(QLatin1String("probes")))
    return std::nullopt;
  FanOutcome outcome;
  outcome.step = object.value(QLatin1String("step")).toInteger();
  outcome.baseLr = object.value(QLatin1String("base_lr")).toDouble();
  outcome.seconds = object.value(QLatin1String("seconds")).toDouble();
  outcome.criterion = object.value(QLatin1String("criterion")).toString();
  try {
    for (const auto& probe : object.value(QLatin1String("probes")).toArray())
      outcome.probes.append(rowOf(probe.toObject()));
  } catch (const std::exception&) {
    return std::nullopt;  // of an engine with other commands
  }
  for (const auto& value : object.value(QLatin1String("edges")).toArray()) {
    const auto edge = value.toObject();
    outcome.edges.append({edge.value(QLatin1String("optim")).toString(),
                          edge.value(QLatin1String("highest_surviving")).toDouble(),
                          edge.value(QLatin1String("lowest_failing")).toDouble(),
                          edge.value(QLatin1String("edge")).toDouble()});
  }
  return outcome;
}

FanRunner::FanRunner(QObject* parent) : QObject(parent) {
  connect(&process_, &QProcess::readyReadStandardError, this, &FanRunner::readProgress);
  connect(&process_, &QProcess::finished, this, &FanRunner::ended);
  connect(&process_, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
    if (error == QProcess::FailedToStart)
      Q_EMIT failed(
          QStringLiteral("The engine could not be started: %1.").arg(process_.errorString()));
  });
}

FanRunner::~FanRunner() {
  process_.disconnect(this);
  process_.kill();
  process_.waitForFinished();
}

QStringList FanRunner::arguments(const FanRequest& request) {
  QStringList words{QStringLiteral("control"),
                    request.run,
                    QStringLiteral("fan"),
                    QStringLiteral("--lr"),
                    request.lr,
                    QStringLiteral("--steps"),
                    QString::number(request.steps)};
  if (!request.optimizers.trimmed().isEmpty())
    words << QStringLiteral("--optim") << request.optimizers.trimmed();
  if (!request.seeds.trimmed().isEmpty())
    words << QStringLiteral("--seeds") << request.seeds.trimmed();
  if (request.at >= 0)
    words << QStringLiteral("--at") << QString::number(request.at);
  if (!request.library.isEmpty())
    words << QStringLiteral("--library") << request.library;
  return words << QStringLiteral("--json");
}

bool FanRunner::start(const QString& engine, const FanRequest& request) {
  if (isRunning())
    return false;
  words_.clear();
  lastLine_.clear();
  cancelled_ = false;
  process_.start(engine, arguments(request));
  return true;
}

void FanRunner::cancel() {
  cancelled_ = true;
  process_.terminate();
}

void FanRunner::readProgress() {
  static const QRegularExpression probe(QStringLiteral("^probe (\\d+) of (\\d+): (.*)$"));
  words_ += process_.readAllStandardError();
  for (auto end = words_.indexOf('\n'); end >= 0; end = words_.indexOf('\n')) {
    const auto line = QString::fromUtf8(words_.left(end)).trimmed();
    words_.remove(0, end + 1);
    lastLine_ = line.isEmpty() ? lastLine_ : line;
    if (const auto match = probe.match(line); match.hasMatch())
      Q_EMIT progress(match.captured(1).toInt(), match.captured(2).toInt(), match.captured(3));
  }
}

void FanRunner::ended(int code) {
  readProgress();
  const auto outcome = readFan(process_.readAllStandardOutput());
  if (code == 0 && outcome && !cancelled_)
    Q_EMIT finished(*outcome);
  else if (cancelled_)
    Q_EMIT failed(QStringLiteral("The fan was ended."));
  else
    Q_EMIT failed(lastLine_.isEmpty() ? QStringLiteral("The engine ended without a word.")
                                      : lastLine_);
}

}  // namespace batchscope::session
