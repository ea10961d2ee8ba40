#include "ui/views/run_status_line.h"

#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/widgets.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>

#include <cmath>

namespace batchscope::views {

namespace {

IconTint tintOf(contract::RunState state) {
  using contract::RunState;
  switch (state) {
    case RunState::kRunning:
    case RunState::kFinished:
      return IconTint::kGood;
    case RunState::kFailed:
    case RunState::kLost:
      return IconTint::kBad;
    case RunState::kPaused:
    case RunState::kStopping:
      return IconTint::kWarn;
    default:
      return IconTint::kMuted;
  }
}

}  // namespace

RunStatusLine::RunStatusLine(QWidget* parent) : QWidget(parent) {
  icon_ = new QLabel(this);
  state_ = new QLabel(this);
  step_ = new QLabel(this);
  speed_ = new QLabel(this);
  eta_ = new QLabel(this);
  cost_ = mutedLabel({}, this);
  pending_ = new QLabel(this);
  pending_->setProperty("warn", true);
  progress_ = new QProgressBar(this);
  progress_->setRange(0, 1000);
  progress_->setTextVisible(false);
  progress_->setFixedWidth(110);
  progress_->setAccessibleName(tr("Progress"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(8, 0, 0, 0);
  row->setSpacing(0);
  row->addWidget(icon_);
  row->addWidget(state_);
  row->addWidget(step_);
  row->addWidget(progress_);
  for (QLabel* label : {speed_, eta_, cost_, pending_}) {
    row->addWidget(label);
  }
  row->addStretch(1);
  refresh();
}

void RunStatusLine::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
  }
  run_ = run;
  if (run_) {
    using session::RunSession;
    for (const auto signal : {&RunSession::statusChanged, &RunSession::infoChanged}) {
      connect(run_, signal, this, &RunStatusLine::refresh);
    }
    connect(run_, &RunSession::stateChanged, this, &RunStatusLine::refresh);
    connect(run_, &RunSession::pendingChanged, this, &RunStatusLine::refresh);
  }
  refresh();
}

QString RunStatusLine::text() const {
  return QStringList{state_->text(), step_->text(), speed_->text(), eta_->text()}.join(
      QLatin1Char(' '));
}

void RunStatusLine::refresh() {
  const bool open = run_ != nullptr;
  for (QWidget* widget :
       std::initializer_list<QWidget*>{icon_, step_, progress_, speed_, eta_, cost_, pending_}) {
    widget->setVisible(open);
  }
  if (!open) {
    state_->setText(tr("No run is open."));
    return;
  }
  const session::StatusItem& status = run_->status();
  icon_->setPixmap(
      icon(session::stateIcon(status.state), tintOf(status.state)).pixmap(QSize(16, 16)));
  const bool phase = run_->isLive() && !status.phase.isEmpty() && status.phase != status.word;
  state_->setText(phase ? QStringLiteral("%1 (%2)").arg(status.word, status.phase) : status.word);
  state_->setToolTip(status.evidence);
  step_->setText(status.steps > 0
                     ? tr("Step %1 of %2").arg(formatCount(status.step), formatCount(status.steps))
                     : tr("Step %1").arg(formatCount(status.step)));
  progress_->setVisible(status.steps > 0);
  progress_->setValue(status.steps > 0 ? static_cast<int>(1000 * status.step / status.steps) : 0);
  const bool fast = std::isfinite(status.imagesPerSecond);
  speed_->setText(fast ? tr("%1 pictures/s").arg(formatNumber(status.imagesPerSecond, 3))
                       : QString());
  eta_->setText(run_->isLive() && std::isfinite(status.etaSeconds)
                    ? tr("%1 left").arg(formatDuration(status.etaSeconds))
                    : QString());
  const QPointF range = run_->xRange(session::XKind::kStep);
  const session::SampleItem cost =
      run_->nearest(QStringLiteral("diagnostics_percent"), session::XKind::kStep, range.y());
  cost_->setText(cost.valid && std::isfinite(cost.value)
                     ? tr("diagnostics %1 %").arg(formatNumber(cost.value, 2))
                     : QString());
  const int waiting = run_->commandLog()->pendingCount();
  pending_->setText(waiting > 0                             ? tr("%1 pending").arg(waiting)
                    : run_->isLive() && !run_->canControl() ? run_->client()->reason()
                                                            : QString());
}

}  // namespace batchscope::views
