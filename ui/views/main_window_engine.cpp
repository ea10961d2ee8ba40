// The part of MainWindow that knows where the engine is, and whether it is being built.
#include "ui/views/launch_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QFileDialog>
#include <QFileInfo>
#include <QMessageBox>
#include <QSettings>

namespace batchscope::views {

void MainWindow::watchEngine() {
  const QString file = options_.engineBuildFile.isEmpty()
                           ? session::EngineBuild::fileOfThisProgram()
                           : options_.engineBuildFile;
  build_ = new session::EngineBuild(file, this);
  build_->setSetting(options_.enginePath.isEmpty()
                         ? openSettings()->value(QStringLiteral("engine")).toString()
                         : options_.enginePath);
  welcome_->setBuild(build_);
  connect(build_, &session::EngineBuild::changed, this, &MainWindow::takeEngine);
  connect(build_, &session::EngineBuild::becameReady, this, [this] { note(build_->sentence()); });
  takeEngine();
}

void MainWindow::takeEngine() {
  launcher_->setEnginePath(build_->enginePath(), build_->sentence(), build_->isLive());
  refreshActions();
}

void MainWindow::chooseEngine() {
  const QString path = QFileDialog::getOpenFileName(this, tr("The batchscope-engine program"));
  if (path.isEmpty()) {
    return;
  }
  const QString found = session::Launcher::findEngine(path);
  if (found != path) {
    QMessageBox::warning(
        this, tr("Not an engine"), tr("%1 is not an executable program.").arg(path));
    return;
  }
  openSettings()->setValue(QStringLiteral("engine"), path);
  build_->setSetting(path);
}

void MainWindow::askForRun(const std::function<void(LaunchDialog&)>& fill) {
  LaunchDialog dialog(model_->library(), launcher_->enginePath(), this);
  dialog.follow(launcher_);
  fill(dialog);
  if (dialog.exec() == QDialog::Accepted) {
    start(dialog.request());
  }
}

void MainWindow::newRun() {
  askForRun([](LaunchDialog& dialog) { dialog.loadPreset(QStringLiteral("demo")); });
}

void MainWindow::newFromThisRun() {
  if (run_) {
    askForRun(
        [run = run_](LaunchDialog& dialog) { dialog.loadRun(run->info().specToml, run->path()); });
  }
}

void MainWindow::startFailed(const QString& sentence, const QString& words) {
  model_->refresh();
  const session::LaunchRequest asked = launcher_->request();
  if (asked.isNewRun()) {
    askForRun([&](LaunchDialog& dialog) { dialog.showRefused(asked, sentence, words); });
    return;
  }
  // Another one may have been filled in since.
  if (fork_ != nullptr && fork_->request().fork == asked.fork) {
    fork_->showRefused(sentence, words);
    showFork();
    return;
  }
  QMessageBox box(
      QMessageBox::Critical, tr("The run did not start"), sentence, QMessageBox::Ok, this);
  box.setTextFormat(Qt::PlainText);
  box.setDetailedText(words);
  box.exec();
}

void MainWindow::engineEnded(const QString& runId, const QString& words) {
  const QString fault = session::Launcher::faultIn(words);
  if (fault.isEmpty()) {
    return;
  }
  for (session::RunSession* run : std::as_const(sessions_)) {
    if (QFileInfo(run->path()).fileName() == runId) {
      run->setEngineFault(fault);
      return;
    }
  }
  note(tr("Run %1: %2").arg(runId, fault));
}

void MainWindow::openSpec(const QString& path) {
  auto* dialog = new LaunchDialog(model_->library(), launcher_->enginePath(), this);
  dialog->follow(launcher_);
  dialog->setAttribute(Qt::WA_DeleteOnClose);
  dialog->loadFile(path);
  connect(dialog, &QDialog::accepted, this, [this, dialog] { start(dialog->request()); });
  dialog->open();
}

}  // namespace batchscope::views
