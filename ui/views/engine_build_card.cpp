#include "ui/views/engine_build_card.h"

#include "ui/views/log_dialog.h"
#include "ui/views/widgets.h"

#include <QHBoxLayout>
#include <QHideEvent>
#include <QLabel>
#include <QProgressBar>
#include <QPushButton>
#include <QVBoxLayout>

#include <cmath>

namespace batchscope::views {

namespace {

using State = session::EngineBuild::State;

constexpr int kBarSteps = 1000;
constexpr int kSignSize = 22;

QIcon signOf(State state) {
  switch (state) {
    case State::kReady:
      return icon(QStringLiteral("check"), IconTint::kGood);
    case State::kFailed:
    case State::kMissing:
      return icon(QStringLiteral("error"), IconTint::kBad);
    case State::kStopped:
    case State::kInterrupted:
      return icon(QStringLiteral("warning"), IconTint::kWarn);
    default:
      return icon(QStringLiteral("engine"), IconTint::kAccent);
  }
}

}  // namespace

EngineBuildCard::EngineBuildCard(QWidget* parent) : QFrame(parent) {
  setProperty("card", true);
  sign_ = new QLabel(this);
  text_ = new QLabel(this);
  text_->setTextFormat(Qt::PlainText);
  text_->setWordWrap(true);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  text_->setProperty("heading", true);
  progress_ = new QProgressBar(this);
  progress_->setTextVisible(false);
  progress_->setAccessibleName(tr("Progress of the engine's build"));
  hint_ = mutedLabel({}, this);
  hint_->setWordWrap(true);
  showLog_ = new QPushButton(tr("Show &log"), this);
  showLog_->setToolTip(tr("What the build has said, to its last line"));
  again_ = new QPushButton(tr("&Build the engine"), this);
  again_->setToolTip(tr("Goes on with what is missing; what was fetched and built is kept"));
  again_->setProperty("primary", true);
  auto* words = new QVBoxLayout;
  words->setSpacing(6);
  words->addWidget(text_);
  words->addWidget(progress_);
  words->addWidget(hint_);
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(16, 12, 14, 12);
  row->setSpacing(12);
  row->addWidget(sign_, 0, Qt::AlignTop);
  row->addLayout(words, 1);
  row->addWidget(showLog_, 0, Qt::AlignVCenter);
  row->addWidget(again_, 0, Qt::AlignVCenter);
  connect(showLog_, &QPushButton::clicked, this, &EngineBuildCard::openLog);
  connect(&Theme::instance(), &Theme::changed, this, &EngineBuildCard::refresh);
  hide();
}

void EngineBuildCard::setBuild(session::EngineBuild* build) {
  build_ = build;
  connect(build_, &session::EngineBuild::changed, this, &EngineBuildCard::refresh);
  connect(again_, &QPushButton::clicked, build_, &session::EngineBuild::buildAgain);
  refresh();
}

QString EngineBuildCard::text() const {
  return text_->text();
}

LogDialog* EngineBuildCard::logDialog() const {
  return log_;
}

void EngineBuildCard::refresh() {
  if (build_ == nullptr) {
    return;
  }
  const State state = build_->state();
  const bool ready = state == State::kReady;
  news_ = state != State::kNone && (news_ || !ready);
  setVisible(news_);
  if (!news_) {
    return;
  }
  sign_->setPixmap(signOf(state).pixmap(QSize(kSignSize, kSignSize)));
  text_->setText(build_->sentence());
  setAccessibleName(build_->sentence());
  hint_->setText(build_->isLive()
                     ? tr("Trainings can be started once the engine is there; recorded runs can be "
                          "opened now.")
                     : tr("Trainings need the engine; recorded runs can be opened without it."));
  hint_->setVisible(!ready);
  showProgress();
  showLog_->setVisible(!ready && !build_->logPath().isEmpty());
  again_->setVisible(build_->canBuildAgain());
}

void EngineBuildCard::showProgress() {
  progress_->setVisible(build_->isLive());
  const bool known = build_->fraction() >= 0;
  progress_->setRange(0, known ? kBarSteps : 0);
  if (known) {
    progress_->setValue(static_cast<int>(std::lround(build_->fraction() * kBarSteps)));
  }
}

void EngineBuildCard::openLog() {
  if (!log_) {
    log_ = new LogDialog(tr("Log of the engine's build"), build_->logPath(), this);
    log_->setAttribute(Qt::WA_DeleteOnClose);
  }
  log_->show();
  log_->raise();
  log_->activateWindow();
}

void EngineBuildCard::hideEvent(QHideEvent* event) {
  QFrame::hideEvent(event);
  // That it is ready is said once: not again when the page is come back to.
  if (!event->spontaneous() && build_ != nullptr && build_->state() == State::kReady) {
    news_ = false;
    hide();
  }
}

}  // namespace batchscope::views
