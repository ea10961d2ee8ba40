#pragma once

#include "ui/views/run_page.h"

class QHBoxLayout;
class QLabel;

namespace batchscope::views {

class ProbeView;

/// Loss and its parts, learning rate, pictures/s, AP, and the strip of fixed pictures.
class OverviewPage : public RunPage {
  Q_OBJECT
 public:
  explicit OverviewPage(ChartLink* link, QWidget* parent = nullptr);

 Q_SIGNALS:
  void samplesWanted();

 protected:
  void runChanged() override;
  void dataChanged() override;

 private:
  QWidget* makeStrip();
  CurveChart *loss_, *lr_, *speed_, *accuracy_;
  QWidget* strip_;
  QHBoxLayout* stripRow_;
  QLabel* stripNote_;
  QList<ProbeView*> probes_;
  QList<session::ProbeItem> shown_;
};

/// Source of evaluation metrics of a run as curves.
ChartSource evalSource(session::RunSession* run, const QStringList& metrics);
SampleSource evalSamples(session::RunSession* run, const QStringList& metrics);

}  // namespace batchscope::views
