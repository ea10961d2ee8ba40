#pragma once

#include "ui/views/run_page.h"

class QComboBox;
class QSpinBox;

namespace batchscope::views {

class HeatmapView;

/// Per-module noise fraction with its expected curve, noise scale, AGVM factors, and a heat map
/// modules × x.
class VariancePage : public RunPage {
  Q_OBJECT
 public:
  explicit VariancePage(ChartLink* link, QWidget* parent = nullptr);

 protected:
  void runChanged() override;
  void dataChanged() override;

 private:
  QWidget* makeBar();
  QWidget* makeCharts();
  ChartSource fractionSource() const;
  ChartSource scaleSource() const;
  void addExpected(ChartContent& content, const ChartRequest& request) const;
  /// Which of d and (lr·μ)²·d is drawn, and of which gradient the noise scale is: prefixes.
  QString curvePrefix() const;
  QString scalePrefix() const;
  void chooseCurve();
  void chooseModule(int row);
  double batchForForecast() const;

  CurveChart *fraction_, *scale_, *factors_;
  HeatmapView* map_;
  QComboBox *curve_, *of_, *quantity_;
  QSpinBox* batch_;
};

/// d(B) = 2 Bn / (B + 2 Bn) of a noise scale at batch B: the noise fraction to be expected
/// (algorithms.md 2.15).
double expectedNoiseFraction(double noiseScale, double batch);

}  // namespace batchscope::views
