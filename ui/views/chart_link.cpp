#include "ui/views/chart_link.h"

#include <algorithm>

namespace batchscope::views {

void ChartLink::setKind(session::XKind kind) {
  if (kind == kind_) {
    return;
  }
  kind_ = kind;
  range_.reset();
  cursor_.reset();
  Q_EMIT kindChanged();
  Q_EMIT rangeChanged();
}

void ChartLink::cycleKind() {
  using session::XKind;
  setKind(kind_ == XKind::kStep     ? XKind::kImages
          : kind_ == XKind::kImages ? XKind::kSeconds
                                    : XKind::kStep);
}

void ChartLink::setRange(std::optional<AxisRange> range) {
  if (range != range_) {
    range_ = range;
    Q_EMIT rangeChanged();
  }
}

void ChartLink::setCursor(std::optional<double> x, QObject* origin) {
  if (cursor_ != x || cursorOrigin_ != origin) {
    cursor_ = x;
    cursorOrigin_ = origin;
    Q_EMIT cursorChanged();
  }
}

void ChartLink::setSmoothing(double weight) {
  const double value = std::clamp(weight, 0.0, 0.999);
  if (value != smoothing_) {
    smoothing_ = value;
    Q_EMIT smoothingChanged();
  }
}

}  // namespace batchscope::views
