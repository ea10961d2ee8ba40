// The part of MainWindow that asks and tells: dialogs, files, theme and text size.
#include "ui/views/command_palette.h"
#include "ui/views/fan_dialog.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_view.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QClipboard>
#include <QDir>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QImageWriter>
#include <QLineEdit>
#include <QMessageBox>
#include <QPushButton>
#include <QSaveFile>
#include <QSettings>
#include <QStackedWidget>
#include <QSysInfo>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr int kLeastText = -2;  // 80 %
constexpr int kMostText = 10;   // 200 %

/// Writes a picture, all or nothing; why it could not.
QString savePicture(const QImage& picture, const QString& path) {
  const QByteArray format = QFileInfo(path).suffix().toLower().toLatin1();
  if (!QImageWriter::supportedImageFormats().contains(format)) {
    return MainWindow::tr("a page can be saved as png or jpg, not as “%1”.")
        .arg(QString::fromLatin1(format).toHtmlEscaped());
  }
  QSaveFile file(path);
  QImageWriter writer(&file, format);
  if (!file.open(QIODevice::WriteOnly)) {
    return file.errorString();
  }
  if (!writer.write(picture)) {
    return writer.errorString();
  }
  return file.commit() ? QString() : file.errorString();
}

}  // namespace

void MainWindow::askForFork(const std::function<void(ForkDialog&)>& fill) {
  if (!run_) {
    return;
  }
  fork_ = std::make_unique<ForkDialog>(run_, launcher_, this);
  fork_->setLibrary(model_->library());
  fill(*fork_);
  showFork();
}

/// The dialog is kept until the engine has taken what it asks for.
void MainWindow::showFork() {
  if (fork_->exec() == QDialog::Accepted) {
    start(fork_->request());
  } else {
    fork_.reset();
  }
}

void MainWindow::forkRun() {
  askForFork([](ForkDialog& /*as it is*/) {});
}

void MainWindow::forkFrom(std::int64_t step,
                          const QList<session::ForkChildRow>& children,
                          const QString& lrMapping) {
  askForFork([&](ForkDialog& dialog) {
    dialog.setStep(step);
    dialog.setChildren(children);
    if (!lrMapping.isEmpty()) {
      dialog.setLrMapping(lrMapping);
    }
  });
}

void MainWindow::openFan() {
  if (!run_) {
    return;
  }
  FanDialog dialog(run_, launcher_, model_->library(), this);
  connect(
      &dialog, &FanDialog::forkWanted, this, [this](std::int64_t step, const session::FanRow& row) {
        const auto& set = row.command.set;
        const auto clip = set.find("optim.clip_norm");
        forkFrom(step,
                 {{},
                  {QString::fromStdString(row.command.name.value_or("")),
                   !row.command.agvm   ? QString()
                   : *row.command.agvm ? QStringLiteral("on")
                                       : QStringLiteral("off"),
                   QString::number(row.lr, 'g', 12),
                   clip == set.end() ? QString() : QString::fromStdString(clip->second),
                   {}}});
      });
  dialog.exec();
}

void MainWindow::showForked(const QString& parent, const QStringList& folders) {
  fork_.reset();
  note(tr("%n run(s) forked.", nullptr, static_cast<int>(folders.size())));
  model_->refresh();
  compare_->clear();
  openRun(parent);
  compare_->add(sessionFor(parent));
  for (const QString& folder : folders) {
    if (!compare_->add(sessionFor(folder))) {
      note(tr("The comparison shows the first %1 of them.").arg(session::RunCompare::kMaxRuns - 1));
    }
  }
  // What is compared are equal pictures.
  runView_->link()->setKind(session::XKind::kImages);
  showPage(QStringLiteral("compare"));
}

void MainWindow::continueRun(const QString& folder) {
  session::LaunchRequest request;
  request.resumePath = folder;
  request.library = model_->library();
  start(request);
}

void MainWindow::openWithDialog() {
  const QString path =
      QFileDialog::getOpenFileName(this,
                                   tr("Open a run or a spec"),
                                   {},
                                   tr("Runs and specs (*.bscope *.sqlite *.toml);;All files (*)"));
  if (path.endsWith(QLatin1String(".toml"))) {
    openSpec(path);
  } else if (!path.isEmpty()) {
    openRun(path);
  }
}

void MainWindow::exportPage() {
  QFileDialog dialog(this, tr("Save the page"), {}, tr("Pictures (*.png)"));
  dialog.setAcceptMode(QFileDialog::AcceptSave);
  dialog.setDefaultSuffix(QStringLiteral("png"));
  dialog.selectFile(runView_->pageName() + QStringLiteral(".png"));
  if (dialog.exec() != QDialog::Accepted) {
    return;
  }
  const QString path = dialog.selectedFiles().value(0);
  const QString fault = savePicture(runView_->page()->grab().toImage(), path);
  if (fault.isEmpty()) {
    note(tr("The page was saved as %1.").arg(QDir::toNativeSeparators(path)));
  } else {
    QMessageBox::warning(
        this, tr("Not saved"), tr("%1 was not written: %2").arg(path.toHtmlEscaped(), fault));
  }
}

void MainWindow::showPalette() {
  CommandPalette palette(*actions_, this);
  if (palette.exec() == QDialog::Accepted && palette.chosen() != nullptr) {
    palette.chosen()->trigger();
  }
}

void MainWindow::showDiagnosis() {
  const QStringList gpus = gpuNames();
  const QString engine =
      launcher_->enginePath().isEmpty() ? build_->sentence() : launcher_->enginePath();
  const QString text =
      tr("Batchscope %1\nQt %2\n%3, %4\nprotocol %5\nengine: %6\nlibrary: %7\nGPU: %8")
          .arg(QApplication::applicationVersion(),
               QLatin1String(qVersion()),
               QSysInfo::prettyProductName(),
               QSysInfo::currentCpuArchitecture())
          .arg(contract::kProtocolVersion)
          .arg(engine.isEmpty() ? tr("not found") : engine,
               model_->library(),
               gpus.isEmpty() ? tr("no CUDA device") : gpus.join(QStringLiteral(", ")));
  QMessageBox box(QMessageBox::Information, tr("Diagnose"), text, QMessageBox::Ok, this);
  box.setTextInteractionFlags(Qt::TextSelectableByMouse);
  QPushButton* copy = box.addButton(tr("&Copy"), QMessageBox::ActionRole);
  box.setEscapeButton(QMessageBox::Ok);
  box.exec();
  if (box.clickedButton() == copy) {
    QApplication::clipboard()->setText(text);
  }
}

void MainWindow::scaleText(int steps) {
  textSteps_ = std::clamp(steps, kLeastText, kMostText);
  Theme::instance().setTextScale(1.0 + 0.1 * textSteps_);
}

void MainWindow::setTheme(int mode) {
  Theme::instance().apply(static_cast<ThemeMode>(mode));
  openSettings()->setValue(QStringLiteral("theme"), mode);
}

}  // namespace batchscope::views
