// The part of LaunchDialog that checks whether the run can be started.
#include "ui/views/launch_dialog.h"
#include "ui/views/widgets.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

using Level = session::PreflightItem::Level;

QIcon signOf(Level level) {
  switch (level) {
    case Level::kOk:
      return icon(QStringLiteral("check"), IconTint::kGood);
    case Level::kWarning:
      return icon(QStringLiteral("warning"), IconTint::kWarn);
    case Level::kComing:
      return icon(QStringLiteral("pending"), IconTint::kAccent);
    case Level::kError:
      break;
  }
  return icon(QStringLiteral("error"), IconTint::kBad);
}

QWidget* lineOf(const session::PreflightItem& check) {
  auto* line = new QWidget;
  auto* row = new QHBoxLayout(line);
  row->setContentsMargins(0, 0, 0, 0);
  auto* sign = new QLabel(line);
  sign->setPixmap(signOf(check.level).pixmap(QSize(18, 18)));
  auto* text = new QLabel(QStringLiteral("<b>%1</b><br>%2")
                              .arg(check.title.toHtmlEscaped(), check.text.toHtmlEscaped()),
                          line);
  text->setWordWrap(true);
  row->addWidget(sign, 0, Qt::AlignTop);
  row->addWidget(text, 1);
  return line;
}

}  // namespace

void LaunchDialog::follow(const session::Launcher* launcher) {
  const auto take = [this, launcher] {
    enginePath_ = launcher->enginePath();
    engineFault_ = launcher->engineFault();
    engineComing_ = launcher->engineIsComing();
    runChecks();
  };
  connect(launcher, &session::Launcher::engineChanged, this, take);
  take();
}

void LaunchDialog::runChecks() {
  session::PreflightContext context;
  context.library = library_;
  context.enginePath = enginePath_;
  context.engineFault = engineFault_;
  context.engineComing = engineComing_;
  context.device = device_->currentData().toString();
  checks_ = session::preflight(form_->spec(), context);
  while (QLayoutItem* item = checkColumn_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  for (const session::PreflightItem& check : std::as_const(checks_)) {
    checkColumn_->addWidget(lineOf(check));
  }
  checkColumn_->addStretch(1);
  const bool textOk = tomlFault_->text().isEmpty();
  start_->setEnabled(form_->isValid() && textOk && session::canStart(checks_));
  showStartFault();
}

void LaunchDialog::showStartFault() {
  const QString ofSpec = form_->errors().value(QString());
  const QString ofChecks = session::startFault(checks_);
  // What passes by itself is no fault of the person's.
  const bool coming = ofSpec.isEmpty() && engineComing_;
  setStyleProperty(whole_, "bad", !coming);
  setStyleProperty(whole_, "muted", coming);
  whole_->setText(!ofSpec.isEmpty() ? ofSpec : enginePath_.isEmpty() ? engineFault_ : QString());
  start_->setToolTip(start_->isEnabled() ? QString() : !ofSpec.isEmpty() ? ofSpec : ofChecks);
}

}  // namespace batchscope::views
