#include "ui/session/engine_build_file.h"

#include "storage/run_status.h"

#include <QFile>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

#include <algorithm>
#include <cmath>

namespace batchscope::session {

namespace {

using State = EngineBuildReport::State;

constexpr qint64 kMostBytes = 65536;
constexpr qsizetype kMostMessage = 400;
constexpr qsizetype kMostWords = 32;
constexpr double kMostCount = 1e12;

std::optional<State> stateOf(const QString& word) {
  static const QStringList names = {QStringLiteral("waiting"),
                                    QStringLiteral("packages"),
                                    QStringLiteral("fetching"),
                                    QStringLiteral("configuring"),
                                    QStringLiteral("building"),
                                    QStringLiteral("ready"),
                                    QStringLiteral("failed"),
                                    QStringLiteral("stopped")};
  const auto at = names.indexOf(word);
  return at < 0 ? std::nullopt : std::optional(static_cast<State>(at));
}

/// Takes members out of an object; a member of another type spoils it, an absent one is left.
class Taker {
 public:
  explicit Taker(const QJsonObject& object) : object_(object) {}
  bool good() const { return good_; }

  void text(const char* key, QString& into) {
    if (const auto value = take(key); value.isString())
      into = value.toString();
    else
      good_ = good_ && value.isUndefined();
  }
  void count(const char* key, qint64& into) {
    const auto value = take(key);
    const auto number = value.toDouble(-1);
    if (value.isDouble() && number >= 0 && number <= kMostCount)
      into = static_cast<qint64>(std::floor(number));
    else
      good_ = good_ && value.isUndefined();
  }
  void words(const char* key, QStringList& into) {
    const auto value = take(key);
    good_ = good_ && (value.isUndefined() || value.isArray());
    for (const auto& word : value.toArray()) {
      good_ = good_ && word.isString();
      into.append(word.toString());
    }
  }

 private:
  QJsonValue take(const char* key) const { return object_.value(QLatin1String(key)); }
  QJsonObject object_;
  bool good_ = true;
};

}  // namespace

bool EngineBuildReport::writerLives() const {
  return boot.toStdString() == storage::current_boot_id() && !pidStart.isEmpty() &&
         pidStart.toStdString() == storage::process_start(pid);
}

std::optional<EngineBuildReport> parseEngineBuild(const QByteArray& json) {
  const auto document = QJsonDocument::fromJson(json);
  if (!document.isObject())
    return std::nullopt;
  Taker taker(document.object());
  EngineBuildReport report;
  QString word;
  taker.text("state", word);
  taker.count("done", report.done);
  taker.count("total", report.total);
  taker.text("message", report.message);
  taker.text("log", report.log);
  taker.count("pid", report.pid);
  taker.text("pid_start", report.pidStart);
  taker.text("boot", report.boot);
  taker.words("again", report.again);
  const auto state = stateOf(word);
  if (!taker.good() || !state || (*state < State::kReady && report.pid == 0))
    return std::nullopt;
  report.state = *state;
  report.done = std::min(report.done, report.total);
  report.message = report.message.simplified().left(kMostMessage);
  if (!report.log.startsWith(QLatin1Char('/')))
    report.log.clear();
  if (report.again.size() > kMostWords || !report.again.value(0).startsWith(QLatin1Char('/')))
    report.again.clear();
  return report;
}

std::optional<EngineBuildReport> readEngineBuild(const QString& path) {
  QFile file(path);
  if (!QFileInfo(path).isFile() || !file.open(QIODevice::ReadOnly))
    return std::nullopt;
  const auto bytes = file.read(kMostBytes + 1);
  return bytes.size() > kMostBytes ? std::nullopt : parseEngineBuild(bytes);
}

}  // namespace batchscope::session
