// The part of LaunchDialog that checks whether the run can be started.
#include "ui/views/launch_dialog.h"
#include "ui/views/widgets.h"

#include <QComboBox>
#include <QFileInfo>
#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

#include <algorithm>
#include <tuple>
#include <utility>

namespace batchscope::views {

namespace {

using Level = session::PreflightItem::Level;

QIcon signOf(Level level) {
  switch (level) {
    case Level::kOk:
      return icon(QStringLiteral("check"), IconTint::kGood);
    case Level::kWarning:
      return icon(QStringLiteral("warning"), IconTint::kWarn);
    case Level::kChecking:
    case Level::kComing:
      return icon(QStringLiteral("pending"), IconTint::kAccent);
    case Level::kError:
      break;
  }
  return icon(QStringLiteral("error"), IconTint::kBad);
}

QString textOf(const session::PreflightItem& check) {
  return QStringLiteral("<b>%1</b><br>%2")
      .arg(check.title.toHtmlEscaped(), check.text.toHtmlEscaped());
}

bool haveSameSigns(const QList<session::PreflightItem>& a, const QList<session::PreflightItem>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& one, const auto& other) {
    return one.id == other.id && one.level == other.level;
  });
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

std::pair<QString, QString> LaunchDialog::inputFault() const {
  if (!tomlFault_->text().isEmpty()) {
    return {tomlFault_->text(), {}};
  }
  const QHash<QString, QString> errors = form_->errors();
  QStringList keys = errors.keys();
  keys.removeAll(QString());  // of the whole: the form's values are the spec's
  keys.sort();
  return keys.isEmpty() ? std::pair<QString, QString>()
                        : std::pair(errors.value(keys.first()), keys.first());
}

void LaunchDialog::showNumbers() {
  const bool stale = !inputFault().first.isEmpty();
  formula_->setText(stale ? tr("–") : form_->effectiveBatchText());
  rate_->setText(stale ? tr("What is marked red is not part of a run.")
                       : form_->learningRateText());
  length_->setText(stale ? QString() : form_->lengthText());
  length_->setVisible(!length_->text().isEmpty());
}

void LaunchDialog::askEngine() {
  trial_.ask(enginePath_, form_->spec(), device_->currentData().toString());
}

void LaunchDialog::addTrial(session::PreflightContext& context) {
  const bool asked = trial_.asked(enginePath_, form_->spec(), context.device);
  if (asked) {
    context.trial = trial_.result();
  } else {
    trial_.clear();
  }
  context.trialRuns = QFileInfo(enginePath_).isExecutable() && !context.trial;
  if (context.trialRuns && !asked && context.inputFault.isEmpty()) {
    trialTimer_.start();
  } else {
    trialTimer_.stop();
  }
}

void LaunchDialog::runChecks() {
  session::PreflightContext context;
  context.library = library_;
  context.enginePath = enginePath_;
  context.engineFault = engineFault_;
  context.engineComing = engineComing_;
  context.device = device_->currentData().toString();
  std::tie(context.inputFault, context.inputField) = inputFault();
  addTrial(context);
  const auto before = std::exchange(checks_, session::preflight(form_->spec(), context));
  // A build that goes on changes a text each second: the lines stay where they are read.
  if (!haveSameSigns(before, checks_)) {
    fillChecks();
  }
  for (qsizetype i = 0; i < checks_.size(); ++i) {
    checkTexts_[i]->setText(textOf(checks_[i]));
  }
  const bool textOk = tomlFault_->text().isEmpty();
  start_->setEnabled(form_->isValid() && textOk && session::canStart(checks_));
  showStartFault();
}

void LaunchDialog::fillChecks() {
  while (QLayoutItem* item = checkColumn_->takeAt(0)) {
    delete item->widget();
    delete item;
  }
  checkTexts_.clear();
  for (const session::PreflightItem& check : std::as_const(checks_)) {
    auto* line = new QWidget;
    auto* row = new QHBoxLayout(line);
    row->setContentsMargins(0, 0, 0, 0);
    auto* sign = new QLabel(line);
    sign->setPixmap(signOf(check.level).pixmap(QSize(18, 18)));
    auto* text = new QLabel(textOf(check), line);
    text->setWordWrap(true);
    checkTexts_.append(text);
    row->addWidget(sign, 0, Qt::AlignTop);
    row->addWidget(text, 1);
    checkColumn_->addWidget(line);
  }
  checkColumn_->addStretch(1);
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
