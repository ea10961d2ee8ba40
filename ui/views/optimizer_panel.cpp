#include "ui/views/optimizer_panel.h"

#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/session/playhead.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/preview_dialog.h"
#include "ui/views/shadow_box.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QMessageBox>
#include <QPushButton>
#include <QTableView>

namespace batchscope::views {

namespace {

using session::CommandLog;

template <typename Enum>
Enum enumOf(const QComboBox* box) {
  return static_cast<Enum>(box->currentData().toInt());
}

}  // namespace

void OptimizerPanel::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
    disconnect(run_->client(), nullptr, this, nullptr);
    disconnect(run_->commandLog(), nullptr, this, nullptr);
    disconnect(run_->playhead(), nullptr, this, nullptr);
    log_->setModel(nullptr);
  }
  run_ = run;
  touched_ = false;
  if (run_) {
    using session::RunSession;
    connect(run_, &RunSession::statusChanged, this, &OptimizerPanel::refresh);
    connect(run_, &RunSession::stateChanged, this, &OptimizerPanel::refresh);
    connect(run_, &RunSession::infoChanged, this, &OptimizerPanel::refresh);
    connect(run_, &RunSession::eventsChanged, this, &OptimizerPanel::refresh);
    connect(run_, &RunSession::pendingChanged, this, &OptimizerPanel::refresh);
    connect(run_, &RunSession::dataChanged, this, &OptimizerPanel::showNow);
    connect(run_->playhead(), &session::Playhead::followingChanged, this, &OptimizerPanel::refresh);
    connect(run_->client(), &session::EngineClient::stateChanged, this, &OptimizerPanel::refresh);
    connect(run_->commandLog(), &CommandLog::entryChanged, this, [this](qint64 id) {
      showDetail(id);
      refresh();
    });
    log_->setModel(run_->commandLog());
    log_->setColumnHidden(CommandLog::kTimeColumn, true);
  }
  refresh();
}

bool OptimizerPanel::busy() const {
  return run_ && run_->commandLog()->pendingCount() > 0;
}

void OptimizerPanel::chooseMethod(const QString& name) {
  const int at = method_->findData(name);
  if (at >= 0) {
    method_->setCurrentIndex(at);
    touched_ = true;
    refresh();
  }
}

contract::OptimizerCommand OptimizerPanel::command() const {
  contract::OptimizerCommand command;
  const session::StatusItem status = formStatus();
  const QString method = method_->currentData().toString();
  if (method != status.method()) {
    command.name = method.toStdString();
  }
  if (agvm_->isChecked() != status.agvm) {
    command.agvm = agvm_->isChecked();
  }
  bool ok = false;
  const double lr = QLocale().toDouble(lr_->text().trimmed(), &ok);
  const double plain = QLocale::c().toDouble(lr_->text().trimmed(), &ok);
  if (!lr_->text().trimmed().isEmpty()) {
    command.lr = ok ? plain : lr;
  }
  command.state = enumOf<contract::StatePolicy>(policy_);
  command.lr_mapping = enumOf<contract::LrMapping>(mapping_);
  command.decay_mapping = enumOf<contract::DecayMapping>(decay_);
  for (auto it = inputs_.cbegin(); it != inputs_.cend(); ++it) {
    const QString text = inputText(it.value());
    if (!text.isEmpty()) {
      command.set[it.key().toStdString()] = text.toStdString();
    }
  }
  return command;
}

bool OptimizerPanel::differs() const {
  const contract::OptimizerCommand asked = command();
  return asked.name || asked.agvm || asked.lr || !asked.set.empty();
}

QString OptimizerPanel::changeText() const {
  return change_->text();
}

QString OptimizerPanel::stateText() const {
  return state_->text();
}

void OptimizerPanel::apply() {
  if (run_ && apply_->isEnabled()) {
    run_->sendCommand(command());
  }
}

void OptimizerPanel::preview() {
  if (run_ && preview_->isEnabled()) {
    contract::OptimizerCommand asked = command();
    asked.dry_run = true;
    previewId_ = run_->sendCommand(asked);
  }
}

void OptimizerPanel::undo() {
  if (!run_ || !run_->canControl()) {
    return;
  }
  const session::EventItem target = run_->undoTarget();
  const auto answer =
      QMessageBox::question(this,
                            tr("Undo the last change"),
                            tr("Take back “%1” and go on from step %2?\n\nThe steps since then "
                               "stay in the record as an abandoned branch.")
                                .arg(target.text, formatCount(target.step)),
                            QMessageBox::Yes | QMessageBox::Cancel,
                            QMessageBox::Yes);
  if (answer == QMessageBox::Yes && run_) {
    run_->sendCommand(contract::UndoCommand{});
  }
}

void OptimizerPanel::scaleLr(double factor) {
  if (run_ && run_->canControl() && run_->status().lr > 0) {
    run_->sendCommand(contract::LrCommand{run_->status().lr * factor});
  }
}

void OptimizerPanel::setLr() {
  bool ok = false;
  double value = QLocale::c().toDouble(newLr_->text().trimmed(), &ok);
  if (!ok) {
    value = QLocale().toDouble(newLr_->text().trimmed(), &ok);
  }
  setStyleProperty(newLr_, "invalid", !ok || value <= 0);
  if (!ok || value <= 0) {
    newLr_->setToolTip(tr("Expected a number above 0."));
    return;
  }
  if (run_ && run_->canControl()) {
    run_->sendCommand(contract::LrCommand{value});
    newLr_->clear();
  }
}

void OptimizerPanel::showDetail(qint64 id) {
  const CommandLog::Entry entry = run_->commandLog()->latest();
  if (entry.id != id) {
    return;
  }
  const bool bad = entry.state == CommandLog::State::kRefused;
  if (id == shadowId_) {
    shadows_->setFault(bad ? entry.field : QString());
    if (entry.state == CommandLog::State::kApplied) {
      shadows_->clearInput();
    }
    return;
  }
  QWidget* culprit = inputs_.value(entry.field);
  if (entry.field == QLatin1String("lr") || entry.field == QLatin1String("optim.lr")) {
    culprit = lr_;
  } else if (entry.field == QLatin1String("name")) {
    culprit = method_;
  }
  if (culprit != nullptr) {
    setStyleProperty(culprit, "invalid", bad);
  }
  if (entry.state == CommandLog::State::kApplied && id != previewId_) {
    // Only now: a refused change stays in the form, to be mended.
    touched_ = false;
    lr_->clear();
    for (QWidget* input : std::as_const(inputs_)) {
      setInput(input, {});
    }
  }
  if (id == previewId_ && entry.state == CommandLog::State::kApplied) {
    previewId_ = -1;
    // This is a slot of the connection: it must not wait for a person.
    if (!previewDialog_) {
      previewDialog_ = new PreviewDialog(this);
    }
    previewDialog_->showAnswer(entry.command, entry.step, entry.detail);
  }
}

}  // namespace batchscope::views
