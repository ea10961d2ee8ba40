// The part of LaunchDialog that takes a spec in, hands it on as a command, and takes back what was
// refused.
#include "ui/views/launch_dialog.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QClipboard>
#include <QComboBox>
#include <QDir>
#include <QFileDialog>
#include <QFileInfo>
#include <QLabel>
#include <QSaveFile>
#include <QTabWidget>

#include <algorithm>

namespace batchscope::views {

void LaunchDialog::copyCommand() {
  session::Launcher launcher;
  launcher.setEnginePath(enginePath_);
  const bool asTyped = form_->errors().isEmpty() && tomlFault_->text().isEmpty();
  const QString command = asTyped ? launcher.commandLine(request()) : QString();
  if (!command.isEmpty()) {
    QApplication::clipboard()->setText(command);
  }
  tell(!command.isEmpty() ? tr("The command is on the clipboard.")
       : asTyped
           ? tr("This spec has events or shadow optimizers that no --set can give: save it, and "
                "copy the command then.")
           : tr("Not copied: what is marked red is not part of a run."));
}

void LaunchDialog::tell(const QString& note) {
  note_->setText(note);
  note_->show();
}

void LaunchDialog::saveSpec() {
  if (!form_->errors().isEmpty() || !tomlFault_->text().isEmpty()) {
    tell(tr("Not saved: what is marked red is not part of a run."));
    return;
  }
  QFileDialog dialog(this, tr("Save the run spec"), {}, tr("Run specs (*.toml)"));
  dialog.setAcceptMode(QFileDialog::AcceptSave);
  dialog.setDefaultSuffix(QStringLiteral("toml"));
  dialog.selectFile(QStringLiteral("spec.toml"));
  if (dialog.exec() != QDialog::Accepted) {
    return;
  }
  const QString path = dialog.selectedFiles().value(0);
  QSaveFile file(path);
  const QByteArray text = form_->toToml().toUtf8();
  if (file.open(QIODevice::WriteOnly) && file.write(text) == text.size() && file.commit()) {
    base_ = QFileInfo(path).absoluteFilePath();
    preset_->setCurrentIndex(0);
    presetHelp_->hide();
    tell(tr("Saved as %1.").arg(QDir::toNativeSeparators(path)));
  } else {
    tell(tr("%1 was not written: %2").arg(QDir::toNativeSeparators(path), file.errorString()));
  }
}

bool LaunchDialog::loadPreset(const QString& name) {
  const bool ok = form_->loadPreset(name);
  base_ = ok ? name : base_;
  preset_->setCurrentIndex(std::max(0, preset_->findData(name)));
  presetHelp_->setText(session::SpecForm::presetHelp(name));
  presetHelp_->setVisible(ok && !presetHelp_->text().isEmpty());
  showTomlFault(ok ? QString() : form_->error());
  return ok;
}

bool LaunchDialog::loadFile(const QString& path) {
  const bool ok = form_->loadFile(path);
  showTomlFault(ok ? QString() : form_->error());
  if (ok) {
    base_ = QFileInfo(path).absoluteFilePath();
    preset_->setCurrentIndex(0);
    presetHelp_->hide();
  } else {
    tabs_->setCurrentIndex(2);
  }
  return ok;
}

bool LaunchDialog::loadToml(const QString& toml) {
  const bool ok = form_->loadToml(toml);
  showTomlFault(ok ? QString() : form_->error());
  return ok;
}

void LaunchDialog::setDevice(const QString& device) {
  device_->setCurrentIndex(std::max(0, device_->findData(device)));
}

void LaunchDialog::loadRun(const QString& specToml, const QString& folder) {
  if (loadToml(specToml)) {
    const QFileInfo spec(folder + QStringLiteral("/spec.toml"));
    base_ = spec.isFile() ? spec.absoluteFilePath() : QString();
  }
}

void LaunchDialog::showRefused(const session::LaunchRequest& request,
                               const QString& sentence,
                               const QString& words) {
  base_ = request.base;
  preset_->setCurrentIndex(std::max(0, preset_->findData(base_)));
  setDevice(request.device);
  form_->setSpec(request.spec);
  refusal_->setMessage(Banner::Kind::kBad, sentence, words);
  refusal_->show();
  connect(form_, &session::SpecForm::changed, refusal_, &QWidget::hide);
}

}  // namespace batchscope::views
