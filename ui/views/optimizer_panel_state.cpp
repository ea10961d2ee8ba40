// The part of OptimizerPanel that shows: what is in force, what would change, what became of it.
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/session/playhead.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/shadow_box.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>

#include <cmath>

namespace batchscope::views {

namespace {

QString withModifier(const QString& method, bool agvm) {
  return optimizerTitle(agvm ? method + QStringLiteral(" + agvm") : method);
}

/// The rate of an update is not the base rate in warm-up and decay.
QString ratesText(const session::StatusItem& status) {
  const bool same =
      !std::isfinite(status.lrInUse) || std::abs(status.lrInUse - status.lr) <= 1e-6 * status.lr;
  return same ? OptimizerPanel::tr("lr %1").arg(formatNumber(status.lr))
              : OptimizerPanel::tr("lr %1 in use, base %2")
                    .arg(formatNumber(status.lrInUse), formatNumber(status.lr));
}

}  // namespace

void OptimizerPanel::showNow() {
  if (!run_) {
    inForce_->setText(tr("In force"));
    now_->setText(tr("No run"));
    nowFacts_->setText(tr("Open a live run to control it."));
    control_->hide();
    lrNow_->hide();
    return;
  }
  const session::StatusItem here = run_->statusAtPlayhead();
  const session::StatusItem& now = run_->status();
  const bool following = run_->playhead()->isFollowing();
  const bool can = run_->canControl();
  const bool told = !here.optimizer.isEmpty();
  inForce_->setText(following ? tr("In force")
                              : tr("In force at step %1").arg(formatCount(here.step)));
  now_->setText(told ? withModifier(here.method(), here.agvm) : tr("Not known yet"));
  nowFacts_->setText(
      told ? tr("%1\nbatch %2")
                 .arg(ratesText(here),
                      session::effectiveBatchText(here.micro, here.accumulation, here.ranks))
           : QString());
  control_->setVisible(!can || !following);
  control_->setText(!run_->isLive() ? tr("This run has ended: viewing only.")
                    : !can          ? run_->client()->reason()
                                    : tr("A change acts on the training of now, at step %1.")
                                 .arg(formatCount(run_->newestStep())));
  const QString base = tr("base now %1").arg(formatNumber(now.lr));
  const bool told_rate = can && std::isfinite(now.lrInUse);
  lrNow_->setText(!can        ? QString()
                  : told_rate ? tr("%1, in use %2").arg(base, formatNumber(now.lrInUse))
                              : base);
  lrNow_->setVisible(can);
}

session::StatusItem OptimizerPanel::formStatus() const {
  if (!run_) {
    return {};
  }
  return run_->canControl() ? run_->status() : run_->statusAtPlayhead();
}

void OptimizerPanel::refresh() {
  const bool open = run_ != nullptr;
  const bool can = open && run_->canControl();
  const session::StatusItem status = formStatus();
  if (open) {
    followSpec();
  }
  if (!touched_ && open && !status.optimizer.isEmpty() && !busy()) {
    const QSignalBlocker one(method_);
    const QSignalBlocker two(agvm_);
    const int at = method_->findData(status.method());
    if (at >= 0 && (at != method_->currentIndex() || agvm_->isChecked() != status.agvm)) {
      method_->setCurrentIndex(at);
      agvm_->setChecked(status.agvm);
      showParameters();
    }
  }
  showNow();
  const bool changes = open && differs();
  const QString from = withModifier(status.method(), status.agvm);
  const QString to = withModifier(method_->currentData().toString(), agvm_->isChecked());
  const QString lr =
      lr_->text().trimmed().isEmpty() ? formatNumber(status.lr) : lr_->text().trimmed();
  change_->setText(
      !changes ? tr("Nothing is changed yet.")
               : tr("%1 → %2, base lr %3 → %4, at the next step. A restore point is written first.")
                     .arg(from, to, formatNumber(status.lr), lr));
  apply_->setEnabled(can && changes && !busy());
  preview_->setEnabled(can && changes && !busy());
  const session::EventItem target = open ? run_->undoTarget() : session::EventItem{};
  undo_->setEnabled(can && target.id != 0 && !busy());
  undoText_->setText(target.id != 0
                         ? tr("Back to step %1: %2").arg(formatCount(target.step), target.text)
                         : tr("Nothing to undo."));
  for (QPushButton* button : {half_, twice_, setLr_}) {
    button->setEnabled(can && !busy());
  }
  shadows_->setShadows(shadows(), can && !busy());
  showLog();
}

void OptimizerPanel::showLog() {
  const session::CommandLog::Entry entry =
      run_ ? run_->commandLog()->latest() : session::CommandLog::Entry{};
  if (entry.command.isEmpty()) {
    state_->clear();
    state_->hide();
    return;
  }
  using State = session::CommandLog::State;
  QString text;
  const char* tone = "muted";
  switch (entry.state) {
    case State::kPending:
    case State::kTaken:
      text = tr("Pending: %1").arg(entry.command);
      tone = "warn";
      break;
    case State::kApplied:
      if (entry.preview) {
        text = tr("Preview only, nothing has changed: %1").arg(entry.command);
        break;
      }
      text = entry.step >= 0
                 ? tr("Applied at step %1: %2").arg(formatCount(entry.step), entry.command)
                 : tr("Done: %1").arg(entry.command);
      tone = "good";
      break;
    case State::kRefused:
      text = tr("Refused: %1").arg(entry.reason);
      tone = "bad";
      break;
    case State::kNoAnswer:
    case State::kLost:
      text = entry.reason;
      tone = "warn";
      break;
  }
  for (const char* each : {"muted", "good", "warn", "bad"}) {
    setStyleProperty(state_, each, each == tone);
  }
  state_->setText(text);
  state_->setToolTip(entry.detail);
  state_->show();
}

}  // namespace batchscope::views
