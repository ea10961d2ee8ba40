#pragma once

#include "ui/session/run_compare.h"
#include "ui/views/curve_chart.h"

#include <QTimer>
#include <QWidget>

class QCheckBox;
class QComboBox;
class QDoubleSpinBox;
class QLabel;
class QStackedWidget;
class QTableView;
class QTableWidget;

namespace batchscope::views {

/// Two to eight runs over one another on steps, pictures or seconds: curves, difference to the
/// baseline, AP, the settings that differ, and what each needed to reach a target. GUI thread.
class ComparePage : public QWidget {
  Q_OBJECT
 public:
  ComparePage(session::RunCompare* compare, ChartLink* link, QWidget* parent = nullptr);
  session::RunCompare* compare() const { return compare_; }
  QTableWidget* targetTable() const { return targets_; }
  CurveChart* differenceChart() const { return difference_; }
  QCheckBox* pairedBox() const { return paired_; }

 Q_SIGNALS:
  void addWanted();

 private:
  QWidget* makeBar();
  QWidget* makeTables();
  QList<EventMark> marks(session::XKind kind) const;
  ChartSource overlaySource() const;
  ChartSource differenceSource() const;
  ChartContent differences(const ChartRequest& request, ChartContent content) const;
  ChartContent pairedDifferences(const ChartRequest& request, ChartContent content) const;
  ChartSource metricSource() const;
  SampleSource overlaySamples() const;
  void runsChanged();
  void refresh();
  void fillChips();
  void fillTargets();
  QString series() const;

  session::RunCompare* compare_;
  ChartLink* link_;
  QComboBox *series_, *metric_;
  QCheckBox* paired_;
  QDoubleSpinBox* value_;
  CurveChart *overlay_, *difference_, *accuracy_;
  QTableView* settings_;
  QTableWidget* targets_;
  QStackedWidget* stack_;
  QWidget* chips_;
  QStringList chipLabels_;
  QLabel* missing_;
  QTimer timer_;
};

}  // namespace batchscope::views
