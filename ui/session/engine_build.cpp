#include "ui/session/engine_build.h"

#include "storage/run_status.h"
#include "ui/session/launcher.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QProcess>

#include <algorithm>

namespace batchscope::session {

namespace {

using Stage = EngineBuildReport::State;

/// How long a set-up that was started and has ended may leave its background part to say a word.
constexpr int kStartGraceMs = 15000;

bool isProgram(const QString& path) {
  const QFileInfo info(path);
  return info.isFile() && info.isExecutable();
}

bool isSame(const QString& a, const QString& b) {
  return QFileInfo(a).canonicalFilePath() == QFileInfo(b).canonicalFilePath();
}

/// As the end of a sentence.
QString stopped(const QString& text) {
  static const QString ends = QStringLiteral(".!?…");
  return text.isEmpty() || ends.contains(text.back()) ? text : text + QLatin1Char('.');
}

}  // namespace

EngineBuild::EngineBuild(const QString& file, QObject* parent) : QObject(parent), file_(file) {
  connect(&timer_, &QTimer::timeout, this, &EngineBuild::look);
  look();
}

EngineBuild::~EngineBuild() = default;

QString EngineBuild::fileOfThisProgram() {
  const QDir programs(QCoreApplication::applicationDirPath());
  return programs.dirName() == QLatin1String("bin")
             ? QDir::cleanPath(programs.filePath(QStringLiteral("../engine-build.json")))
             : QString();
}

void EngineBuild::setSetting(const QString& engine) {
  setting_ = engine;
  look();
}

void EngineBuild::setPace(int liveMs, int idleMs) {
  liveMs_ = liveMs;
  idleMs_ = idleMs;
  look();
}

QString EngineBuild::builtEngine() const {
  return QFileInfo(file_).dir().filePath(QStringLiteral("bin/batchscope-engine"));
}

QString EngineBuild::findEngine() const {
  const auto built = file_.isEmpty() ? QString() : builtEngine();
  const bool working = startIsPending() || (report_ && report_->isLive() && writerLives_);
  if (isProgram(setting_) && !(working && isSame(setting_, built)))
    return QFileInfo(setting_).absoluteFilePath();
  if (working)
    return {};
  return isProgram(built) ? built : Launcher::findEngine();
}

void EngineBuild::readFile() {
  const auto take = [this] {
    if (auto read = readEngineBuild(file_))
      report_ = std::move(read);
    writerLives_ = report_ && report_->isLive() && report_->writerLives();
  };
  take();
  // The writer may have said its last word and ended between the two looks.
  if (report_ && report_->isLive() && !writerLives_)
    take();
  // A build folder that was deleted has no build; one whose writer lives gets its file back.
  if (!writerLives_ && !QFileInfo::exists(file_))
    report_.reset();
}

bool EngineBuild::startIsPending() const {
  return sinceStart_.isValid();
}

EngineBuild::State EngineBuild::decide(const QString& engine) const {
  if (startIsPending())
    return State::kStarting;
  if (!report_)
    return State::kNone;
  if (report_->isLive())
    return writerLives_ ? State::kWorking : State::kInterrupted;
  if (report_->state == Stage::kReady)
    return engine.isEmpty() ? State::kMissing : State::kReady;
  return report_->state == Stage::kFailed ? State::kFailed : State::kStopped;
}

void EngineBuild::look() {
  if (!file_.isEmpty())
    readFile();
  if (!startFault_.isEmpty() && report_ != before_)
    startFault_.clear();
  if (startIsPending())
    followStart();
  View view;
  view.engine = findEngine();
  view.state = decide(view.engine);
  view.canBuildAgain = view.state >= State::kMissing && isProgram(report_->again.value(0));
  if (report_) {
    view.log = report_->log;
    view.fraction = fractionFor(view.state);
  }
  view.sentence = sentenceFor(view);
  const auto before = std::exchange(now_, view);
  timer_.start(isLive() || state() == State::kMissing ? liveMs_ : idleMs_);
  if (before == now_)
    return;
  Q_EMIT changed();
  if (state() == State::kReady && before.state != State::kReady && before.state != State::kNone)
    Q_EMIT becameReady();
}

double EngineBuild::fractionFor(State state) const {
  const bool counted = report_->state == Stage::kBuilding || report_->state == Stage::kFetching ||
                       report_->state >= Stage::kFailed;
  return state == State::kStarting || !counted || report_->total == 0
             ? -1
             : static_cast<double>(report_->done) / static_cast<double>(report_->total);
}

void EngineBuild::followStart() {
  if (report_ != before_) {
    sinceStart_.invalidate();
  } else if (sinceStart_.elapsed() > kStartGraceMs &&
             starterStart_ != QString::fromStdString(storage::process_start(starterPid_))) {
    sinceStart_.invalidate();
    startFault_ = tr("It was started again, and nothing was heard of it.");
  }
}

bool EngineBuild::buildAgain() {
  if (!canBuildAgain())
    return false;
  QProcess process;
  process.setProgram(report_->again.first());
  process.setArguments(report_->again.mid(1));
  process.setStandardInputFile(QProcess::nullDevice());
  process.setStandardOutputFile(QProcess::nullDevice());
  process.setStandardErrorFile(QProcess::nullDevice());
  before_ = *report_;
  const bool started = process.startDetached(&starterPid_);
  if (started) {
    starterStart_ = QString::fromStdString(storage::process_start(starterPid_));
    startFault_.clear();
    sinceStart_.start();
  } else {
    startFault_ = tr("%1 could not be started: %2.").arg(process.program(), process.errorString());
  }
  look();
  return started;
}

QString EngineBuild::workText() const {
  const bool counted = report_->total > 0;
  switch (report_->state) {
    case Stage::kWaiting:
      return tr("The engine's build is waiting for its turn.");
    case Stage::kPackages:
      return tr("The packages that the engine needs are being installed.");
    case Stage::kFetching:
      return counted ? tr("LibTorch is being fetched: %1 of %2 MB.")
                           .arg(report_->done)
                           .arg(report_->total)
                     : tr("LibTorch is being fetched.");
    case Stage::kConfiguring:
      return tr("The engine's build is being prepared.");
    default:
      return counted ? tr("The engine is being built: %1 of %2 steps.")
                           .arg(report_->done)
                           .arg(report_->total)
                     : tr("The engine is being built.");
  }
}

QString EngineBuild::endText(State state) const {
  const auto why = stopped(report_->message);
  if (state == State::kFailed)
    return why.isEmpty() ? tr("The engine's build failed; the log says why.")
                         : tr("The engine's build failed: %1").arg(why);
  if (state == State::kStopped)
    return why.isEmpty() ? tr("The engine's build was stopped.")
                         : tr("The engine's build was stopped: %1").arg(why);
  if (state == State::kMissing)
    return tr("The engine's build has ended, but there is no %1.").arg(builtEngine());
  if (report_->total > 0 && report_->state == Stage::kBuilding)
    return tr("The engine's build was interrupted at %1 of %2 steps.")
        .arg(report_->done)
        .arg(report_->total);
  if (report_->total > 0 && report_->state == Stage::kFetching)
    return tr("Fetching LibTorch was interrupted at %1 of %2 MB.")
        .arg(report_->done)
        .arg(report_->total);
  return tr("The engine's build was interrupted.");
}

QString EngineBuild::sentenceFor(const View& view) const {
  QStringList words;
  if (view.state == State::kStarting)
    words << tr("The engine's build is being started.");
  else if (view.state == State::kWorking)
    words << workText() << stopped(report_->message);
  else if (view.state == State::kReady)
    words << tr("The engine is ready.");
  else if (view.state != State::kNone)
    words << endText(view.state) << startFault_;
  // What ended badly may have left the engine of an earlier build, which still trains.
  if (view.state > State::kMissing && !view.engine.isEmpty())
    words << tr("An earlier engine is used: %1.").arg(view.engine);
  words.removeAll(QString());
  return words.join(QLatin1Char(' '));
}

}  // namespace batchscope::session
