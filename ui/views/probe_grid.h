#pragma once

#include "ui/session/view_data.h"

#include <QScrollArea>

class QGridLayout;

namespace batchscope::views {

class ProbeView;

/// Fixed pictures side by side, as large as all of them fit in; where that would be too small, in
/// rows that scroll. Its own size never depends on their number.
class ProbeGrid : public QScrollArea {
  Q_OBJECT
 public:
  /// px; below it the pictures scroll.
  static constexpr int kLeastSide = 150;

  explicit ProbeGrid(QWidget* parent = nullptr);
  /// Shows these pictures. Returns whether there are other views than before.
  bool setProbes(const QList<session::ProbeItem>& probes);
  const QList<ProbeView*>& views() const { return views_; }

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void arrange();
  void place(int columns, int least);
  QWidget* sheet_;
  QGridLayout* grid_;
  QList<ProbeView*> views_;
  int columns_ = 0;  // of the present arrangement; 0: arrange anew
};

}  // namespace batchscope::views
