#include "ui/session/launcher.h"

#include "storage/run_files.h"
#include "ui/session/command_words.h"
#include "ui/session/convert.h"

#include <QCoreApplication>
#include <QDir>
#include <QFile>
#include <QFileInfo>
#include <QProcess>
#include <QRegularExpression>
#include <QSaveFile>
#include <QStandardPaths>

namespace batchscope::session {

namespace {

constexpr int kCheckMs = 50;
constexpr int kWatchMs = 500;
constexpr qsizetype kDetailBytes = 4000;
const auto kEngineName = QLatin1String("batchscope-engine");

QByteArray readFile(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// Start time of a process, so that a reused pid is not taken for it; empty: it has ended.
QByteArray processStart(qint64 pid) {
  const auto stat = readFile(QStringLiteral("/proc/%1/stat").arg(pid));
  // The name stands in parentheses and may hold anything: fields are counted from the last one.
  const auto fields = stat.mid(stat.lastIndexOf(')') + 2).split(' ');
  constexpr int kState = 0, kStartTime = 19;
  if (fields.size() <= kStartTime || fields[kState] == "Z" || fields[kState] == "X")
    return {};
  return fields[kStartTime];
}

QStringList resumeWords(const QString& run) {
  return {QStringLiteral("train"), QStringLiteral("--resume"), run};
}

bool hasRecord(const QString& folder) {
  return QFile::exists(QDir(folder).filePath(QLatin1String(storage::kRunFile)));
}

QStringList forkWords(const ForkRequest& fork) {
  QStringList words{QStringLiteral("runs"), QStringLiteral("fork"), fork.run};
  words << QStringLiteral("--at")
        << (fork.step < 0 ? QStringLiteral("now") : QString::number(fork.step));
  for (const auto& child : fork.children)
    words << QStringLiteral("--child") << child;
  if (!fork.seeds.isEmpty())
    words << QStringLiteral("--seeds") << fork.seeds.join(QLatin1Char(','));
  if (!fork.state.isEmpty())
    words << QStringLiteral("--state") << fork.state;
  if (!fork.lrMapping.isEmpty())
    words << QStringLiteral("--lr-mapping") << fork.lrMapping;
  if (fork.atOnce)
    words << QStringLiteral("--parallel");
  return words;
}

}  // namespace

Launcher::Launcher(QObject* parent) : QObject(parent), engine_(findEngine()) {
  timer_.setInterval(kCheckMs);
  connect(&timer_, &QTimer::timeout, this, &Launcher::check);
  watchTimer_.setInterval(kWatchMs);
  connect(&watchTimer_, &QTimer::timeout, this, &Launcher::watch);
}

Launcher::~Launcher() = default;

bool Launcher::Engine::alive() const {
  return !started.isEmpty() && processStart(pid) == started;
}

QByteArray Launcher::Engine::lastWords() const {
  return folder ? readFile(folder->filePath(QStringLiteral("err"))).trimmed().right(kDetailBytes)
                : QByteArray();
}

void Launcher::watch() {
  const auto all = std::exchange(running_, {});
  QList<Engine> gone;
  for (const auto& engine : all)
    (engine.alive() ? running_ : gone).append(engine);
  if (running_.isEmpty())
    watchTimer_.stop();
  for (const auto& engine : gone)
    Q_EMIT ended(engine.runId, QString::fromUtf8(engine.lastWords()));
}

QString Launcher::faultIn(const QString& words) {
  const auto lines = QLatin1Char('\n') + words;
  const auto prefix = QLatin1Char('\n') + kEngineName + QLatin1String(": ");
  const auto at = lines.lastIndexOf(prefix);
  return at < 0 ? QString() : lines.mid(at + prefix.size()).trimmed();
}

QString Launcher::findEngine(const QString& setting) {
  const auto usable = [](const QString& path) {
    const QFileInfo info(path);
    return info.isFile() && info.isExecutable();
  };
  if (!setting.isEmpty() && usable(setting))
    return QFileInfo(setting).absoluteFilePath();
  auto beside = QCoreApplication::applicationDirPath() + QLatin1Char('/') + kEngineName;
  if (usable(beside))
    return beside;
  return QStandardPaths::findExecutable(kEngineName);
}

void Launcher::setEnginePath(const QString& path, const QString& fault, bool coming) {
  if (engine_ == path && fault_ == fault && coming_ == coming)
    return;
  engine_ = path;
  fault_ = fault;
  coming_ = coming;
  Q_EMIT engineChanged();
}

QString Launcher::engineFault() const {
  if (!engine_.isEmpty())
    return {};
  return fault_.isEmpty()
             ? QStringLiteral(
                   "The engine (batchscope-engine) was not found beside this program or "
                   "on PATH. Viewing works; to train, set its location.")
             : fault_;
}

/// What every command of the engine takes that makes or continues runs.
QStringList Launcher::options(const LaunchRequest& request) {
  QStringList words{
      QStringLiteral("--library"),
      request.library.isEmpty() ? fromPath(storage::default_library()) : request.library};
  if (!request.device.isEmpty())
    words << QStringLiteral("--device") << request.device;
  return words;
}

QString Launcher::commandLine(const LaunchRequest& request) const {
  QStringList words;
  if (!request.fork.run.isEmpty())
    words = forkWords(request.fork);
  else if (!request.resumePath.isEmpty())
    words = resumeWords(request.resumePath);
  else if (!request.rerun.isEmpty())
    words = QStringList{QStringLiteral("runs"), QStringLiteral("rerun"), request.rerun};
  else
    words = trainWords(request.spec, request.base);
  if (words.isEmpty())
    return {};
  words.prepend(engine_.isEmpty() ? QString(kEngineName) : engine_);
  words += options(request);
  for (auto& word : words)
    word = quotedForShell(word);
  return words.join(QLatin1Char(' '));
}

bool Launcher::start(const LaunchRequest& request) {
  if (busy_)
    return false;
  busy_ = true;
  request_ = request;
  starting_ = {};
  starting_.parent = request.fork.run;
  starting_.runs = request.fork.run.isEmpty() ? 1 : request.fork.count();
  starting_.folder = std::make_shared<QTemporaryDir>(QDir::tempPath() +
                                                     QStringLiteral("/batchscope-launch-XXXXXX"));
  if (engine_.isEmpty()) {
    fail(engineFault());
    return true;
  }
  QSaveFile spec(starting_.folder->filePath(QStringLiteral("spec.toml")));
  const auto text = QByteArray::fromStdString(contract::to_toml(request.spec));
  const bool written = starting_.folder->isValid() && spec.open(QIODevice::WriteOnly) &&
                       spec.write(text) == text.size() && spec.commit();
  if (!written) {
    fail(QStringLiteral("The spec could not be written to %1.").arg(starting_.folder->path()));
    return true;
  }
  QProcess process;
  process.setProgram(engine_);
  const auto words = !request.fork.run.isEmpty() ? forkWords(request.fork)
                     : !request.resumePath.isEmpty()
                         ? resumeWords(request.resumePath)
                         : QStringList{QStringLiteral("train"), spec.fileName()};
  process.setArguments(words + options(request));
  process.setStandardInputFile(QProcess::nullDevice());
  process.setStandardOutputFile(starting_.folder->filePath(QStringLiteral("out")));
  process.setStandardErrorFile(starting_.folder->filePath(QStringLiteral("err")));
  // startDetached calls setsid between two forks: the engine is in a session of its own and no
  // child of this window.
  if (!process.startDetached(&starting_.pid)) {
    fail(QStringLiteral("%1 could not be started: %2.").arg(engine_, process.errorString()));
    return true;
  }
  starting_.started = processStart(starting_.pid);
  since_.start();
  timer_.start();
  return true;
}

void Launcher::check() {
  const bool gone = !starting_.alive();
  static const QRegularExpression runLine(QStringLiteral("^run (\\S+) (.+)$"),
                                          QRegularExpression::MultilineOption);
  // The process is looked at before its output, so that its last words are never missed.
  const auto output =
      QString::fromUtf8(readFile(starting_.folder->filePath(QStringLiteral("out"))));
  const auto whole = output.left(output.lastIndexOf(QLatin1Char('\n')) + 1);
  QStringList ids, folders;
  for (const auto& match : runLine.globalMatch(whole)) {
    ids << match.captured(1);
    folders << match.captured(2);
  }
  const bool named = ids.size() >= starting_.runs;
  // The engine names a run before it looks at model and data, and its record comes after them.
  if (named && (!starting_.parent.isEmpty() || hasRecord(folders.first()))) {
    timer_.stop();
    busy_ = false;
    starting_.runId = ids.first();
    const auto parent = starting_.parent;
    running_.append(std::exchange(starting_, {}));
    watchTimer_.start();
    if (parent.isEmpty())
      Q_EMIT started(ids.first(), folders.first());
    else
      Q_EMIT forked(parent, folders);
    return;
  }
  if (gone)
    fail(QStringLiteral("The engine ended before its run began."));
  else if (!named && since_.elapsed() > timeoutMs_)
    fail(QStringLiteral("The engine has not named its run for %1 s; process %2 is still there.")
             .arg(timeoutMs_ / 1000.0)
             .arg(starting_.pid));
}

void Launcher::fail(const QString& sentence) {
  timer_.stop();
  busy_ = false;
  const auto details = QString::fromUtf8(starting_.lastWords());
  const auto fault = faultIn(details);
  const auto last = fault.isEmpty() ? details.section(QLatin1Char('\n'), -1).trimmed() : fault;
  const auto full = last.isEmpty() ? sentence : sentence + QLatin1Char(' ') + last;
  QMetaObject::invokeMethod(
      this, [this, full, details] { Q_EMIT failed(full, details); }, Qt::QueuedConnection);
}

}  // namespace batchscope::session
