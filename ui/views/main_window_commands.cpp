// The part of MainWindow that connects the commands.
#include "ui/session/command_log.h"
#include "ui/session/engine_client.h"
#include "ui/session/playhead.h"
#include "ui/views/command_palette.h"
#include "ui/views/main_window.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_view.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QCheckBox>
#include <QClipboard>
#include <QComboBox>
#include <QDockWidget>
#include <QFileDialog>
#include <QInputDialog>
#include <QLineEdit>
#include <QMessageBox>
#include <QSlider>
#include <QStackedWidget>

namespace batchscope::views {

void MainWindow::on(const char* id, const std::function<void()>& slot) {
  connect((*actions_)[id], &QAction::triggered, this, slot);
}

void MainWindow::onChart(const char* id, const std::function<void(CurveChart*)>& slot) {
  on(id, [this, slot] {
    if (chart_) {
      slot(chart_);
    }
  });
}

void MainWindow::connectFileCommands() {
  on("new_run", [this] { newRun(); });
  on("new_from", [this] { newFromThisRun(); });
  on("open", [this] { openWithDialog(); });
  on("open_folder", [this] {
    const QString folder =
        QFileDialog::getExistingDirectory(this, tr("Open a run folder"), model_->library());
    if (!folder.isEmpty()) {
      openRun(folder);
    }
  });
  on("open_library", [this] {
    const QString folder =
        QFileDialog::getExistingDirectory(this, tr("Open a library"), model_->library());
    if (!folder.isEmpty()) {
      options_.library = folder;
      model_->setLibrary(folder);
    }
  });
  const auto demo = [this] {
    const QString path = findDemoRun();
    if (!path.isEmpty()) {
      session::RunSession* run = openRun(path);
      run->playhead()->setSpeed(20);
    }
  };
  on("open_demo", demo);
  (*actions_)["open_demo"]->setEnabled(!findDemoRun().isEmpty());
  on("export_page", [this] { exportPage(); });
  on("copy_command", [this] {
    if (run_) {
      session::LaunchRequest request;
      request.rerun = run_->path();
      request.library = model_->library();
      QApplication::clipboard()->setText(launcher_->commandLine(request));
      note(tr("The command is on the clipboard."));
    }
  });
  on("close_run", [this] { closeRun(); });
  on("quit", [this] { close(); });
  on("choose_engine", [this] { chooseEngine(); });
  on("ask_closing", [this] { askAgainOnClosing(); });
  showAnswerToClosing();
  connectWays(demo);
}

void MainWindow::connectWays(const std::function<void()>& demo) {
  connect(welcome_, &WelcomePage::demoWanted, this, demo);
  connect(welcome_, &WelcomePage::newRunWanted, this, &MainWindow::newRun);
  connect(welcome_, &WelcomePage::openWanted, this, &MainWindow::openWithDialog);
  connect(welcome_, &WelcomePage::runWanted, this, &MainWindow::openRun);
  connect(welcome_, &WelcomePage::engineWanted, this, &MainWindow::chooseEngine);
  connect(runs_, &RunListPanel::openWanted, this, &MainWindow::openRun);
  connect(runs_, &RunListPanel::compareWanted, this, &MainWindow::addToCompare);
  connect(runs_, &RunListPanel::resumeWanted, this, &MainWindow::continueRun);
  connect(runs_, &RunListPanel::newRunWanted, this, &MainWindow::newRun);
  connect(runs_, &RunListPanel::demoWanted, this, demo);
}

void MainWindow::connectRunCommands() {
  const auto send = [this](const contract::CommandBody& body) {
    if (run_ && run_->canControl()) {
      run_->sendCommand(body);
    }
  };
  on("resume", [send] { send(contract::ResumeCommand{}); });
  on("pause", [send] { send(contract::PauseCommand{}); });
  on("stop_save", [send] { send(contract::StopCommand{contract::StopMode::kSave}); });
  on("stop_now", [send] { send(contract::StopCommand{contract::StopMode::kNow}); });
  on("checkpoint", [send] { send(contract::CheckpointCommand{}); });
  on("continue_run", [this] {
    if (run_) {
      continueRun(run_->path());
    }
  });
  on("fork", [this] { forkRun(); });
  on("fan", [this] { openFan(); });
  on("switch_optimizer", [this] {
    showOptimizer();
    optimizer_->methodBox()->setFocus(Qt::ShortcutFocusReason);
  });
  on("toggle_agvm", [this] {
    showOptimizer();
    optimizer_->agvmBox()->toggle();
  });
  on("lr_half", [this] { optimizer_->scaleLr(0.5); });
  on("lr_double", [this] { optimizer_->scaleLr(2); });
  on("undo_change", [this] { optimizer_->undo(); });
  on("accumulation", [this] { changeAccumulation(); });
  on("end_step", [this] { changeEnd(); });
  connect(runView_, &RunView::rescueWanted, this, [this](const session::Rescue& rescue) {
    forkFrom(rescue.step, {rescue.child}, rescue.lrMapping);
  });
  connect(runView_, &RunView::continueWanted, this, [this] {
    if (run_) {
      continueRun(run_->path());
    }
  });
}

void MainWindow::showOptimizer() {
  optimizerDock_->show();
  optimizerDock_->raise();
}

void MainWindow::changeAccumulation() {
  if (!run_ || !run_->canControl()) {
    return;
  }
  const session::StatusItem status = run_->status();
  bool ok = false;
  const int value = QInputDialog::getInt(
      this,
      tr("Accumulation"),
      tr("Micro-batches per rank and step (now %1)")
          .arg(session::effectiveBatchText(status.micro, status.accumulation, status.ranks)),
      static_cast<int>(status.accumulation),
      1,
      1'000'000,
      1,
      &ok);
  if (ok) {
    run_->sendCommand(contract::AccumulationCommand{value});
  }
}

void MainWindow::changeEnd() {
  if (!run_ || !run_->canControl()) {
    return;
  }
  const session::StatusItem status = run_->status();
  bool ok = false;
  const int value =
      QInputDialog::getInt(this,
                           tr("End of run"),
                           tr("Last step of the training (now at step %1)").arg(status.step),
                           static_cast<int>(status.steps),
                           static_cast<int>(status.step) + 1,
                           2'000'000'000,
                           1,
                           &ok);
  if (ok) {
    run_->sendCommand(contract::EndCommand{value});
  }
}

void MainWindow::connectViewCommands() {
  on("undo_view", [this] { runView_->link()->undoRange(); });
  on("redo_view", [this] { runView_->link()->redoRange(); });
  on("filter", [this] {
    runsDock_->show();
    runs_->filter()->setFocus(Qt::ShortcutFocusReason);
  });
  on("palette", [this] { showPalette(); });
  for (const QString& page : RunView::pageNames()) {
    on((QStringLiteral("page_") + page).toLatin1().constData(), [this, page] { showPage(page); });
  }
  connect((*actions_)["full_screen"], &QAction::toggled, this, [this](bool full) {
    full ? showFullScreen() : showNormal();
  });
  const QList<std::pair<const char*, ThemeMode>> themes = {{"theme_system", ThemeMode::kSystem},
                                                           {"theme_light", ThemeMode::kLight},
                                                           {"theme_dark", ThemeMode::kDark}};
  for (const auto& [id, mode] : themes) {
    (*actions_)[id]->setChecked(Theme::instance().mode() == mode);
    on(id, [this, mode = mode] { setTheme(static_cast<int>(mode)); });
  }
  on("text_larger", [this] { scaleText(textSteps_ + 1); });
  on("text_smaller", [this] { scaleText(textSteps_ - 1); });
  on("reset_layout", [this] {
    QMainWindow::restoreState(firstLayout_);
    setRun(run_);
  });
  on("next_pane", [this] { movePane(1); });
  on("previous_pane", [this] { movePane(-1); });
  on("replay_toggle", [this] { runView_->replayBar()->togglePlay(); });
  on("replay_next_event", [this] { runView_->replayBar()->nextEvent(); });
  on("replay_previous_event", [this] { runView_->replayBar()->previousEvent(); });
  on("replay_step_forward", [this] { runView_->replayBar()->stepForward(); });
  on("replay_step_back", [this] { runView_->replayBar()->stepBack(); });
  on("follow_live", [this] { runView_->replayBar()->followLive(); });
  connect(axis_, &QComboBox::currentIndexChanged, this, [this] {
    runView_->link()->setKind(static_cast<session::XKind>(axis_->currentData().toInt()));
  });
  for (ChartLink* link : runView_->links()) {
    connect(link, &ChartLink::kindChanged, this, [this, link] {
      axis_->setCurrentIndex(axis_->findData(static_cast<int>(link->kind())));
    });
  }
  connect(smoothing_, &QSlider::valueChanged, this, [this](int value) {
    runView_->link()->setSmoothing(value / 100.0);
  });
}

void MainWindow::connectCompareAndHelp() {
  const auto add = [this] {
    const QString chosen = runs_->selectedFolder();
    addToCompare(run_ && !compare_->sessions().contains(run_) ? run_->path() : chosen);
  };
  on("compare_add", add);
  connect(runView_, &RunView::compareAddWanted, this, add);
  on("compare_baseline", [this] {
    if (run_) {
      compare_->add(run_);
      compare_->setBaseline(run_);
    }
  });
  on("compare_clear", [this] { compare_->clear(); });
  on("shortcuts", [this] { ShortcutSheet(*actions_, this).exec(); });
  on("diagnose", [this] { showDiagnosis(); });
  on("about", [this] {
    QMessageBox::about(
        this,
        tr("About Batchscope"),
        tr("<b>Batchscope %1</b><br>A laboratory for large-batch detection training.<br><br>"
           "Source code: Apache-2.0. This program, which links Qt Charts, is distributed under "
           "GPL-3.0.")
            .arg(QApplication::applicationVersion()));
  });
}

void MainWindow::refreshActions() {
  const bool open = run_ != nullptr;
  const bool can = open && run_->canControl();
  using contract::RunState;
  const RunState state = open ? run_->status().state : RunState::kFinished;
  const bool free = can && run_->commandLog()->pendingCount() == 0;
  const auto enable = [this](const char* id, bool on) { (*actions_)[id]->setEnabled(on); };
  enable("resume", free && state == RunState::kPaused);
  enable("pause", free && state == RunState::kRunning);
  enable("stop_save", can && state != RunState::kStopping);
  enable("stop_now", can);
  for (const char* id : {"checkpoint", "lr_half", "lr_double", "accumulation", "end_step"}) {
    enable(id, free);
  }
  enable("undo_change", free && run_->undoTarget().id != 0);
  const QString noEngine = launcher_->engineFault();
  const bool ended = open && !run_->isLive() && state != RunState::kFinished;
  enable("continue_run", ended && noEngine.isEmpty());
  actions_->setReason("continue_run", ended ? noEngine : QString());
  const bool begun = open && !run_->info().id.isEmpty();
  enable("fork", begun);
  enable("fan", begun && noEngine.isEmpty());
  actions_->setReason("fan", begun ? noEngine : QString());
  for (const char* id : {"close_run",
                         "new_from",
                         "copy_command",
                         "export_page",
                         "switch_optimizer",
                         "toggle_agvm",
                         "replay_toggle",
                         "replay_next_event",
                         "replay_previous_event",
                         "replay_step_forward",
                         "replay_step_back",
                         "follow_live",
                         "compare_baseline"}) {
    enable(id, open);
  }
  setWindowTitle(open && !run_->info().name.isEmpty() ? tr("%1 – Batchscope").arg(run_->info().name)
                                                      : QStringLiteral("Batchscope"));
}

}  // namespace batchscope::views
