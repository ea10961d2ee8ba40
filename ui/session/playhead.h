#pragma once

#include <QElapsedTimer>
#include <QList>
#include <QObject>
#include <QTimer>

#include <functional>

namespace batchscope::session {

/// Position on a run's recorded training time, in seconds from its first row. While following, the
/// position is the end of the record and moves with it: a live view is the replay of a run that has
/// not ended. GUI thread.
class Playhead : public QObject {
  Q_OBJECT
  Q_PROPERTY(double position READ position WRITE seek NOTIFY positionChanged)
  Q_PROPERTY(double duration READ duration NOTIFY durationChanged)
  Q_PROPERTY(double speed READ speed WRITE setSpeed NOTIFY speedChanged)
  Q_PROPERTY(bool playing READ isPlaying NOTIFY playingChanged)
  Q_PROPERTY(bool following READ isFollowing NOTIFY followingChanged)

 public:
  /// Milliseconds of a monotonic clock; tests give their own.
  using Clock = std::function<qint64()>;

  explicit Playhead(QObject* parent = nullptr, Clock clock = {});

  double position() const { return following_ ? duration_ : position_; }
  double duration() const { return duration_; }
  double speed() const { return speed_; }
  bool isPlaying() const { return playing_; }
  bool isFollowing() const { return following_; }
  /// 1, 2, 5, … 1000.
  static QList<double> speeds();

 public Q_SLOTS:
  /// Plays from the position (from 0 if it stands at the end). Stops at the end of the record, or
  /// follows there when the record still grows.
  void play();
  void pause();
  void toggle();
  /// Recorded seconds per second, clamped to 1…1000.
  void setSpeed(double speed);
  /// Moves to a time, clamped to the record; stops following, keeps playing.
  void seek(double seconds);
  void followLive();
  /// The record has this length now; `growing`: more is expected.
  void setDuration(double seconds, bool growing);
  /// Advances by the clock; the internal timer calls it 30 times a second while playing.
  void tick();

 Q_SIGNALS:
  void positionChanged(double seconds);
  void durationChanged(double seconds);
  void speedChanged(double speed);
  void playingChanged(bool playing);
  void followingChanged(bool following);

 private:
  void setPlaying(bool playing);
  void setFollowing(bool following);
  void moveTo(double seconds);

  Clock clock_;
  QElapsedTimer elapsed_;
  QTimer timer_;
  qint64 lastTick_ = 0;
  double position_ = 0, duration_ = 0, speed_ = 20;
  bool playing_ = false, following_ = true, growing_ = false;
};

}  // namespace batchscope::session
