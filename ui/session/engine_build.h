#pragma once

#include "ui/session/engine_build_file.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

namespace batchscope::session {

/// Watches how the set-up script builds the engine beside this program, and finds the engine when
/// it is there. Without the script's file (an installed program) there is no build, only an engine
/// or none. GUI thread.
class EngineBuild : public QObject {
  Q_OBJECT

 public:
  enum class State {
    kNone,         // no build is known
    kStarting,     // buildAgain() was asked for, and nothing is heard of it yet
    kWorking,      // the script is at it
    kReady,        // built, and the engine is there
    kMissing,      // said to be built, but there is no engine
    kFailed,       //
    kStopped,      //
    kInterrupted,  // the script is gone without a last word
  };

  /// `file` empty: never a build.
  explicit EngineBuild(const QString& file, QObject* parent = nullptr);
  ~EngineBuild() override;

  /// Where the script writes, if this program lies in the bin/ of a build folder; else empty.
  static QString fileOfThisProgram();
  /// The engine that a person chose; it is taken before all others if it is a program.
  void setSetting(const QString& engine);

  State state() const { return now_.state; }
  /// Will be followed by another state without anybody's help.
  bool isLive() const { return state() == State::kStarting || state() == State::kWorking; }
  /// The engine to use: the setting, else the built one, else one on PATH; empty if there is none.
  /// While it is being built (and perhaps relinked) an older one in its place does not count.
  QString enginePath() const { return now_.engine; }
  /// How far the build is or why it is not there, for a person; empty without a build.
  QString sentence() const { return now_.sentence; }
  /// 0…1; negative: unknown.
  double fraction() const { return now_.fraction; }
  /// The build's log, or empty.
  QString logPath() const { return now_.log; }
  /// The build has ended without an engine of its own and can be started from here.
  bool canBuildAgain() const { return now_.canBuildAgain; }
  /// Starts the build again, detached. False if it cannot be, or is being started already.
  bool buildAgain();
  /// How often to look, in ms: while something goes on, and else. Default 1 s and 5 s.
  void setPace(int liveMs, int idleMs);

 public Q_SLOTS:
  /// Looks now.
  void look();

 Q_SIGNALS:
  void changed();
  /// The build was seen to end well: the engine can be used from now on.
  void becameReady();

 private:
  struct View {
    State state = State::kNone;
    QString engine, sentence, log;
    double fraction = -1;
    bool canBuildAgain = false;
    bool operator==(const View&) const = default;
  };
  void readFile();
  State decide(const QString& engine) const;
  QString findEngine() const;
  QString builtEngine() const;
  double fractionFor(State state) const;
  QString workText() const;
  QString endText(State state) const;
  QString sentenceFor(const View& view) const;
  bool startIsPending() const;
  void followStart();

  QString file_, setting_;
  std::optional<EngineBuildReport> report_;
  bool writerLives_ = false;
  EngineBuildReport before_;  // what buildAgain() waits to see replaced
  qint64 starterPid_ = 0;
  QString starterStart_;
  QElapsedTimer sinceStart_;  // invalid: buildAgain() waits for nothing
  QString startFault_;
  View now_;
  QTimer timer_;
  int liveMs_ = 1000, idleMs_ = 5000;
};

}  // namespace batchscope::session
