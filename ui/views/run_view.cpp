#include "ui/views/run_view.h"

#include "ui/views/compare_page.h"
#include "ui/views/moments_page.h"
#include "ui/views/overview_page.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_banners.h"
#include "ui/views/samples_page.h"
#include "ui/views/theme.h"
#include "ui/views/variance_page.h"

#include <QTabBar>
#include <QTabWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr std::int64_t kLeastPlace = 20;  // updates that are shown before a place

double placeOf(const session::SampleItem& row, session::XKind kind) {
  switch (kind) {
    case session::XKind::kStep:
      break;
    case session::XKind::kImages:
      return static_cast<double>(row.images);
    case session::XKind::kSeconds:
      return row.seconds;
  }
  return static_cast<double>(row.step);
}

}  // namespace

RunView::RunView(session::RunCompare* compare, QWidget* parent) : QWidget(parent) {
  banners_ = new RunBanners(this);
  tabs_ = new QTabWidget(this);
  tabs_->setDocumentMode(true);
  tabs_->setAccessibleName(tr("Pages"));
  tabs_->tabBar()->setAccessibleName(tr("Pages"));
  auto* overview = new OverviewPage(&runLink_, tabs_);
  auto* variance = new VariancePage(&runLink_, tabs_);
  auto* moments = new MomentsPage(&runLink_, tabs_);
  auto* samples = new SamplesPage(&runLink_, tabs_);
  comparePage_ = new ComparePage(compare, &compareLink_, tabs_);
  pages_ = {overview, variance, moments, samples};
  tabs_->addTab(overview, icon(QStringLiteral("overview")), tr("Overview"));
  tabs_->addTab(variance, icon(QStringLiteral("variance")), tr("Variance"));
  tabs_->addTab(moments, icon(QStringLiteral("moments")), tr("Moments"));
  tabs_->addTab(samples, icon(QStringLiteral("samples")), tr("Samples"));
  tabs_->addTab(comparePage_, icon(QStringLiteral("compare")), tr("Compare"));
  replay_ = new ReplayBar(this);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  column->addWidget(banners_);
  column->addWidget(tabs_, 1);
  column->addWidget(replay_);
  connect(banners_, &RunBanners::continueWanted, this, &RunView::continueWanted);
  connect(banners_, &RunBanners::rescueWanted, this, &RunView::rescueWanted);
  connect(banners_, &RunBanners::placeWanted, this, &RunView::showPlace);
  connect(overview, &OverviewPage::samplesWanted, this, [this] {
    showPage(QStringLiteral("samples"));
  });
  connect(comparePage_, &ComparePage::addWanted, this, &RunView::compareAddWanted);
  for (const auto& [from, to] :
       {std::pair{&runLink_, &compareLink_}, std::pair{&compareLink_, &runLink_}}) {
    connect(
        from, &ChartLink::kindChanged, to, [from = from, to = to] { to->setKind(from->kind()); });
    connect(from, &ChartLink::smoothingChanged, to, [from = from, to = to] {
      to->setSmoothing(from->smoothing());
    });
  }
  connect(tabs_, &QTabWidget::currentChanged, this, [this] {
    replay_->setVisible(page() != comparePage_);
    banners_->setSuspended(page() == comparePage_);
  });
}

void RunView::showPlace(std::int64_t step) {
  if (run_ == nullptr) {
    return;
  }
  run_->seekToStep(step);
  const session::XKind kind = runLink_.kind();
  const double at = placeOf(run_->rowAtStep(step), kind);
  const std::int64_t width = std::max(kLeastPlace, step / 5);
  const double low = placeOf(run_->rowAtStep(std::max<std::int64_t>(1, step - width)), kind);
  if (std::isfinite(low) && at > low) {
    runLink_.setRange(AxisRange{low, at + (at - low) / 4});
  }
  runLink_.setCursor(at, nullptr);
}

void RunView::setRun(session::RunSession* run) {
  run_ = run;
  runLink_.forget();
  banners_->setRun(run);
  for (RunPage* page : std::as_const(pages_)) {
    page->setRun(run);
  }
  replay_->setRun(run);
}

ChartLink* RunView::link() {
  return page() == comparePage_ ? &compareLink_ : &runLink_;
}

QStringList RunView::pageNames() {
  return {QStringLiteral("overview"),
          QStringLiteral("variance"),
          QStringLiteral("moments"),
          QStringLiteral("samples"),
          QStringLiteral("compare")};
}

bool RunView::showPage(const QString& name) {
  const auto at = pageNames().indexOf(name.toLower());
  if (at >= 0) {
    tabs_->setCurrentIndex(static_cast<int>(at));
  }
  return at >= 0;
}

QString RunView::pageName() const {
  return pageNames().value(tabs_->currentIndex());
}

QWidget* RunView::page() const {
  return tabs_->currentWidget();
}

}  // namespace batchscope::views
