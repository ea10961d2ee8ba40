#pragma once

#include "ui/session/view_data.h"
#include "ui/views/curve.h"

#include <QObject>

#include <optional>

namespace batchscope::views {

/// What the charts of a page share: the x axis, its range, the cross-hair and the smoothing. GUI
/// thread.
class ChartLink : public QObject {
  Q_OBJECT
 public:
  explicit ChartLink(QObject* parent = nullptr) : QObject(parent) {}

  session::XKind kind() const { return kind_; }
  /// Zoomed range; absent: each chart shows all it has.
  std::optional<AxisRange> range() const { return range_; }
  std::optional<double> cursor() const { return cursor_; }
  /// Weight 0…0.999 of the exponential mean.
  double smoothing() const { return smoothing_; }

  /// Another axis: the zoom and the cross-hair go, they were places on the old one.
  void setKind(session::XKind kind);
  void cycleKind();
  void setRange(std::optional<AxisRange> range);
  /// `origin`: the chart that shows the box of values.
  void setCursor(std::optional<double> x, QObject* origin);
  QObject* cursorOrigin() const { return cursorOrigin_; }
  void setSmoothing(double weight);
  /// Back and forward through the zooms of this axis.
  void undoRange();
  void redoRange();
  /// Another run: zoom, cross-hair and the zooms before were places in the one before.
  void forget();

 Q_SIGNALS:
  void kindChanged();
  void rangeChanged();
  void cursorChanged();
  void smoothingChanged();

 private:
  session::XKind kind_ = session::XKind::kStep;
  std::optional<AxisRange> range_;
  std::optional<double> cursor_;
  QObject* cursorOrigin_ = nullptr;
  double smoothing_ = 0;
  QList<std::optional<AxisRange>> before_, after_;
};

}  // namespace batchscope::views
