#pragma once

#include "ui/session/view_data.h"
#include "ui/views/chart_data.h"

#include <QFrame>

namespace batchscope::views {

/// Modules × x as colours on a logarithmic scale (cividis). A click on a row chooses its module.
class HeatmapView : public QFrame {
  Q_OBJECT
 public:
  explicit HeatmapView(QWidget* parent = nullptr);
  void setData(const session::HeatmapView& cells, session::XKind kind, bool log);
  /// Events as vertical lines.
  void setMarks(const QList<EventMark>& marks);
  void setTitle(const QString& title, const QString& help);
  void setEmptyText(const QString& text);
  /// Row that is marked; -1: none.
  void setCurrentRow(int row);
  int currentRow() const { return current_; }
  /// Columns that the next data should have.
  int columnsWanted() const;
  /// Lowest and highest value that has a colour; equal when there are none.
  AxisRange valueRange() const { return values_; }

 Q_SIGNALS:
  void rowChosen(int row);

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void keyPressEvent(QKeyEvent* event) override;
  bool event(QEvent* event) override;
  void changeEvent(QEvent* event) override;

 private:
  QRectF area() const;
  double rowHeight() const;
  int rowAt(double y) const;
  double scaled(double value) const;
  void paintRows(QPainter& painter, const QRectF& plot) const;
  void paintAxis(QPainter& painter, const QRectF& plot) const;
  void paintScale(QPainter& painter, const QRectF& plot) const;
  void rebuild();

  session::HeatmapView data_;
  session::XKind kind_ = session::XKind::kStep;
  QList<double> held_;  // cells, each value held until the next one is due
  QString title_, empty_;
  QList<EventMark> marks_;
  AxisRange values_{0, 0};
  QImage image_;
  bool log_ = true;
  int current_ = -1;
};

/// Cells with each measured value held until the next one, at most as long as it usually takes in
/// its row: where no more is measured, none is shown.
QList<double> heldCells(const session::HeatmapView& data);

}  // namespace batchscope::views
