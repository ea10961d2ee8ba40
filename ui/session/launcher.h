#pragma once

#include "engine/contract/run_spec.h"

#include <QElapsedTimer>
#include <QList>
#include <QObject>
#include <QTemporaryDir>
#include <QTimer>

#include <algorithm>
#include <cstdint>
#include <memory>

namespace batchscope::session {

/// Children of a run, each with its settings ("optim.name=lamb,optim.lr=0.01"; empty: as it was).
struct ForkRequest {
  QString run;             // folder or id; empty: no fork
  std::int64_t step = -1;  // updates completed; -1: now
  QStringList children;
  QStringList seeds;  // each child once with the coming pictures of each; empty: the run's own
  QString lrMapping, state;  // words of the command optimizer; empty: the engine's defaults
  bool atOnce = false;       // else one after another
  bool operator==(const ForkRequest&) const = default;
  qsizetype count() const { return children.size() * std::max<qsizetype>(1, seeds.size()); }
};

/// What to start.
struct LaunchRequest {
  contract::RunSpec spec;
  QString library;     // empty: the default library
  QString device;      // "", "cpu", "cuda"
  QString resumePath;  // continue this run folder or id instead of starting a new one
  QString rerun;       // train this run, live changes included, again (a command alone)
  QString base;        // the preset or file that the spec came from: commands name it
  ForkRequest fork;    // start children of a run instead
  bool isNewRun() const { return resumePath.isEmpty() && rerun.isEmpty() && fork.run.isEmpty(); }
};

/// Starts `batchscope-engine train` detached, in a session of its own: the training outlives this
/// window. GUI thread.
class Launcher : public QObject {
  Q_OBJECT

 public:
  explicit Launcher(QObject* parent = nullptr);
  ~Launcher() override;

  /// The engine: the setting if it is an executable, else beside this program, else on PATH. Empty
  /// if there is none.
  static QString findEngine(const QString& setting = {});
  /// `fault`: why there is none, if `path` is empty and more is known than that; `coming`: it is
  /// being built and will be there without anybody's help.
  void setEnginePath(const QString& path, const QString& fault = {}, bool coming = false);
  QString enginePath() const { return engine_; }
  /// Why nothing can be started, in a sentence; empty: there is an engine.
  QString engineFault() const;
  bool engineIsComing() const { return engine_.isEmpty() && coming_; }
  /// Starts; `started`, for a fork `forked`, or `failed` follows. One at a time: false while one is
  /// starting.
  bool start(const LaunchRequest& request);
  bool isStarting() const { return busy_; }
  /// The last that was started, or tried.
  const LaunchRequest& request() const { return request_; }
  /// The command line that repeats a start, quoted for a shell; empty: no command can, because the
  /// spec has events or shadow optimizers that no file holds.
  QString commandLine(const LaunchRequest& request) const;
  /// The fault that an engine ended with, of what it said on stderr; empty: it named none.
  static QString faultIn(const QString& words);
  /// How long the engine may take to name its run, default 60 s.
  void setTimeout(int ms) { timeoutMs_ = ms; }

 Q_SIGNALS:
  /// Another engine, or another reason why there is none.
  void engineChanged();
  /// The engine named its run, which has a record: model and data were accepted.
  void started(const QString& runId, const QString& folder);
  /// The engine named all children of a fork; the first trains, or all of them.
  void forked(const QString& parent, const QStringList& folders);
  /// Nothing was started, or the engine refused the run: why, and all of the engine's own words.
  void failed(const QString& sentence, const QString& details);
  /// An engine that this launcher started has ended, with the last of what it said on stderr
  /// (often nothing). The run's status says how it ended.
  void ended(const QString& runId, const QString& lastWords);

 private:
  struct Engine {
    QString runId;
    qint64 pid = 0;
    QByteArray started;  // by the kernel's clock
    std::shared_ptr<QTemporaryDir> folder;
    QString parent;      // of the runs to come
    qsizetype runs = 1;  // lines that name a run
    bool alive() const;
    QByteArray lastWords() const;
  };
  void check();
  void watch();
  void fail(const QString& sentence);
  static QStringList options(const LaunchRequest& request);

  QString engine_, fault_;
  bool coming_ = false;
  LaunchRequest request_;
  Engine starting_;
  QList<Engine> running_;
  QTimer timer_, watchTimer_;
  QElapsedTimer since_;
  int timeoutMs_ = 60000;
  bool busy_ = false;
};

}  // namespace batchscope::session
