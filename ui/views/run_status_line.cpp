#include "ui/views/run_status_line.h"

#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/session/playhead.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/widgets.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>

#include <algorithm>
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
  message_ = new QLabel(this);
  message_->setTextFormat(Qt::PlainText);
  message_->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  progress_ = new QProgressBar(this);
  progress_->setRange(0, 1000);
  progress_->setTextVisible(false);
  progress_->setFixedWidth(110);
  progress_->setAccessibleName(tr("Progress"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(8, 0, 0, 0);
  row->setSpacing(0);
  for (QWidget* widget : std::initializer_list<QWidget*>{
           icon_, state_, step_, progress_, speed_, eta_, cost_, pending_}) {
    row->addWidget(widget);
  }
  row->addWidget(message_, 1);
  connect(&Theme::instance(), &Theme::changed, this, &RunStatusLine::refresh);
  refresh();
}

void RunStatusLine::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
    disconnect(run_->playhead(), nullptr, this, nullptr);
  }
  run_ = run;
  if (run_) {
    using session::RunSession;
    for (const auto signal :
         {&RunSession::statusChanged, &RunSession::infoChanged, &RunSession::dataChanged}) {
      connect(run_, signal, this, &RunStatusLine::refresh);
    }
    connect(run_, &RunSession::stateChanged, this, &RunStatusLine::refresh);
    connect(run_, &RunSession::pendingChanged, this, &RunStatusLine::refresh);
    connect(run_->playhead(), &session::Playhead::followingChanged, this, &RunStatusLine::refresh);
  }
  refresh();
}

QString RunStatusLine::text() const {
  return QStringList{state_->text(), step_->text(), speed_->text(), eta_->text()}.join(
      QLatin1Char(' '));
}

void RunStatusLine::setMessage(const QString& text) {
  messageText_ = text;
  message_->setAccessibleName(text);
  fit();
}

void RunStatusLine::refresh() {
  const bool open = run_ != nullptr;
  icon_->setVisible(open);
  if (open) {
    fillFigures(run_->statusAtPlayhead());
  } else {
    state_->setText(tr("No run is open."));
    for (QLabel* label : {step_, speed_, eta_, cost_, pending_}) {
      label->clear();
    }
  }
  fit();
}

void RunStatusLine::fillFigures(const session::StatusItem& status) {
  icon_->setPixmap(
      icon(session::stateIcon(status.state), tintOf(status.state)).pixmap(QSize(16, 16)));
  const bool phase = run_->isLive() && !status.phase.isEmpty() && status.phase != status.word;
  state_->setText(phase ? QStringLiteral("%1 (%2)").arg(status.word, status.phase) : status.word);
  state_->setToolTip(status.evidence);
  const QString step = formatCount(status.step), steps = formatCount(status.steps);
  const bool now = run_->playhead()->isFollowing();
  step_->setText(status.steps > 0
                     ? (now ? tr("Step %1 of %2") : tr("At step %1 of %2")).arg(step, steps)
                     : (now ? tr("Step %1") : tr("At step %1")).arg(step));
  progress_->setValue(status.steps > 0 ? static_cast<int>(1000 * status.step / status.steps) : 0);
  const bool fast = std::isfinite(status.imagesPerSecond);
  speed_->setText(fast ? tr("%1 pictures/s").arg(formatNumber(status.imagesPerSecond, 3))
                       : QString());
  eta_->setText(run_->isLive() && std::isfinite(status.etaSeconds)
                    ? tr("%1 left").arg(formatDuration(status.etaSeconds))
                    : QString());
  const session::SampleItem cost = run_->sampleAtPlayhead(QStringLiteral("diagnostics_percent"));
  cost_->setText(cost.valid && std::isfinite(cost.value)
                     ? tr("diagnostics %1 %").arg(formatNumber(cost.value, 2))
                     : QString());
  const int waiting = run_->commandLog()->pendingCount();
  pending_->setText(waiting > 0                             ? tr("%1 pending").arg(waiting)
                    : run_->isLive() && !run_->canControl() ? run_->client()->reason()
                                                            : QString());
}

void RunStatusLine::fit() {
  const bool message = !messageText_.isEmpty();
  int room = width() - layout()->contentsMargins().left();
  const auto take = [&](QWidget* widget, bool wanted) {
    const bool fits = widget->sizeHint().width() <= room;
    widget->setVisible(wanted && fits);
    room -= wanted && fits ? widget->sizeHint().width() : 0;
  };
  take(icon_, run_ != nullptr);
  take(state_, true);
  take(step_, !step_->text().isEmpty());
  if (message) {
    // What is said is read now; the figures come back after it.
    const int needed = fontMetrics().horizontalAdvance(messageText_) + 2 * fontMetrics().height();
    room -= std::min(needed, room);
  }
  take(pending_, !pending_->text().isEmpty());
  take(progress_, run_ && run_->status().steps > 0);
  for (QLabel* label : {speed_, eta_, cost_}) {
    take(label, !label->text().isEmpty());
  }
  layout()->activate();
  const int inner = message_->width() - 2 * fontMetrics().averageCharWidth() - 8;
  message_->setText(fontMetrics().elidedText(messageText_, Qt::ElideRight, inner));
  message_->setToolTip(messageText_);
}

QSize RunStatusLine::minimumSizeHint() const {
  return {state_->sizeHint().width(), QWidget::minimumSizeHint().height()};
}

void RunStatusLine::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  fit();
}

}  // namespace batchscope::views
