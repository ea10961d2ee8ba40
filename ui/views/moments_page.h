#pragma once

#include "ui/views/run_page.h"

namespace batchscope::views {

/// PMD-LAMB's coefficient, effective betas, memory length, moment norms, trust ratios and module
/// learning rates.
class MomentsPage : public RunPage {
  Q_OBJECT
 public:
  explicit MomentsPage(ChartLink* link, QWidget* parent = nullptr);

 protected:
  void runChanged() override;
  void dataChanged() override;

 private:
  CurveChart *coefficient_, *betas_, *memory_, *first_, *second_, *trust_;
};

}  // namespace batchscope::views
