#pragma once

#include "ui/session/run_session.h"

#include <QAbstractSlider>
#include <QPointer>
#include <QWidget>

class QComboBox;
class QLabel;
class QToolButton;

namespace batchscope::views {

/// The whole run as a line: events as flags and the playhead. Its value is the position in parts of
/// kSteps of the duration.
class TimelineStrip : public QAbstractSlider {
  Q_OBJECT
 public:
  static constexpr int kSteps = 100000;
  struct Flag {
    double at = 0;  // 0…1
    QString tip;
    bool problem = false, change = false, abandoned = false;
  };
  explicit TimelineStrip(QWidget* parent = nullptr);
  void setFlags(const QList<Flag>& flags);
  const QList<Flag>& flags() const { return flags_; }
  QSize sizeHint() const override { return {300, 34}; }

 protected:
  void paintEvent(QPaintEvent* event) override;
  void mousePressEvent(QMouseEvent* event) override;
  void mouseMoveEvent(QMouseEvent* event) override;
  void mouseReleaseEvent(QMouseEvent* event) override;
  void sliderChange(SliderChange change) override;
  bool event(QEvent* event) override;

 private:
  QRectF track() const;
  int valueAt(double x) const;
  QList<Flag> flags_;
};

/// Play, pause, speed, scrub, previous and next event, follow live. GUI thread.
class ReplayBar : public QWidget {
  Q_OBJECT
 public:
  explicit ReplayBar(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  TimelineStrip* timeline() const { return strip_; }
  QComboBox* speedBox() const { return speed_; }

 public Q_SLOTS:
  void togglePlay();
  void previousEvent();
  void nextEvent();
  void followLive();
  void stepBack();
  void stepForward();

 private:
  void showPosition();
  void showFlags();
  void showState();
  QPointer<session::RunSession> run_;
  QToolButton *play_, *live_;
  QComboBox* speed_;
  TimelineStrip* strip_;
  QLabel* label_;
  bool moving_ = false;
};

}  // namespace batchscope::views
