#include "ui/views/run_page.h"

namespace batchscope::views {

namespace {

constexpr int kPageRefreshMs = 120;

}  // namespace

RunPage::RunPage(ChartLink* link, QWidget* parent) : QWidget(parent), link_(link) {
  timer_.setSingleShot(true);
  timer_.setInterval(kPageRefreshMs);
  connect(&timer_, &QTimer::timeout, this, &RunPage::refresh);
  connect(link, &ChartLink::kindChanged, this, &RunPage::schedule);
  connect(link, &ChartLink::rangeChanged, this, &RunPage::schedule);
}

void RunPage::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
  }
  run_ = run;
  if (run_) {
    using session::RunSession;
    connect(run_, &RunSession::dataChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::infoChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::eventsChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::evalsChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::probesChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::statusChanged, this, &RunPage::schedule);
    connect(run_, &RunSession::stateChanged, this, &RunPage::schedule);
  }
  runChanged();
  dirty_ = true;
  if (isVisible()) {
    refresh();
  }
}

QString RunPage::waitingText() const {
  if (!run_) {
    return tr("No run is open.");
  }
  switch (run_->state()) {
    case session::RunSession::State::kOpening:
      return tr("Reading the run…");
    case session::RunSession::State::kFailed:
      return run_->failure();
    case session::RunSession::State::kWaiting: {
      const QString phase = run_->status().phase;
      return phase.isEmpty() ? tr("Waiting for the first step.")
                             : tr("Waiting for the first step (%1).").arg(phase);
    }
    default:
      return {};
  }
}

void RunPage::schedule() {
  dirty_ = true;
  if (isVisible() && !timer_.isActive()) {
    timer_.start();
  }
}

void RunPage::refresh() {
  dirty_ = false;
  for (CurveChart* chart : charts()) {
    chart->refresh();
  }
  dataChanged();
}

void RunPage::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  if (dirty_) {
    refresh();
  }
}

}  // namespace batchscope::views
