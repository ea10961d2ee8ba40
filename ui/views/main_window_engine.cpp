// The part of MainWindow that knows where the engine is, and whether it is being built.
#include "ui/views/launch_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QFileDialog>
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

void MainWindow::newRun() {
  LaunchDialog dialog(model_->library(), launcher_->enginePath(), this);
  dialog.follow(launcher_);
  if (dialog.exec() == QDialog::Accepted) {
    start(dialog.request());
  }
}

void MainWindow::newFromThisRun() {
  if (!run_) {
    return;
  }
  LaunchDialog dialog(model_->library(), launcher_->enginePath(), this);
  dialog.follow(launcher_);
  dialog.loadToml(run_->info().specToml);
  if (dialog.exec() == QDialog::Accepted) {
    start(dialog.request());
  }
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
