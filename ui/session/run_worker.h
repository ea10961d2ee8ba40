#pragma once

#include "ui/session/run_store.h"
#include "ui/session/view_data.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

#include <atomic>
#include <memory>
#include <optional>

namespace batchscope::storage {
class RunReader;
}

namespace batchscope::session {

/// What one read of a run brought. `generation` says which open() it belongs to.
struct RunUpdate {
  quint64 generation = 0;
  std::optional<RunItem> info;
  std::optional<QList<SeriesItem>> series;
  QList<EventItem> newEvents;
  QList<EvalItem> newEvals;
  QList<PredictionPlace> newPredictions;  // a place again: more of its predictions
  bool pictures = false;                  // fixed pictures were added
  std::optional<StatusItem> status;
  std::optional<QList<StateFileItem>> states;
  bool rows = false;  // rows were added, or the line changed
};

/// Reads one run on a thread of its own with its own connection: polls, appends to the store, reads
/// what views want. The only user of storage's reader in the window.
class RunWorker : public QObject {
  Q_OBJECT

 public:
  RunWorker(const QString& path, std::shared_ptr<RunStore> store, quint64 generation, int pollMs);
  ~RunWorker() override;
  /// Any thread: ends the present work soon.
  void cancel() { cancelled_ = true; }

 public Q_SLOTS:
  void start();
  void poll();
  /// Reads what the views want.
  void fulfil();
  /// Reads the fixed pictures that the store says are wanted.
  void readProbes();
  void setInterval(int ms);

 Q_SIGNALS:
  void updated(const batchscope::session::RunUpdate& update);
  void curvesReady(quint64 generation);
  void probesReady(quint64 generation, const QList<batchscope::session::ProbeItem>& probes);
  void failed(quint64 generation, const QString& sentence);

 private:
  bool openReader();
  void pollOnce();
  void schedule();
  bool readRows();
  void readSegments();
  void readTables(RunUpdate& update);
  void readPredicted(RunUpdate& update);
  QList<ProbeItem> probesAt(const PredictionPlace& place);
  void readStatus(RunUpdate& update);
  void readStates(RunUpdate& update);
  EventItem eventItem(std::int64_t id, const contract::EventRecord& record) const;
  EvalItem evalItem(std::int64_t id, const contract::EvalRecord& record) const;
  std::int64_t rowOfStep(std::int64_t segment, std::int64_t step) const;
  void makeCurve(const CurveWant& want);
  void extendRaw(const CurveKey& key);
  void extendSmoothed(const CurveKey& key);
  void readInto(Curve& curve, int series, bool published);
  void report(const QString& sentence);

  QString path_;
  std::shared_ptr<RunStore> store_;
  quint64 generation_;
  int pollMs_;
  std::unique_ptr<storage::RunReader> reader_;
  QTimer* timer_ = nullptr;
  QElapsedTimer opening_, statusAge_;
  std::atomic<bool> cancelled_{false};
  std::int64_t lastEvent_ = -1, lastEval_ = -1, lastPredicted_ = 0;
  std::int64_t picturesKnown_ = -1;
  QList<ProbeItem> pictures_;  // without predictions
  QStringList classes_;
  qsizetype seriesKnown_ = -1;
  QString lastFailure_;
  StatusItem status_;
  std::int64_t totalImages_ = 0;
  bool live_ = true, infoSent_ = false;
  RunUpdate pending_;  // what was read and not sent: a read that fails loses nothing before it
  std::size_t segmentsKnown_ = 0;
};

}  // namespace batchscope::session
