#pragma once

#include "ui/views/run_page.h"

class QStackedWidget;
class QTabBar;

namespace batchscope::views {

class ShadowSection;

/// How much the moments remember, what decays them, their norms, trust ratios; and, behind a second
/// tab, the shadow optimizers.
class MomentsPage : public RunPage {
  Q_OBJECT
 public:
  explicit MomentsPage(ChartLink* link, QWidget* parent = nullptr);
  /// Shows the shadow optimizers (or the moments again).
  void showShadows(bool on);

 protected:
  void runChanged() override;
  void dataChanged() override;

 private:
  QWidget* makeMoments();

  QTabBar* tabs_;
  QStackedWidget* stack_;
  ShadowSection* shadows_;
  CurveChart *memory_, *betas_, *first_, *second_, *trust_, *clamped_;
};

}  // namespace batchscope::views
