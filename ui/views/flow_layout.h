#pragma once

#include <QLayout>
#include <QList>

namespace batchscope::views {

/// Places items in rows from left to right and wraps them (mirrored for right-to-left).
class FlowLayout : public QLayout {
 public:
  explicit FlowLayout(int spacing = 6);
  ~FlowLayout() override;

  void addItem(QLayoutItem* item) override { items_.append(item); }
  int count() const override { return static_cast<int>(items_.size()); }
  QLayoutItem* itemAt(int index) const override { return items_.value(index); }
  QLayoutItem* takeAt(int index) override;
  Qt::Orientations expandingDirections() const override { return {}; }
  bool hasHeightForWidth() const override { return true; }
  int heightForWidth(int width) const override { return place(QRect(0, 0, width, 0), false); }
  QSize minimumSize() const override;
  QSize sizeHint() const override { return minimumSize(); }
  void setGeometry(const QRect& rect) override;

 private:
  int place(const QRect& rect, bool move) const;
  QList<QLayoutItem*> items_;
};

}  // namespace batchscope::views
