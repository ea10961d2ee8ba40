#pragma once

#include "ui/views/run_page.h"

class QCheckBox;
class QGridLayout;
class QLabel;
class QSlider;

namespace batchscope::views {

class ProbeView;

/// The fixed pictures with truth and predictions at the playhead, and a score slider.
class SamplesPage : public RunPage {
  Q_OBJECT
 public:
  explicit SamplesPage(ChartLink* link, QWidget* parent = nullptr);
  QList<ProbeView*> views() const { return views_; }
  QSlider* scoreSlider() const { return slider_; }

 protected:
  void runChanged() override {}
  void dataChanged() override;
  void resizeEvent(QResizeEvent* event) override;

 private:
  void apply();
  void arrange();
  QSlider* slider_;
  QCheckBox *truth_, *predictions_, *pixels_;
  QLabel *score_, *note_, *empty_;
  QWidget* sheet_;
  QGridLayout* grid_;
  QList<ProbeView*> views_;
};

}  // namespace batchscope::views
