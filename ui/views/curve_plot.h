#pragma once

#include "ui/views/axis_ticks.h"
#include "ui/views/chart_data.h"

#include <QChartView>
#include <QHash>
#include <QSet>

class QLineSeries;
class QValueAxis;

namespace batchscope::views {

/// The canvas of a chart. Qt Charts draws the lines: one series each, fed by replace() with points
/// scaled to the unit square, so that its axes never change. Grid, labels, marks, isolated points,
/// non-finite samples and the cross-hair are painted by this class. GUI thread.
class CurvePlot : public QChartView {
  Q_OBJECT
 public:
  /// Above this, a curve is too dense for dashes to be seen; its markers tell it apart.
  static constexpr int kDenseVertices = 250;

  explicit CurvePlot(QWidget* parent = nullptr);

  void setCurves(const QList<Curve>& curves, const AxisRange& x);
  void setMarks(const QList<EventMark>& marks);
  void setHidden(const QSet<QString>& series);
  void setLog(bool on);
  /// Series that is drawn stronger; empty: none.
  void setCurrent(const QString& series);
  /// Values above are painted grey as saturated.
  void setSaturatedFrom(std::optional<double> value);
  /// Fixed y range (untransformed) instead of the one of the data; absent: the data's.
  void setValueRange(std::optional<AxisRange> range);
  /// Linear values: a curve that runs away does not flatten the others (calmRange). Default: off.
  void setCalm(bool on);
  /// Title of the x axis and how a place on it is written; `whole`: there is nothing between 1
  /// and 2.
  void setXAxis(const QString& title, bool whole, std::function<QString(double)> text);
  /// Where recorded samples are read; none: the curves' points are all there are.
  void setSampleAt(SampleAt at) { at_ = std::move(at); }
  /// Cross-hair at x (absent: none); `withValues` shows the box of values.
  void setCursor(std::optional<double> x, bool withValues);

  const QList<Curve>& curves() const { return curves_; }
  const QList<EventMark>& marks() const { return marks_; }
  const QSet<QString>& hidden() const { return hidden_; }
  std::optional<double> cursor() const { return cursor_; }
  /// The sample that counts at x: the newest one at or before it. Absent before the first and after
  /// the last: a run that has ended has no value.
  std::optional<QPointF> sampleAt(const Curve& curve, double x) const;
  /// The sample nearest to x, `offset` samples further.
  std::optional<QPointF> nearestSample(const Curve& curve, double x, int offset = 0) const;
  /// Where the cross-hair stands for a mouse at x: on the nearest sample of any curve that is close
  /// by, else on a place that exists.
  double snapped(double x) const;
  AxisRange xRange() const { return x_; }
  /// y range in transformed values.
  AxisRange yRange() const { return y_; }
  bool isLog() const { return log_; }
  /// Points of a series that a logarithmic view leaves out.
  qint64 hiddenByLog(const QString& series) const;
  /// Points of a series within the x range whose values lie beyond the y range.
  qint64 outOfView(const QString& series) const;
  int vertices() const { return vertices_; }
  /// Columns of the plot area, at least 1.
  int pixels() const;
  QRectF plotRect() const { return plot_; }

 Q_SIGNALS:
  void pixelsChanged();
  void rangeWanted(double low, double high);
  void valueRangeWanted(double low, double high);
  void fitWanted();
  void cursorWanted(double x);
  void cursorLeft();

 protected:
  void drawBackground(QPainter* painter, const QRectF& rect) override;
  void drawForeground(QPainter* painter, const QRectF& rect) override;
  void resizeEvent(QResizeEvent* event) override;
  void changeEvent(QEvent* event) override;
  void wheelEvent(QWheelEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void mouseDoubleClickEvent(QMouseEvent* event) override;
  void leaveEvent(QEvent* event) override;
  bool viewportEvent(QEvent* event) override;

 private:
  void rebuild();
  QPen penOf(const Curve& curve) const;
  void layoutPlot();
  QLineSeries* lineFor(const Curve& curve);
  bool isShown(const Curve& curve) const { return !hidden_.contains(curve.series); }
  QPointF toPlot(QPointF transformed) const;
  double xAt(double pixel) const;
  double transformed(double value) const;
  QList<Tick> valueTicks() const;
  QList<Tick> placeTicks() const;
  QString tipAt(QPoint position) const;
  void paintGrid(QPainter& painter) const;
  void paintLabels(QPainter& painter) const;
  void paintMarks(QPainter& painter) const;
  void paintPoints(QPainter& painter) const;
  void paintCursor(QPainter& painter) const;
  void paintValues(QPainter& painter, double px) const;

  QList<Curve> curves_;
  QList<DrawnCurve> drawn_;
  QHash<QString, QLineSeries*> lines_;
  QList<EventMark> marks_;
  QSet<QString> hidden_;
  QString current_, xTitle_;
  std::function<QString(double)> xText_;
  bool wholeX_ = false;
  SampleAt at_;
  QValueAxis* xAxis_;
  QValueAxis* yAxis_;
  AxisRange x_, y_;
  QRectF plot_;
  bool log_ = false, calm_ = false;
  std::optional<double> saturatedFrom_;
  std::optional<AxisRange> fixed_;
  std::optional<double> cursor_;
  bool withValues_ = false;
  int vertices_ = 0;
  std::optional<QPointF> dragFrom_;
  QPointF dragTo_;
  bool dragBoth_ = false;
};

}  // namespace batchscope::views
