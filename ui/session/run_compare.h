#pragma once

#include "engine/contract/run_spec.h"
#include "ui/session/paired_runs.h"
#include "ui/session/run_session.h"
#include "ui/session/view_data.h"

#include <QAbstractTableModel>
#include <QObject>
#include <QPointer>

namespace batchscope::session {

/// Settings that differ between the compared runs: one row a key, one column a run. GUI thread.
class SettingsDiffModel : public QAbstractTableModel {
  Q_OBJECT

 public:
  struct Row {
    QString key;
    QStringList values;
  };
  explicit SettingsDiffModel(QObject* parent = nullptr);
  void setRows(const QStringList& runs, const QList<Row>& rows);
  const QList<Row>& rows() const { return rows_; }

  int rowCount(const QModelIndex& parent = {}) const override;
  int columnCount(const QModelIndex& parent = {}) const override;
  QVariant data(const QModelIndex& index, int role) const override;
  QVariant headerData(int section, Qt::Orientation orientation, int role) const override;

 private:
  QStringList runs_;
  QList<Row> rows_;
};

/// When a run first reached a value of a metric; step -1: not reached.
struct TargetReached {
  QString run;
  std::int64_t step = -1, images = 0;
  double seconds = 0;
  double best = 0;  // best value so far (NaN: no evaluation)
  bool reached() const { return step >= 0; }
};

/// Two to eight runs over one another, live or stored. Does not own the sessions.
/// All of each run is compared, wherever its playhead is. GUI thread.
class RunCompare : public QObject {
  Q_OBJECT

 public:
  static constexpr int kMaxRuns = 8;

  explicit RunCompare(QObject* parent = nullptr);

  /// False if it is there already or eight are. The first one is the baseline.
  bool add(RunSession* session);
  void remove(RunSession* session);
  void clear();
  void setBaseline(RunSession* session);
  QList<RunSession*> sessions() const;
  int count() const { return static_cast<int>(sessions_.size()); }
  /// Distinct labels: the names, with the id where two are equal.
  QStringList labels() const;

  /// Series that at least one run has, baseline's order first; and the runs that lack one.
  QStringList seriesNames() const;
  QStringList runsWithout(const QString& series) const;
  /// One view per run, in order.
  QList<SeriesView> views(
      const QString& series, XKind kind, double x0, double x1, int pixels, double smoothing = 0);
  /// Common range: from the smallest to the largest x of any run.
  QPointF xRange(XKind kind) const;
  /// Run `index` minus the baseline at equal x (difference_at in paired_runs.h), from every sample
  /// of their live lines; at most two points per pixel column, the lowest and the highest.
  QList<QPointF> difference(int index,
                            const QString& series,
                            XKind kind,
                            double x0,
                            double x1,
                            int pixels,
                            double smoothing = 0);
  /// Runs with the same settings but for name and seed are one group; every other group minus the
  /// baseline's, seed by seed, at equal x. Empty without two groups that share a seed.
  QList<PairedDifference> pairedDifferences(
      const QString& series, XKind kind, double x0, double x1, int pixels, double smoothing = 0);

  SettingsDiffModel* settings() const { return settings_; }
  /// Metrics that some run has evaluated.
  QStringList metricNames() const;
  /// The one to look at first: storage::headline() of those that every run has; where they share
  /// none, of all. Empty: none.
  QString headlineMetric() const;
  /// Per run: steps, pictures and seconds to the first evaluation on the live line with
  /// metric >= value.
  QList<TargetReached> timeToTarget(const QString& metric, double value) const;

 Q_SIGNALS:
  void runsChanged();
  void settingsChanged();
  /// Some run's curves changed.
  void dataChanged();

 private:
  void onRunsChanged();
  void refreshSettings();
  QList<QPointF> liveSamples(int index, const QString& series, XKind kind, double x0, double x1);
  static QString settingText(const contract::RunSpec& spec, const QString& key);

  QList<QPointer<RunSession>> sessions_;
  SettingsDiffModel* settings_;
};

}  // namespace batchscope::session
