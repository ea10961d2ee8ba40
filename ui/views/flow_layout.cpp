#include "ui/views/flow_layout.h"

#include <QStyle>
#include <QWidget>

#include <algorithm>

namespace batchscope::views {

FlowLayout::FlowLayout(int spacing) {
  setSpacing(spacing);
  setContentsMargins(0, 0, 0, 0);
}

FlowLayout::~FlowLayout() {
  qDeleteAll(items_);
}

QLayoutItem* FlowLayout::takeAt(int index) {
  return index >= 0 && index < items_.size() ? items_.takeAt(index) : nullptr;
}

QSize FlowLayout::minimumSize() const {
  QSize size;
  for (const QLayoutItem* item : items_) {
    size = size.expandedTo(item->minimumSize());
  }
  const QMargins m = contentsMargins();
  return size + QSize(m.left() + m.right(), m.top() + m.bottom());
}

void FlowLayout::setGeometry(const QRect& rect) {
  QLayout::setGeometry(rect);
  place(rect, true);
}

int FlowLayout::place(const QRect& rect, bool move) const {
  const QRect area = rect.marginsRemoved(contentsMargins());
  const auto direction = parentWidget() ? parentWidget()->layoutDirection() : Qt::LeftToRight;
  int x = area.x();
  int y = area.y();
  int row = 0;
  for (QLayoutItem* item : items_) {
    if (item->isEmpty()) {
      continue;
    }
    const QSize size(std::min(item->sizeHint().width(), std::max(area.width(), 1)),
                     item->sizeHint().height());
    if (x > area.x() && x + size.width() > area.x() + area.width()) {
      x = area.x();
      y += row + spacing();
      row = 0;
    }
    if (move) {
      item->setGeometry(QStyle::visualRect(direction, area, QRect(QPoint(x, y), size)));
    }
    x += size.width() + spacing();
    row = std::max(row, size.height());
  }
  return y + row - rect.y() + contentsMargins().bottom();
}

}  // namespace batchscope::views
