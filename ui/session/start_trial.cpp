#include "ui/session/start_trial.h"

#include "ui/session/launcher.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <utility>

namespace batchscope::session {

std::optional<TrialResult> readTrial(const QByteArray& json) {
  const auto object = QJsonDocument::fromJson(json).object();
  if (!object.value(QLatin1String("ok")).isBool())
    return std::nullopt;
  TrialResult result;
  result.answered = true;
  result.ok = object.value(QLatin1String("ok")).toBool();
  result.error = object.value(QLatin1String("error")).toString();
  result.field = object.value(QLatin1String("field")).toString();
  const auto training = object.value(QLatin1String("training")).toObject();
  result.pictures = training.value(QLatin1String("pictures")).toInteger();
  result.things = training.value(QLatin1String("things")).toInteger();
  result.stuff = training.value(QLatin1String("stuff")).toInteger();
  const auto validation = object.value(QLatin1String("validation")).toObject();
  result.valPictures = validation.value(QLatin1String("pictures")).toInteger(-1);
  result.parameters = object.value(QLatin1String("parameters")).toInteger();
  result.weights = object.value(QLatin1String("weights")).toString();
  for (const auto& warning : object.value(QLatin1String("warnings")).toArray())
    result.warnings.append(warning.toString());
  return result;
}

StartTrial::StartTrial(QObject* parent) : QObject(parent) {}

StartTrial::~StartTrial() {
  drop();
}

void StartTrial::ask(const QString& engine, const contract::RunSpec& spec, const QString& device) {
  if (asked(engine, spec, device))
    return;
  clear();
  question_ = Question{engine, device, spec};
  start();
}

bool StartTrial::asked(const QString& engine,
                       const contract::RunSpec& spec,
                       const QString& device) const {
  return question_ == Question{engine, device, spec};
}

void StartTrial::clear() {
  drop();
  question_.reset();
  result_.reset();
}

void StartTrial::drop() {
  if (auto* process = std::exchange(process_, nullptr)) {
    process->disconnect(this);
    process->kill();
    process->waitForFinished();
    delete process;
  }
}

void StartTrial::start() {
  folder_ = std::make_unique<QTemporaryDir>();
  QFile file(QDir(folder_->path()).filePath(QStringLiteral("spec.toml")));
  if (file.open(QIODevice::WriteOnly))
    file.write(QByteArray::fromStdString(contract::to_toml(question_->spec)));
  file.close();
  QStringList words{QStringLiteral("spec"),
                    QStringLiteral("check"),
                    file.fileName(),
                    QStringLiteral("--deep"),
                    QStringLiteral("--json")};
  if (!question_->device.isEmpty())
    words << QStringLiteral("--device") << question_->device;
  process_ = new QProcess(this);
  connect(process_, &QProcess::finished, this, &StartTrial::take);
  connect(process_, &QProcess::errorOccurred, this, [this](QProcess::ProcessError error) {
    if (error == QProcess::FailedToStart)
      take();
  });
  process_->start(question_->engine, words);
}

void StartTrial::take() {
  auto* process = std::exchange(process_, nullptr);
  if (!process)
    return;
  result_ = readTrial(process->readAllStandardOutput());
  if (!result_) {
    const auto words = QString::fromUtf8(process->readAllStandardError()).trimmed();
    const auto fault = Launcher::faultIn(words);
    result_.emplace();
    result_->error = !fault.isEmpty()   ? fault
                     : !words.isEmpty() ? words.section(QLatin1Char('\n'), -1)
                                        : process->errorString();
  }
  process->deleteLater();
  Q_EMIT finished();
}

}  // namespace batchscope::session
