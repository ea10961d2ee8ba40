#pragma once

#include "ui/views/chart_data.h"
#include "ui/views/chart_link.h"
#include "ui/views/curve_plot.h"

#include <QFrame>

class QLabel;
class QLayout;
class QMenu;
class QStackedLayout;
class QTableView;
class QToolButton;

namespace batchscope::session {
class CurveTableModel;
}

namespace batchscope::views {

class ChartLegend;

/// A titled chart: plot, legend with counters, table view, empty text. It asks its source when it
/// becomes visible, when the view changes, and on refresh(). Shares x axis, range, cross-hair and
/// smoothing through a ChartLink. All that the mouse does, the slots do for the keyboard. GUI
/// thread.
class CurveChart : public QFrame {
  Q_OBJECT
 public:
  /// `link` must outlive the chart.
  CurveChart(const QString& title, ChartLink* link, QWidget* parent = nullptr);

  /// Another quantity is drawn from now on: title and its tooltip.
  void setTitle(const QString& title);
  /// `help`: what is drawn, with its formula; tooltip of the title.
  void setHelp(const QString& help);
  void setSource(ChartSource source, SampleSource samples);
  /// What stands in place of an axis without data.
  void setEmptyText(const QString& text);
  void setSaturatedFrom(std::optional<double> value);
  void setLogValues(bool on);

  QString title() const { return title_; }
  CurvePlot* plot() const { return plot_; }
  ChartLegend* legend() const { return legend_; }
  bool isTableShown() const;
  bool isEmpty() const { return empty_; }
  /// More is being read for it, or it has not asked yet.
  bool isLoading() const { return loading_ || dirty_; }
  /// The chart as it is drawn on `size`, twice as fine as the screen; table and buttons left out.
  QImage image(const QSize& size) const;
  /// The samples in view, RFC 4180.
  QByteArray csv() const;

 public Q_SLOTS:
  /// Asks the source again, once per event loop turn; nothing while invisible.
  void refresh();
  void zoom(double factor);
  void fit();
  void toggleLog();
  void toggleTable();
  /// Cross-hair by drawn samples of the current series.
  void moveCursor(int samples);
  void cursorToMark(int direction);
  void cursorToNonFinite();
  void selectSeries(int direction);
  void copyImage();
  void copyCsv();

 Q_SIGNALS:
  /// What the cross-hair stands on: "step 412, loss 1.27".
  void announced(const QString& text);

 protected:
  void showEvent(QShowEvent* event) override;
  void resizeEvent(QResizeEvent* event) override;
  void paintEvent(QPaintEvent* event) override;
  void focusInEvent(QFocusEvent* event) override;
  void focusOutEvent(QFocusEvent* event) override;
  bool event(QEvent* event) override;

 private:
  QLayout* buildHeader();
  void build();
  void connectLink();
  void reload();
  void showState();
  void fitLegend();
  void fillTable();
  void setCursor(double x);
  void announce();
  void wantRange(double low, double high);
  const Curve* currentCurve() const;

  QString title_, emptyText_, current_;
  ChartLink* link_;
  CurvePlot* plot_;
  ChartLegend* legend_;
  QLabel *titleLabel_, *note_, *emptyLabel_;
  QToolButton *logButton_, *tableButton_;
  QTableView* table_;
  session::CurveTableModel* tableModel_;
  QStackedLayout* stack_;
  ChartSource source_;
  SampleSource samples_;
  std::optional<AxisRange> full_;  // of the axis; absent: not asked yet
  bool empty_ = true, dirty_ = true, queued_ = false, loading_ = false;
};

}  // namespace batchscope::views
