#pragma once

#include "engine/contract/messages.h"

#include <QList>
#include <QObject>
#include <QPointF>
#include <QProcess>
#include <QString>

#include <optional>

namespace batchscope::session {

/// One probe of a fan.
struct FanRow {
  int number = 0;
  QString optimizer;
  double lr = 0;
  std::optional<std::int64_t> seed;
  bool survives = false;
  QString why;
  double startLoss = 0, endLoss = 0, fall = 0;  // NaN: not finite
  QList<QPointF> losses;  // update (from 1), loss; values that are not finite are left out
  contract::OptimizerCommand command;  // that applies it
};
struct FanEdgeRow {
  QString optimizer;
  double survives = 0, fails = 0, edge = 0;  // 0: none
};
struct FanOutcome {
  QList<FanRow> probes;
  QList<FanEdgeRow> edges;
  std::int64_t step = 0;
  double baseLr = 0, seconds = 0;
  QString criterion;
};
/// Reads what `control RUN fan --json` prints; nothing if it is not that.
std::optional<FanOutcome> readFan(const QByteArray& json);

/// What a fan tries, in the words of the command line.
struct FanRequest {
  QString run, library;
  QString lr = QStringLiteral("x2^-2..2"), optimizers;
  int steps = 30;
  QString seeds;
  std::int64_t at = -1;  // -1: now
};

/// Runs `batchscope-engine control RUN fan` as a child of this program: what ends with the window
/// is no training. GUI thread.
class FanRunner : public QObject {
  Q_OBJECT

 public:
  explicit FanRunner(QObject* parent = nullptr);
  ~FanRunner() override;
  static QStringList arguments(const FanRequest& request);
  /// False while one runs. `finished` or `failed` follows.
  bool start(const QString& engine, const FanRequest& request);
  void cancel();
  bool isRunning() const { return process_.state() != QProcess::NotRunning; }

 Q_SIGNALS:
  /// A probe is done; its line in words.
  void progress(int done, int all, const QString& text);
  void finished(const batchscope::session::FanOutcome& outcome);
  void failed(const QString& sentence);

 private:
  void readProgress();
  void ended(int code);

  QProcess process_;
  QByteArray words_;  // of stderr, not read to a line's end yet
  QString lastLine_;
  bool cancelled_ = false;
};

}  // namespace batchscope::session
