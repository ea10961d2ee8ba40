#include "engine/distributed/rank_board.h"
#include "engine/distributed/stuck_ranks.h"
#include "tests/support/test_program.h"

#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

using namespace batchscope;
using train::Activity;
using train::RankActivity;

namespace {

RankActivity rank(std::int64_t number, Activity activity, double seconds, std::int64_t step = 120) {
  RankActivity made;
  made.rank = number;
  made.activity = activity;
  made.seconds = seconds;
  made.step = step;
  return made;
}

std::string told(const std::vector<RankActivity>& all, double timeout = 600) {
  const auto stuck = train::find_stuck(all, timeout);
  return stuck ? stuck->text : "";
}

}  // namespace

/// Who holds up a job is named; who waits for it is not.
class TestStuckRanks : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void theSlowLoaderIsNamed() {
    QCOMPARE(told({rank(0, Activity::kAllReduce, 44),
                   rank(1, Activity::kAllReduce, 44),
                   rank(2, Activity::kAllReduce, 43),
                   rank(3, Activity::kLoading, 45.2)}),
             std::string("Rank 3 has been in the data loader for 45 s, in update 121; ranks 0 to 2 "
                         "wait for it in all-reduce."));
  }
  void withinItsPatienceNobodyIs() {
    QCOMPARE(told({rank(0, Activity::kAllReduce, 29), rank(1, Activity::kLoading, 29)}), "");
    QCOMPARE(told({rank(0, Activity::kComputing, 119)}), "");
    QCOMPARE(told({rank(0, Activity::kPaused, 1e6), rank(1, Activity::kPaused, 1e6)}), "");
  }
  void theTimeoutShortensThePatience() {
    QCOMPARE(told({rank(0, Activity::kLoading, 6)}, 10),
             std::string("Rank 0 has been in the data loader for 6 s, in update 121."));
  }
  void severalAreNamedTogether() {
    QCOMPARE(told({rank(0, Activity::kGather, 200),
                   rank(1, Activity::kEvaluating, 201),
                   rank(2, Activity::kSaving, 205)}),
             std::string("Rank 1 has been evaluating for 201 s, in update 121; rank 2 has been "
                         "saving for 205 s, in update 121; rank 0 waits for them in all-gather."));
  }
  void oneThatStandsStillIsNamedWhereItIs() {
    auto halted = rank(1, Activity::kAllReduce, 12);
    halted.halted = true;
    QCOMPARE(told({rank(0, Activity::kAllReduce, 12), halted}),
             std::string("Rank 1 stands still (it was stopped by a signal) and has been in "
                         "all-reduce for 12 s, in update 121; rank 0 waits for it in all-reduce."));
    auto silent = rank(1, Activity::kComputing, 12);
    silent.silent = true;
    QCOMPARE(told({rank(0, Activity::kAllReduce, 12), silent}),
             std::string("Rank 1 is not heard of and has been computing for 12 s, in update 121; "
                         "rank 0 waits for it in all-reduce."));
  }
  void allThatWaitForEachOther() {
    QCOMPARE(told({rank(0, Activity::kAllReduce, 70), rank(1, Activity::kAllReduce, 61)}),
             std::string("All ranks have been waiting for each other in all-reduce for 61 s, in "
                         "update 121."));
    QCOMPARE(told({rank(0, Activity::kAllReduce, 70), rank(1, Activity::kBroadcast, 61)}),
             std::string("All ranks have been waiting for each other in different collectives for "
                         "61 s, in update 121."));
    QCOMPARE(told({rank(0, Activity::kAllReduce, 70), rank(1, Activity::kAllReduce, 2)}), "");
  }
  void whoHasSaidNothingIsNotWaitedFor() {
    auto ended = rank(1, Activity::kComputing, 1000);
    ended.known = false;
    QCOMPARE(told({rank(0, Activity::kAllReduce, 70), ended}), "");
  }

  void itIsSaidOnceAndAgainAfterTwiceTheTime() {
    train::StuckWatch watch(600);
    const auto at = [&](double seconds) {
      return watch.look(
          {rank(0, Activity::kAllReduce, seconds), rank(1, Activity::kLoading, seconds)});
    };
    QVERIFY(!at(20));
    QVERIFY(at(31).has_value());
    QVERIFY(!at(32));
    QVERIFY(!at(61));
    const auto again = at(62);
    QVERIFY(again && !again->over);
    const auto over = at(0.1);
    QVERIFY(over && over->over);
    QCOMPARE(over->text, std::string("Rank 1 goes on, after 62 s."));
    QVERIFY(!at(0.2));
    QVERIFY(at(31).has_value());
  }
  void anotherOneIsNews() {
    train::StuckWatch watch(600);
    QVERIFY(watch.look({rank(0, Activity::kAllReduce, 31), rank(1, Activity::kLoading, 31)}));
    QVERIFY(watch.look({rank(0, Activity::kLoading, 33), rank(1, Activity::kAllReduce, 1)}));
  }

  /// The board is read while the process that wrote it stands still, and after its death.
  void theBoardOutlivesItsWriter() {
    train::RankBoard board(2);
    QVERIFY(!board.read()[1].known);
    const pid_t child = fork();
    if (child == 0) {
      train::show_activity_in(board.slot(1));
      train::enter_step(7);
      train::enter(Activity::kLoading);
      for (;;) {
        pause();
      }
    }
    QTRY_COMPARE_WITH_TIMEOUT(int(board.read()[1].activity), int(Activity::kLoading), 30000);
    QCOMPARE(board.read()[1].step, std::int64_t{7});
    QVERIFY(!board.read()[1].halted);
    kill(child, SIGSTOP);
    QTRY_VERIFY_WITH_TIMEOUT(board.read()[1].halted, 30000);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    QCOMPARE(int(board.read()[1].activity), int(Activity::kLoading));
    QVERIFY(board.read()[1].seconds >= 2);
    QVERIFY(!board.read()[0].known);
  }

  void whatWasDoneBeforeGoesOn() {
    train::enter(Activity::kEvaluating);
    {
      const train::During waiting(Activity::kGather);
      QCOMPARE(int(train::own_activity().activity), int(Activity::kGather));
    }
    QCOMPARE(int(train::own_activity().activity), int(Activity::kEvaluating));
    train::enter(Activity::kComputing);
  }
};

BATCHSCOPE_TEST(TestStuckRanks)
#include "tst_stuck_ranks.moc"
