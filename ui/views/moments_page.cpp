#include "ui/views/moments_page.h"

#include <QGridLayout>

namespace batchscope::views {

MomentsPage::MomentsPage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  coefficient_ = new CurveChart(tr("Moment decay coefficient c"), link, this);
  coefficient_->setHelp(
      tr("PMD-LAMB's periodical factor on the memory of both moments; 1: plain LAMB."));
  betas_ = new CurveChart(tr("Effective betas"), link, this);
  betas_->setHelp(
      tr("Weight of the history in an update: β1·c and β2·c under PMD-LAMB, "
         "the betas themselves else; SGD: its momentum."));
  memory_ = new CurveChart(tr("Memory n_eff"), link, this);
  memory_->setHelp(
      tr("Effective number of gradients that the first and second moment average over."));
  memory_->setLogValues(true);
  first_ = new CurveChart(tr("First moment |m|"), link, this);
  first_->setHelp(tr("L2 norm of the bias-corrected first moment, per module."));
  first_->setLogValues(true);
  second_ = new CurveChart(tr("Second moment |v|"), link, this);
  second_->setHelp(
      tr("L2 norm of the bias-corrected second moment, per module. SGD and LARS have none."));
  second_->setLogValues(true);
  trust_ = new CurveChart(tr("Trust ratio"), link, this);
  trust_->setHelp(
      tr("Mean ratio of weight norm to update norm over a module's adapted tensors (LARS, LAMB "
         "family)."));
  trust_->setLogValues(true);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(8, 8, 8, 8);
  grid->setSpacing(6);
  const QList<CurveChart*> charts = {coefficient_, betas_, memory_, first_, second_, trust_};
  for (int i = 0; i < charts.size(); ++i) {
    grid->addWidget(charts[i], i / 2, i % 2);
    grid->setRowStretch(i / 2, 1);
  }
  grid->setColumnStretch(0, 1);
  grid->setColumnStretch(1, 1);
}

void MomentsPage::runChanged() {
  session::RunSession* current = run();
  if (current == nullptr) {
    return;
  }
  const auto use = [&](CurveChart* chart, const std::function<QList<SeriesChoice>()>& choices) {
    chart->setSource(runSource(current, choices), runSamples(current, choices));
  };
  use(coefficient_, fixedChoices(current, {{QStringLiteral("pmd_c"), QStringLiteral("c"), 0}}));
  use(betas_,
      fixedChoices(current,
                   {{QStringLiteral("beta1_eff"), tr("β1 effective"), 0},
                    {QStringLiteral("beta2_eff"), tr("β2 effective"), 1}}));
  use(memory_,
      fixedChoices(current,
                   {{QStringLiteral("n_eff_m"), tr("first moment"), 0},
                    {QStringLiteral("n_eff_v"), tr("second moment"), 1}}));
  use(first_, moduleChoices(current, QStringLiteral("m_norm/")));
  use(second_, moduleChoices(current, QStringLiteral("v_norm/")));
  use(trust_, moduleChoices(current, QStringLiteral("trust/")));
}

void MomentsPage::dataChanged() {
  const QString waiting = waitingText();
  const auto text = [&](const QString& none) { return waiting.isEmpty() ? none : waiting; };
  coefficient_->setEmptyText(text(tr("No decay: the run has not used PMD-LAMB yet.")));
  betas_->setEmptyText(text(tr("This run recorded no moments.")));
  memory_->setEmptyText(text(tr("This run recorded no moments.")));
  first_->setEmptyText(text(tr("This run recorded no moments.")));
  second_->setEmptyText(text(tr("No second moment: the optimizer so far keeps none.")));
  trust_->setEmptyText(text(tr("No trust ratio: the optimizer so far uses none.")));
}

}  // namespace batchscope::views
