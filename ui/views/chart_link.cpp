#include "ui/views/chart_link.h"

#include <algorithm>

namespace batchscope::views {

namespace {

constexpr int kMostZooms = 100;

}  // namespace

void ChartLink::setKind(session::XKind kind) {
  if (kind == kind_) {
    return;
  }
  kind_ = kind;
  forget();
  Q_EMIT kindChanged();
}

void ChartLink::forget() {
  range_.reset();
  cursor_.reset();
  cursorOrigin_ = nullptr;
  before_.clear();
  after_.clear();
  Q_EMIT rangeChanged();
  Q_EMIT cursorChanged();
}

void ChartLink::cycleKind() {
  using session::XKind;
  setKind(kind_ == XKind::kStep     ? XKind::kImages
          : kind_ == XKind::kImages ? XKind::kSeconds
                                    : XKind::kStep);
}

void ChartLink::setRange(std::optional<AxisRange> range) {
  if (range != range_) {
    before_.append(range_);
    if (before_.size() > kMostZooms) {
      before_.removeFirst();
    }
    after_.clear();
    range_ = range;
    Q_EMIT rangeChanged();
  }
}

void ChartLink::undoRange() {
  if (!before_.isEmpty()) {
    after_.append(range_);
    range_ = before_.takeLast();
    Q_EMIT rangeChanged();
  }
}

void ChartLink::redoRange() {
  if (!after_.isEmpty()) {
    before_.append(range_);
    range_ = after_.takeLast();
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
