#include "tests/support/test_program.h"
#include "ui/session/playhead.h"

#include <QSignalSpy>
#include <QTest>

using batchscope::session::Playhead;

class TestPlayhead : public QObject {
  Q_OBJECT

 private:
  qint64 now_ = 1000;
  Playhead::Clock clock() {
    return [this] { return now_; };
  }

 private Q_SLOTS:
  void speedsOfTheMenu() {
    QCOMPARE(Playhead::speeds().first(), 1.0);
    QCOMPARE(Playhead::speeds().last(), 1000.0);
  }

  void playsAtEachSpeed_data() {
    QTest::addColumn<double>("speed");
    for (const auto speed : Playhead::speeds())
      QTest::addRow("x%g", speed) << speed;
  }
  void playsAtEachSpeed() {
    QFETCH(double, speed);
    Playhead head(nullptr, clock());
    head.setDuration(1e6, false);
    head.setSpeed(speed);
    head.seek(10);
    head.play();
    now_ += 250;
    head.tick();
    QCOMPARE(head.position(), 10 + 0.25 * speed);
    now_ += 750;
    head.tick();
    QCOMPARE(head.position(), 10 + speed);
    QVERIFY(!head.isFollowing());
  }

  void stopsAtTheEndOfAStoredRun() {
    Playhead head(nullptr, clock());
    head.setDuration(5, false);
    head.setSpeed(10);
    head.seek(0);
    head.play();
    now_ += 10000;
    head.tick();
    QCOMPARE(head.position(), 5.0);
    QVERIFY(!head.isPlaying());
    head.play();  // again from the start
    QCOMPARE(head.position(), 0.0);
    QVERIFY(head.isPlaying());
  }

  void catchesUpWithALiveRun() {
    Playhead head(nullptr, clock());
    head.setDuration(5, true);
    head.seek(0);
    head.setSpeed(10);
    head.play();
    now_ += 600;
    head.tick();
    QVERIFY(head.isFollowing());
    head.setDuration(7, true);
    QCOMPARE(head.position(), 7.0);
  }

  void holdsALiveView() {
    Playhead head(nullptr, clock());
    head.setDuration(5, true);
    QSignalSpy moved(&head, &Playhead::positionChanged);
    head.pause();
    head.setDuration(9, true);
    QCOMPARE(head.position(), 5.0);
    head.followLive();
    QCOMPARE(head.position(), 9.0);
    QCOMPARE(moved.last().first().toDouble(), 9.0);
  }

  void scrubsInBounds() {
    Playhead head(nullptr, clock());
    head.setDuration(100, false);
    head.seek(250);
    QCOMPARE(head.position(), 100.0);
    head.seek(-3);
    QCOMPARE(head.position(), 0.0);
    head.setSpeed(5000);
    QCOMPARE(head.speed(), 1000.0);
    head.setSpeed(0.1);
    QCOMPARE(head.speed(), 1.0);
  }

  void scrubbingWhilePlayingContinuesFromThere() {
    Playhead head(nullptr, clock());
    head.setDuration(1000, false);
    head.setSpeed(1);
    head.seek(0);
    head.play();
    now_ += 2000;
    head.seek(500);
    now_ += 1000;
    head.tick();
    QCOMPARE(head.position(), 501.0);
  }

  void aSpeedChangeDoesNotRescaleThePast() {
    Playhead head(nullptr, clock());
    head.setDuration(1000, false);
    head.setSpeed(1);
    head.seek(0);
    head.play();
    now_ += 1000;
    head.setSpeed(100);
    now_ += 1000;
    head.tick();
    QCOMPARE(head.position(), 101.0);
  }
};

BATCHSCOPE_TEST(TestPlayhead)
#include "tst_session_playhead.moc"
