#include "ui/views/replay_bar.h"

#include "ui/session/event_model.h"
#include "ui/session/playhead.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/chart_data.h"
#include "ui/views/theme.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QHelpEvent>
#include <QLabel>
#include <QPainter>
#include <QToolButton>
#include <QToolTip>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

constexpr double kMargin = 9;

QToolButton* barButton(QWidget* parent, const QString& name, const QString& text) {
  auto* button = new QToolButton(parent);
  button->setIcon(icon(name));
  button->setIconSize(QSize(18, 18));
  button->setToolTip(text);
  button->setAccessibleName(text);
  return button;
}

}  // namespace

TimelineStrip::TimelineStrip(QWidget* parent) : QAbstractSlider(parent) {
  setRange(0, kSteps);
  setSingleStep(kSteps / 200);
  setPageStep(kSteps / 20);
  setFocusPolicy(Qt::StrongFocus);
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  setMinimumWidth(120);
  setMouseTracking(true);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void TimelineStrip::setFlags(const QList<Flag>& flags) {
  flags_ = flags;
  update();
}

QRectF TimelineStrip::track() const {
  return {kMargin, height() / 2.0 + 4, width() - 2 * kMargin, 4};
}

int TimelineStrip::valueAt(double x) const {
  const QRectF line = track();
  return static_cast<int>(
      std::lround(std::clamp((x - line.left()) / line.width(), 0.0, 1.0) * kSteps));
}

void TimelineStrip::paintEvent(QPaintEvent*) {
  const Palette& p = colours();
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  const QRectF line = track();
  painter.setPen(Qt::NoPen);
  painter.setBrush(p.border);
  painter.drawRoundedRect(line, 2, 2);
  const double at = line.left() + line.width() * value() / kSteps;
  painter.setBrush(isEnabled() ? p.accent : p.textDisabled);
  painter.drawRoundedRect(QRectF(line.topLeft(), QPointF(at, line.bottom())), 2, 2);
  for (const Flag& flag : flags_) {
    const double x = std::round(line.left() + flag.at * line.width()) + 0.5;
    const QColor colour = flag.abandoned ? p.abandoned
                          : flag.problem ? p.bad
                          : flag.change  ? p.eventMark
                                         : p.textMuted;
    painter.setPen(QPen(colour, 1));
    painter.drawLine(QPointF(x, line.top() - (flag.problem || flag.change ? 13 : 6)),
                     QPointF(x, line.top() - 1));
    if (flag.problem || flag.change) {
      painter.setPen(Qt::NoPen);
      painter.setBrush(colour);
      painter.drawPolygon(
          QPolygonF({{x, line.top() - 14}, {x + 7, line.top() - 10.5}, {x, line.top() - 7}}));
    }
  }
  painter.setPen(QPen(hasFocus() ? p.text : p.panel, 2));
  painter.setBrush(isEnabled() ? p.accent : p.textDisabled);
  painter.drawEllipse(QPointF(at, line.center().y()), 7, 7);
}

void TimelineStrip::mousePressEvent(QMouseEvent* event) {
  setSliderDown(true);
  setValue(valueAt(event->position().x()));
}

void TimelineStrip::mouseMoveEvent(QMouseEvent* event) {
  if (isSliderDown()) {
    setValue(valueAt(event->position().x()));
  }
}

void TimelineStrip::mouseReleaseEvent(QMouseEvent*) {
  setSliderDown(false);
}

void TimelineStrip::sliderChange(SliderChange change) {
  QAbstractSlider::sliderChange(change);
  update();
}

bool TimelineStrip::event(QEvent* event) {
  if (event->type() == QEvent::ToolTip) {
    auto* help = static_cast<QHelpEvent*>(event);
    const QRectF line = track();
    QStringList tips;
    for (const Flag& flag : flags_) {
      if (std::abs(line.left() + flag.at * line.width() - help->pos().x()) <= 4 &&
          tips.size() < 8) {
        tips.append(flag.tip);
      }
    }
    QToolTip::showText(help->globalPos(), tips.join(QLatin1Char('\n')), this);
    return true;
  }
  return QAbstractSlider::event(event);
}

ReplayBar::ReplayBar(QWidget* parent) : QWidget(parent) {
  QToolButton* back = barButton(this, QStringLiteral("step_back"), tr("Previous event"));
  play_ = barButton(this, QStringLiteral("play"), tr("Play"));
  QToolButton* forward = barButton(this, QStringLiteral("step_forward"), tr("Next event"));
  strip_ = new TimelineStrip(this);
  strip_->setAccessibleName(tr("Timeline of the run"));
  label_ = new QLabel(this);
  followTheme(label_, [this] {
    label_->setMinimumWidth(
        label_->fontMetrics().horizontalAdvance(QStringLiteral("00:00 / 00:00 · step 0,000")));
  });
  label_->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  speed_ = new QComboBox(this);
  speed_->setAccessibleName(tr("Replay speed"));
  speed_->setToolTip(tr("Recorded seconds that pass in a second"));
  for (const double speed : session::Playhead::speeds()) {
    speed_->addItem(QStringLiteral("×%1").arg(formatCount(static_cast<qint64>(speed))), speed);
  }
  live_ = new QToolButton(this);
  live_->setText(tr("Live"));
  live_->setIcon(icon(QStringLiteral("live")));
  live_->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  live_->setCheckable(true);
  live_->setToolTip(tr("Follow the newest step"));
  live_->setAccessibleName(tr("Follow live"));
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(10, 2, 10, 4);
  row->setSpacing(4);
  for (QWidget* widget : std::initializer_list<QWidget*>{back, play_, forward}) {
    row->addWidget(widget);
  }
  row->addWidget(strip_, 1);
  row->addWidget(label_);
  row->addWidget(speed_);
  row->addWidget(live_);
  connect(back, &QToolButton::clicked, this, &ReplayBar::previousEvent);
  connect(play_, &QToolButton::clicked, this, &ReplayBar::togglePlay);
  connect(forward, &QToolButton::clicked, this, &ReplayBar::nextEvent);
  connect(live_, &QToolButton::clicked, this, &ReplayBar::followLive);
  connect(speed_, &QComboBox::currentIndexChanged, this, [this] {
    if (run_) {
      run_->playhead()->setSpeed(speed_->currentData().toDouble());
    }
  });
  connect(strip_, &QAbstractSlider::valueChanged, this, [this](int value) {
    if (run_ && !moving_) {
      run_->playhead()->seek(run_->playhead()->duration() * value / TimelineStrip::kSteps);
    }
  });
  showState();
}

void ReplayBar::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  if (run_) {
    disconnect(run_, nullptr, this, nullptr);
    disconnect(run_->playhead(), nullptr, this, nullptr);
  }
  run_ = run;
  if (run_) {
    using session::Playhead;
    using session::RunSession;
    const Playhead* head = run_->playhead();
    connect(head, &Playhead::positionChanged, this, &ReplayBar::showPosition);
    connect(head, &Playhead::durationChanged, this, [this] {
      showState();
      showFlags();
    });
    connect(head, &Playhead::playingChanged, this, &ReplayBar::showState);
    connect(head, &Playhead::followingChanged, this, &ReplayBar::showState);
    connect(head, &Playhead::speedChanged, this, &ReplayBar::showState);
    connect(run_, &RunSession::eventsChanged, this, &ReplayBar::showFlags);
    connect(run_, &RunSession::stateChanged, this, &ReplayBar::showState);
    connect(run_, &RunSession::dataChanged, this, &ReplayBar::showPosition);
  }
  showState();
  showFlags();
}

void ReplayBar::showPosition() {
  if (!run_) {
    label_->clear();
    return;
  }
  const session::Playhead* head = run_->playhead();
  moving_ = true;
  const double share = head->duration() > 0 ? head->position() / head->duration() : 0;
  if (!strip_->isSliderDown()) {
    strip_->setValue(static_cast<int>(std::lround(share * TimelineStrip::kSteps)));
  }
  moving_ = false;
  label_->setText(tr("%1 / %2 · step %3")
                      .arg(formatDuration(head->position()),
                           formatDuration(head->duration()),
                           formatCount(run_->playheadSample().step)));
}

void ReplayBar::showFlags() {
  QList<TimelineStrip::Flag> flags;
  if (run_ && run_->playhead()->duration() > 0) {
    for (const session::EventItem& event : run_->allEvents()) {
      const QList<EventMark> one = marksOf({event}, session::XKind::kSeconds);
      if (!one.isEmpty()) {
        flags.append({std::clamp(event.playSeconds / run_->playhead()->duration(), 0.0, 1.0),
                      one.first().detail,
                      one.first().kind == EventMark::Kind::kProblem,
                      one.first().kind == EventMark::Kind::kChange,
                      event.abandoned});
      }
    }
  }
  strip_->setFlags(flags);
  showPosition();
}

void ReplayBar::showState() {
  const bool usable = run_ && run_->playhead()->duration() > 0;
  setEnabled(usable);
  const bool playing = usable && run_->playhead()->isPlaying();
  play_->setIcon(icon(playing ? QStringLiteral("pause") : QStringLiteral("play")));
  play_->setToolTip(playing ? tr("Pause the replay (Space)") : tr("Play (Space)"));
  live_->setChecked(usable && run_->playhead()->isFollowing());
  live_->setText(run_ && !run_->isLive() ? tr("End") : tr("Live"));
  if (run_) {
    const QSignalBlocker blocker(speed_);
    speed_->setCurrentIndex(speed_->findData(run_->playhead()->speed()));
  }
  showPosition();
}

void ReplayBar::togglePlay() {
  if (run_) {
    run_->playhead()->toggle();
  }
}

void ReplayBar::previousEvent() {
  if (run_) {
    run_->seekNextEvent(-1);
  }
}

void ReplayBar::nextEvent() {
  if (run_) {
    run_->seekNextEvent(1);
  }
}

void ReplayBar::followLive() {
  if (run_) {
    run_->playhead()->followLive();
    showState();
  }
}

void ReplayBar::stepBack() {
  if (run_) {
    run_->seekRows(-1);
  }
}

void ReplayBar::stepForward() {
  if (run_) {
    run_->seekRows(1);
  }
}

}  // namespace batchscope::views
