#pragma once

#include "ui/session/view_data.h"

#include <QFrame>
#include <QImage>

namespace batchscope::views {

/// One fixed picture with its truth (dashed) and the predictions above a score (solid, coloured by
/// class).
class ProbeView : public QFrame {
  Q_OBJECT
 public:
  explicit ProbeView(QWidget* parent = nullptr);
  void setProbe(const session::ProbeItem& probe);
  void setThreshold(double score);
  void setShown(bool truth, bool predictions);
  /// Whether masks and classes of pixels are laid over the picture.
  void setPixelsShown(bool shown);
  /// Whether the picture has any.
  bool hasPixels() const;
  /// Without labels and caption, for the strip of the overview.
  void setCompact(bool compact);
  /// Predictions at or above the threshold.
  int shownPredictions() const;
  /// Masks and classes as they were painted last; null until they are painted again after a change.
  const QImage& overlay() const { return overlay_; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  bool event(QEvent* event) override;

 private:
  void describe();
  QRectF pictureRect() const;
  QRectF boxRect(const session::BoxItem& box, const QRectF& picture) const;
  void paintBox(QPainter& painter,
                const session::BoxItem& box,
                const QRectF& picture,
                bool truth) const;

  session::ProbeItem probe_;
  QImage image_;
  double threshold_ = 0.5;
  bool truth_ = true, predictions_ = true, compact_ = false, pixels_ = true;
  bool decoded_ = false;  // image_ is that of probe_
  QImage overlay_;        // null: to be painted
};

}  // namespace batchscope::views
