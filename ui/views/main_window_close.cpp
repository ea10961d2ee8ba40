// The part of MainWindow that closes it beside trainings that go on.
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/views/main_window.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QElapsedTimer>
#include <QMessageBox>
#include <QProgressDialog>
#include <QPushButton>
#include <QSettings>
#include <QTimer>

#include <algorithm>

namespace batchscope::views {

namespace {

constexpr int kStopPollMs = 50;
const QString kAnswer = QStringLiteral("close");

/// One training that is asked to stop, as soon as its engine can be reached.
struct Stopping {
  QPointer<session::RunSession> run;
  QString name;
  qint64 command = -1;  // sent under this number

  /// The engine has the word, or there is none any more.
  bool done() {
    if (!run || !run->isLive()) {
      return true;
    }
    if (command < 0 && run->canControl()) {
      command = run->sendCommand(contract::StopCommand{contract::StopMode::kSave});
    }
    using State = session::CommandLog::State;
    for (const session::CommandLog::Entry& entry : run->commandLog()->entries()) {
      if (entry.id == command) {
        return entry.state == State::kTaken || entry.state == State::kApplied;
      }
    }
    return false;
  }
  QString reason() const {
    const QString why = run ? run->client()->reason() : QString();
    return why.isEmpty() ? MainWindow::tr("The engine has not taken the command.") : why;
  }
};

}  // namespace

QList<session::RunSession*> MainWindow::liveRuns() const {
  QList<session::RunSession*> live;
  for (session::RunSession* run : sessions_) {
    // Before the first read nothing is known of a run.
    if (run->state() != session::RunSession::State::kOpening && run->isLive()) {
      live.append(run);
    }
  }
  return live;
}

QString MainWindow::askAboutLiveRuns(const QList<session::RunSession*>& live) {
  QMessageBox box(
      QMessageBox::Question,
      tr("Training goes on"),
      live.size() == 1
          ? tr("“%1” keeps training without this window.").arg(live.first()->info().name)
          : tr("%1 runs keep training without this window.").arg(live.size()),
      QMessageBox::NoButton,
      this);
  box.setInformativeText(tr("Starting Batchscope again attaches to it."));
  QPushButton* keep = box.addButton(tr("&Keep running"), QMessageBox::AcceptRole);
  QPushButton* stop = box.addButton(tr("&Stop and save"), QMessageBox::DestructiveRole);
  box.addButton(QMessageBox::Cancel);
  box.setDefaultButton(keep);
  auto* remember = new QCheckBox(tr("&Remember this answer"), &box);
  remember->setToolTip(tr("Edit > Ask again on closing takes it back"));
  box.setCheckBox(remember);
  box.exec();
  if (box.clickedButton() != keep && box.clickedButton() != stop) {
    return {};
  }
  QString answer = box.clickedButton() == keep ? QStringLiteral("keep") : QStringLiteral("stop");
  if (remember->isChecked()) {
    openSettings()->setValue(kAnswer, answer);
    showAnswerToClosing();
  }
  return answer;
}

void MainWindow::showAnswerToClosing() {
  (*actions_)["ask_closing"]->setEnabled(openSettings()->contains(kAnswer));
}

void MainWindow::askAgainOnClosing() {
  openSettings()->remove(kAnswer);
  showAnswerToClosing();
  note(tr("Closing asks again what becomes of trainings."));
}

bool MainWindow::stopRuns(const QList<session::RunSession*>& live) {
  QList<Stopping> stopping;
  for (session::RunSession* run : live) {
    stopping.append({run, run->info().name});
  }
  const auto allDone = [&] {
    bool done = true;
    for (Stopping& one : stopping) {
      done = one.done() && done;
    }
    return done;
  };
  // Only until the engines have the word; saving is their business. Nothing else can be done with
  // the window meanwhile.
  QProgressDialog wait(tr("Asking the training to stop and save…"), tr("Do not wait"), 0, 0, this);
  wait.setWindowTitle(tr("Stop and save"));
  wait.setWindowModality(Qt::ApplicationModal);
  QElapsedTimer since;
  since.start();
  QTimer poll;
  connect(&poll, &QTimer::timeout, &wait, [&] {
    if (allDone() || since.elapsed() > stopPatienceMs_) {
      wait.accept();
    }
  });
  poll.start(kStopPollMs);
  if (!allDone()) {
    wait.exec();
  }
  for (Stopping& one : stopping) {
    if (!one.done()) {
      const QMessageBox::StandardButton close = QMessageBox::warning(
          this,
          tr("Not stopped"),
          tr("“%1” was not stopped: %2 It keeps training when this window closes.")
              .arg(one.name, one.reason()),
          QMessageBox::Close | QMessageBox::Cancel,
          QMessageBox::Cancel);
      if (close != QMessageBox::Close) {
        return false;
      }
    }
  }
  return true;
}

bool MainWindow::confirmClose() {
  const QList<session::RunSession*> live = liveRuns();
  if (live.isEmpty()) {
    return true;
  }
  QString answer = openSettings()->value(kAnswer).toString();
  if (answer.isEmpty()) {
    answer = askAboutLiveRuns(live);
  }
  // What was live when it was asked may have ended, or been closed, since.
  return answer == QLatin1String("stop") ? stopRuns(liveRuns()) : !answer.isEmpty();
}

}  // namespace batchscope::views
