#pragma once

#include "ui/views/probe_grid.h"
#include "ui/views/run_page.h"

class QCheckBox;
class QLabel;
class QSlider;

namespace batchscope::views {

/// The fixed pictures with truth and predictions at the playhead, and a score slider.
class SamplesPage : public RunPage {
  Q_OBJECT
 public:
  explicit SamplesPage(ChartLink* link, QWidget* parent = nullptr);
  const QList<ProbeView*>& views() const { return grid_->views(); }
  ProbeGrid* grid() const { return grid_; }
  QSlider* scoreSlider() const { return slider_; }

 protected:
  void runChanged() override {}
  void dataChanged() override;

 private:
  QLayout* makeBar();
  void apply();
  QString note() const;
  QSlider* slider_;
  QCheckBox *truth_, *predictions_, *pixels_;
  QLabel *score_, *note_, *empty_;
  ProbeGrid* grid_;
  QList<session::ProbeItem> shown_;
};

}  // namespace batchscope::views
