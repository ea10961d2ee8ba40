#pragma once

#include "ui/session/view_data.h"

#include <QHash>
#include <QObject>
#include <QThread>
#include <QTimer>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

namespace batchscope::session {

class CommandLog;
class EngineClient;
class EvalModel;
class EventModel;
class Playhead;
class RunStore;
class RunWorker;
struct RunUpdate;

/// Presenter of one run, live or stored. A thread of its own reads the run file; the GUI thread
/// asks for views that cost by their pixels. Everything shown ends at the playhead. GUI thread.
class RunSession : public QObject {
  Q_OBJECT
  Q_PROPERTY(State state READ state NOTIFY stateChanged)

 public:
  enum class State {
    kClosed,
    kOpening,  // nothing read yet
    kWaiting,  // opened, no step yet
    kLive,     // a process writes
    kStored,   // ended
    kFailed    // the file cannot be read
  };
  Q_ENUM(State)
  /// Where what is shown ends.
  enum class Extent { kPlayhead, kWhole };

  /// clock: milliseconds of a monotonic clock for the replay; tests give their own.
  explicit RunSession(QObject* parent = nullptr, std::function<qint64()> clock = {});
  ~RunSession() override;

  /// Opens a run folder, run.sqlite or *.bscope; answers by stateChanged. Closes what was open.
  void open(const QString& path);
  void close();
  State state() const { return state_; }
  QString path() const { return path_; }
  /// The sentence of the last failure.
  QString failure() const { return failure_; }
  const RunItem& info() const { return info_; }
  /// State of the run now (not at the playhead).
  const StatusItem& status() const { return status_; }
  /// What was in force at the playhead, with the step and rates of that place; where it follows,
  /// of now. The step is that of the newest row read, as on the timeline.
  StatusItem statusAtPlayhead();
  /// Newest recorded sample of a series at or before the playhead on the line that was live then;
  /// invalid while it is being read (dataChanged follows).
  SampleItem sampleAtPlayhead(const QString& series);
  /// Updates completed now, by the newest row read of the live line.
  std::int64_t newestStep() const;
  bool isLive() const { return state_ == State::kLive || status_.isLive(); }

  /// What the engine of this run said when it gave up, as far as this window heard it.
  const QString& engineFault() const { return engineFault_; }
  void setEngineFault(const QString& sentence);

  /// All series of the run, and those that speak of modules with this prefix ("d/") in module
  /// order.
  const QList<SeriesItem>& series() const { return series_; }
  QStringList seriesWithPrefix(const QString& prefix) const;
  bool hasSeries(const QString& name) const;

  /// The curve in [x0, x1] for `pixels` columns, ending at the playhead. smoothing: weight 0…0.999
  /// of a causal, debiased exponential mean over the full data along the live line; 0 is raw. What
  /// is not in memory yet is read in the background: the view says `loading`, dataChanged follows.
  SeriesView view(const QString& name,
                  XKind kind,
                  double x0,
                  double x1,
                  int pixels,
                  double smoothing = 0,
                  Extent extent = Extent::kPlayhead);
  /// Modules x columns of all series "prefix<module>".
  HeatmapView heatmap(const QString& prefix, XKind kind, double x0, double x1, int columns);
  /// Range of an axis up to the playhead (0, 0 without rows), and of the whole record.
  QPointF xRange(XKind kind) const;
  QPointF fullXRange(XKind kind) const;
  /// The recorded sample nearest to x on the live line; `offset` samples further when not 0. Its
  /// value is smoothed as in view(), once that view has been read.
  SampleItem nearest(
      const QString& name, XKind kind, double x, int offset = 0, double smoothing = 0);
  /// The next non-finite sample after x, invalid if there is none.
  SampleItem nextNonFinite(const QString& name, XKind kind, double x);
  /// Every recorded sample in [x0, x1] up to the playhead, live line and abandoned ones, for
  /// export.
  QList<SampleItem> samples(
      const QString& name, XKind kind, double x0, double x1, Extent extent = Extent::kPlayhead);

  /// Events and evaluations up to the playhead.
  QList<EventItem> events() const;
  QList<EvalItem> evals() const;
  /// All events and evaluations of the run; what was undone by now is abandoned.
  const QList<EventItem>& allEvents() const { return events_; }
  const QList<EvalItem>& allEvals() const { return evals_; }
  EventModel* eventModel() const { return eventModel_; }
  EvalModel* evalModel() const { return evalModel_; }
  /// The fixed pictures with the newest predictions at or before the playhead, on the line that was
  /// live then; without any, all pictures. A list that isSharedWith an earlier one says the same.
  const QList<ProbeItem>& probes() const { return probes_; }
  /// The newest evaluation on the live line at the playhead; step -1 if none.
  EvalItem latestEval() const;

  Playhead* playhead() const { return playhead_; }
  /// Updates completed at the playhead, on the line that was live then (0 before the first row).
  SampleItem playheadSample() const;
  /// The newest row of the live line up to a step; not valid: there is none.
  SampleItem rowAtStep(std::int64_t step) const;
  /// Moves the playhead to where an event stands, to a step of the live line, or by rows.
  void seekToStep(std::int64_t step);
  void seekToEvent(std::int64_t eventId);
  void seekRows(int rows);
  /// Moves to the next event after the playhead (direction > 0) or the one before it.
  void seekNextEvent(int direction);

  /// Control of the live run. Commands are written down in the log; nothing takes effect silently.
  EngineClient* client() const { return client_; }
  CommandLog* commandLog() const { return log_; }
  bool canControl() const;
  qint64 sendCommand(const contract::CommandBody& body);
  /// Step of the newest state on the live line up to `step` (any step: INT64_MAX); -1: none.
  /// `checkpoint`: only what Continue goes on from.
  std::int64_t savedStep(std::int64_t step, bool checkpoint) const;
  /// The change that `undo` would take back now; id 0 if there is none.
  EventItem undoTarget() const;

  /// Time between reads without notices, default 250 ms while live.
  void setPollInterval(int ms);

 public Q_SLOTS:
  /// Reads now.
  void poll();

 Q_SIGNALS:
  void stateChanged(batchscope::session::RunSession::State state);
  /// What is fixed for the run, or its list of series, became known or grew.
  void infoChanged();
  /// Curves changed: new rows, a finished background read, or the playhead moved.
  void dataChanged();
  void eventsChanged();
  void evalsChanged();
  void probesChanged();
  void statusChanged();
  /// Commands that wait for their answer.
  void pendingChanged(int pending);
  /// One sentence for a person.
  void failed(const QString& sentence);

 private:
  void onUpdate(const RunUpdate& update);
  void onFailed(const QString& sentence);
  void onPlayhead();
  void setState(State state);
  void refreshLists();
  void markUndone();
  std::int64_t limitOf(Extent extent) const;
  void refreshStatus();
  void takePredicted(const RunUpdate& update);
  PredictionPlace placeOfProbes() const;
  void requestProbes();
  void requestWanted();
  std::int64_t rowLimit() const;

  QString path_, failure_;
  State state_ = State::kClosed;
  RunItem info_;
  StatusItem status_, fileStatus_, start_;
  std::optional<contract::StatusReport> report_;  // of the attached engine
  QList<SeriesItem> series_;
  QHash<QString, int> seriesIndex_;
  QList<EventItem> events_;
  QList<EvalItem> evals_;
  QList<ProbeItem> probes_;
  std::shared_ptr<RunStore> store_;
  std::shared_ptr<QThread> thread_;
  QList<std::shared_ptr<QThread>> retired_;
  RunWorker* worker_ = nullptr;
  Playhead* playhead_;
  EngineClient* client_;
  CommandLog* log_;
  EventModel* eventModel_;
  EvalModel* evalModel_;
  QTimer noticeTimer_;
  int pollMs_ = 250;
  std::map<std::int64_t, std::set<std::int64_t>> predicted_;  // segment -> steps
  std::optional<PredictionPlace> probesAt_;                   // asked for; none: ask again
  quint64 generation_ = 0;
  QString engineFault_;
  QList<StateFileItem> states_;
};

}  // namespace batchscope::session
