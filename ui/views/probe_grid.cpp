#include "ui/views/probe_grid.h"

#include "ui/views/probe_view.h"

#include <QGridLayout>
#include <QStyle>

#include <algorithm>

namespace batchscope::views {
namespace {

constexpr int kGap = 10;

struct Fit {
  int columns = 1;
  double side = 0;
};

/// The widest pictures; of equal ones the grid with the fewest empty places.
Fit bestFit(int count, const QSize& room) {
  Fit fit;
  double best = -1;
  for (int columns = 1; columns <= count; ++columns) {
    const int rows = (count + columns - 1) / columns;
    const double side = std::min(double(room.width() - (columns - 1) * kGap) / columns,
                                 double(room.height() - (rows - 1) * kGap) / rows);
    const double worth = side - 0.01 * (rows * columns - count);
    if (worth > best) {
      best = worth;
      fit = {columns, side};
    }
  }
  return fit;
}

}  // namespace

ProbeGrid::ProbeGrid(QWidget* parent) : QScrollArea(parent) {
  setWidgetResizable(true);
  setFrameShape(QFrame::NoFrame);
  setAccessibleName(tr("Fixed pictures"));
  sheet_ = new QWidget(this);
  grid_ = new QGridLayout(sheet_);
  grid_->setContentsMargins(0, 0, 0, 0);
  grid_->setSpacing(kGap);
  setWidget(sheet_);
}

bool ProbeGrid::setProbes(const QList<session::ProbeItem>& probes) {
  const bool other = views_.size() != probes.size();
  while (views_.size() > probes.size()) {
    delete views_.takeLast();
  }
  while (views_.size() < probes.size()) {
    views_.append(new ProbeView(sheet_));
  }
  for (qsizetype i = 0; i < probes.size(); ++i) {
    views_[i]->setProbe(probes[i]);
  }
  if (other) {
    columns_ = 0;
    arrange();
  }
  return other;
}

void ProbeGrid::arrange() {
  const auto count = static_cast<int>(views_.size());
  if (count == 0) {
    return;
  }
  // The room without scroll bars: it does not change when they come and go.
  const QSize room = maximumViewportSize();
  const Fit fit = bestFit(count, room);
  if (fit.side >= kLeastSide) {
    place(fit.columns, 0);
    return;
  }
  const int width = room.width() - style()->pixelMetric(QStyle::PM_ScrollBarExtent, nullptr, this);
  const int columns = std::clamp((width + kGap) / (kLeastSide + kGap), 1, count);
  const int side = (width - (columns - 1) * kGap) / columns;
  place(columns, std::clamp(side, kLeastSide, std::max(kLeastSide, room.height())));
}

void ProbeGrid::place(int columns, int least) {
  const auto count = static_cast<int>(views_.size());
  if (columns != columns_) {
    columns_ = columns;
    for (int i = 0; i < count; ++i) {
      grid_->addWidget(views_[i], i / columns, i % columns);
      views_[i]->show();
    }
  }
  const int rows = (count + columns - 1) / columns;
  sheet_->setMinimumHeight(least > 0 ? rows * (least + kGap) - kGap : 0);
}

void ProbeGrid::resizeEvent(QResizeEvent* event) {
  QScrollArea::resizeEvent(event);
  arrange();
}

}  // namespace batchscope::views
