#include "ui/session/playhead.h"

#include <algorithm>

namespace batchscope::session {

namespace {

constexpr int kTickMs = 33;

}  // namespace

Playhead::Playhead(QObject* parent, Clock clock) : QObject(parent), clock_(std::move(clock)) {
  if (!clock_) {
    elapsed_.start();
    clock_ = [this] { return elapsed_.elapsed(); };
  }
  timer_.setInterval(kTickMs);
  connect(&timer_, &QTimer::timeout, this, &Playhead::tick);
}

QList<double> Playhead::speeds() {
  return {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};
}

void Playhead::play() {
  if (playing_ || duration_ <= 0)
    return;
  if (position() >= duration_) {
    setFollowing(false);
    moveTo(0);
  }
  lastTick_ = clock_();
  setPlaying(true);
}

void Playhead::pause() {
  if (!following_) {
    setPlaying(false);
    return;
  }
  // Holding a live view means staying where it is now.
  const auto here = duration_;
  setFollowing(false);
  moveTo(here);
}

void Playhead::toggle() {
  if (playing_)
    pause();
  else
    play();
}

void Playhead::setSpeed(double speed) {
  const auto wanted = std::clamp(speed, 1.0, 1000.0);
  if (wanted == speed_)
    return;
  if (playing_)
    tick();
  speed_ = wanted;
  Q_EMIT speedChanged(speed_);
}

void Playhead::seek(double seconds) {
  setFollowing(false);
  if (playing_)
    lastTick_ = clock_();
  moveTo(std::clamp(seconds, 0.0, duration_));
}

void Playhead::followLive() {
  setPlaying(false);
  if (following_)
    return;
  position_ = duration_;
  setFollowing(true);
  Q_EMIT positionChanged(duration_);
}

void Playhead::setDuration(double seconds, bool growing) {
  growing_ = growing;
  if (seconds == duration_)
    return;
  duration_ = seconds;
  Q_EMIT durationChanged(duration_);
  if (following_)
    Q_EMIT positionChanged(duration_);
  else if (position_ > duration_)
    moveTo(duration_);
}

void Playhead::tick() {
  if (!playing_)
    return;
  const auto now = clock_();
  const auto advanced = position_ + static_cast<double>(now - lastTick_) / 1000.0 * speed_;
  lastTick_ = now;
  if (advanced < duration_) {
    moveTo(advanced);
    return;
  }
  moveTo(duration_);
  if (growing_)
    followLive();
  else
    setPlaying(false);
}

void Playhead::setPlaying(bool playing) {
  if (playing == playing_)
    return;
  playing_ = playing;
  if (playing)
    timer_.start();
  else
    timer_.stop();
  Q_EMIT playingChanged(playing_);
}

void Playhead::setFollowing(bool following) {
  if (following == following_)
    return;
  if (!following)
    position_ = duration_;
  following_ = following;
  Q_EMIT followingChanged(following_);
}

void Playhead::moveTo(double seconds) {
  if (seconds == position_)
    return;
  position_ = seconds;
  Q_EMIT positionChanged(position_);
}

}  // namespace batchscope::session
