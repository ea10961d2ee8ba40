#include "ui/views/moments_page.h"

#include "ui/views/shadow_section.h"

#include <QGridLayout>
#include <QStackedWidget>
#include <QTabBar>
#include <QVBoxLayout>

namespace batchscope::views {

MomentsPage::MomentsPage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  tabs_ = new QTabBar(this);
  tabs_->setObjectName(QStringLiteral("momentsTabs"));
  tabs_->setAccessibleName(tr("Moments or shadow optimizers"));
  tabs_->setDrawBase(false);
  tabs_->setExpanding(false);
  tabs_->addTab(tr("Own moments"));
  tabs_->addTab(tr("Shadow optimizers"));
  tabs_->setTabToolTip(
      1, tr("Other optimizers fed the same gradients, which never touch the weights"));
  shadows_ = new ShadowSection(link, this);
  stack_ = new QStackedWidget(this);
  stack_->addWidget(makeMoments());
  stack_->addWidget(shadows_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(8, 4, 8, 8);
  column->setSpacing(4);
  column->addWidget(tabs_);
  column->addWidget(stack_, 1);
  connect(tabs_, &QTabBar::currentChanged, stack_, &QStackedWidget::setCurrentIndex);
}

void MomentsPage::showShadows(bool on) {
  tabs_->setCurrentIndex(on ? 1 : 0);
}

QWidget* MomentsPage::makeMoments() {
  auto* body = new QWidget(this);
  memory_ = new CurveChart(tr("Memory n_eff (gradients)"), link(), body);
  memory_->setHelp(
      tr("Effective number of gradients that the first and second moment average over.\n"
         "Dotted: the horizon 1/(1 − β) of the effective betas, which a mean would reach if they "
         "stayed."));
  memory_->setLogValues(true);
  betas_ = new CurveChart(tr("Moment decay c and effective betas"), link(), body);
  betas_->setHelp(
      tr("c: PMD-LAMB's periodical factor on the memory of both moments; 1: plain LAMB.\n"
         "Weight of the history in an update: β1·c and β2·c under PMD-LAMB, the betas themselves "
         "else; SGD: its momentum."));
  first_ = new CurveChart(tr("First moment |m|"), link(), body);
  first_->setHelp(tr("L2 norm of the bias-corrected first moment, per module."));
  first_->setLogValues(true);
  second_ = new CurveChart(tr("Second moment |v|"), link(), body);
  second_->setHelp(
      tr("L2 norm of the bias-corrected second moment, per module. SGD and LARS have none."));
  second_->setLogValues(true);
  trust_ = new CurveChart(tr("Trust ratio"), link(), body);
  trust_->setHelp(
      tr("Mean ratio of weight norm to update norm over a module's adapted tensors (LARS, LAMB "
         "family)."));
  trust_->setLogValues(true);
  clamped_ = new CurveChart(tr("Clamped tensors"), link(), body);
  clamped_->setHelp(
      tr("Tensors of a module whose trust ratio was bounded in an update: optim.lamb.trust_min "
         "and trust_max, optim.lars.clip."));
  auto* grid = new QGridLayout(body);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setSpacing(6);
  const QList<CurveChart*> charts = {memory_, betas_, first_, second_, trust_, clamped_};
  for (int i = 0; i < charts.size(); ++i) {
    grid->addWidget(charts[i], i / 2, i % 2);
    grid->setRowStretch(i / 2, i < 2 ? 5 : 4);
  }
  grid->setColumnStretch(0, 1);
  grid->setColumnStretch(1, 1);
  return body;
}

void MomentsPage::runChanged() {
  session::RunSession* current = run();
  shadows_->setRun(current);
  if (current == nullptr) {
    return;
  }
  const auto use = [&](CurveChart* chart, const std::function<QList<SeriesChoice>()>& choices) {
    chart->setSource(runSource(current, choices), runSamples(current, choices));
  };
  use(memory_,
      fixedChoices(current,
                   {{QStringLiteral("n_eff_m"), tr("first moment"), 0},
                    {QStringLiteral("n_eff_v"), tr("second moment"), 1},
                    {QStringLiteral("horizon_m"), tr("1/(1 − β1)"), 0, true},
                    {QStringLiteral("horizon_v"), tr("1/(1 − β2)"), 1, true}}));
  use(betas_,
      fixedChoices(current,
                   {{QStringLiteral("pmd_c"), QStringLiteral("c"), 2},
                    {QStringLiteral("beta1_eff"), tr("β1 effective"), 0},
                    {QStringLiteral("beta2_eff"), tr("β2 effective"), 1}}));
  use(first_, moduleChoices(current, QStringLiteral("m_norm/")));
  use(second_, moduleChoices(current, QStringLiteral("v_norm/")));
  use(trust_, moduleChoices(current, QStringLiteral("trust/")));
  use(clamped_, moduleChoices(current, QStringLiteral("clamped/")));
}

void MomentsPage::dataChanged() {
  const QString waiting = waitingText();
  const auto text = [&](const QString& none) { return waiting.isEmpty() ? none : waiting; };
  memory_->setEmptyText(text(tr("This run recorded no moments.")));
  betas_->setEmptyText(text(tr("This run recorded no moments.")));
  first_->setEmptyText(text(tr("This run recorded no moments.")));
  second_->setEmptyText(text(tr("No second moment: the optimizer so far keeps none.")));
  trust_->setEmptyText(text(tr("No trust ratio: the optimizer so far uses none.")));
  clamped_->setEmptyText(
      text(tr("No tensor was clamped: the optimizer so far bounds no trust "
              "ratio, or this run does not record it.")));
  shadows_->setEmptyText(
      text(tr("This run has no shadow optimizers: [[optim.shadow]] in its spec names them, and the "
              "optimizer panel adds one to a run that goes on.")));
  shadows_->refreshChoices();
}

}  // namespace batchscope::views
