// The part of ForkDialog that says what would be started, from where, and why not.
#include "ui/views/fork_dialog.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSpinBox>

namespace batchscope::views {

session::LaunchRequest ForkDialog::request() const {
  session::LaunchRequest request;
  request.library = library_;
  request.fork.run = run_->path();
  request.fork.step = now_->isChecked() ? -1 : step_->value();
  for (const session::ForkChildRow& row : children()) {
    request.fork.children.append(session::childText(row));
  }
  request.fork.seeds = session::seedList(seeds_->text());
  request.fork.state = state_->currentData().toString();
  request.fork.lrMapping = mapping_->currentData().toString();
  request.fork.atOnce = atOnce_->isChecked();
  return request;
}

QString ForkDialog::fault() const {
  if (QString engine = launcher_->engineFault(); !engine.isEmpty()) {
    return engine;
  }
  return session::forkFault(run_->info().specToml, children(), seeds_->text());
}

QString ForkDialog::originText() const {
  if (now_->isChecked()) {
    return tr(
        "Weights, optimizer state and coming pictures are those of the training as it is "
        "now; the training itself goes on.");
  }
  const std::int64_t step = step_->value(), saved = run_->savedStep(step, false);
  const QString what = tr("Weights, optimizer state and coming pictures are those after update %1, "
                          "before any change made there. ")
                           .arg(step);
  if (saved == step) {
    return what + tr("That state is saved.");
  }
  if (saved < 0) {
    return what + tr("No state is saved up to there: the updates from the first on are executed "
                     "again and checked against the record.");
  }
  return what + tr("The newest state saved up to there is of step %1: the updates since are "
                   "executed again and checked against the record.")
                    .arg(saved);
}

void ForkDialog::refresh() {
  if (start_ == nullptr) {
    return;
  }
  step_->setEnabled(!now_->isChecked());
  origin_->setText(originText());
  const QString wrong = fault();
  fault_->setText(wrong);
  fault_->setVisible(!wrong.isEmpty());
  setStyleProperty(fault_, "bad", !launcher_->engineIsComing());
  start_->setEnabled(wrong.isEmpty());
  start_->setToolTip(wrong);
  command_->setPlainText(launcher_->commandLine(request()));
  refusal_->setVisible(!refused_.isEmpty() && command_->toPlainText() == refused_);
}

void ForkDialog::showRefused(const QString& sentence, const QString& words) {
  refusal_->setMessage(Banner::Kind::kBad, sentence, words);
  refused_ = command_->toPlainText();
  refusal_->show();
}

}  // namespace batchscope::views
