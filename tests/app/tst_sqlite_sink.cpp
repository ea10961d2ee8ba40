#include "app/sqlite_sink.h"
#include "storage/run_check.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <atomic>
#include <cmath>
#include <mutex>
#include <random>
#include <signal.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace batchscope;
using namespace batchscope::test;
using app::SinkOptions;
using app::SqliteSink;
using contract::RunState;
using storage::RunReader;

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

void sleep_ms(int time) {
  std::this_thread::sleep_for(milliseconds(time));
}

std::int64_t rows_of(const fs::path& folder) {
  return RunReader(folder).last_seq();
}

}  // namespace

class TestSqliteSink : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everythingArrives() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    std::vector<std::int64_t> notices;
    std::mutex mutex;
    SqliteSink sink(folder, {.committed = [&](std::int64_t seq) {
                      const std::lock_guard guard(mutex);
                      notices.push_back(seq);
                    }});
    sink.begin(make_info(), false);
    QVERIFY(
        (sink.add_series({make_series("a"), make_series("b")}) == std::vector<std::int32_t>{0, 1}));
    QVERIFY(
        (sink.add_series({make_series("b"), make_series("c")}) == std::vector<std::int32_t>{1, 2}));
    sink.segment({0, -1, 0, -1, "start"});
    for (int i = 1; i <= 10; ++i) {
      sink.step(make_step(i, {{2, i * 2.0}}));
    }
    sink.event({0, 10, 0, "", "warning", "engine", "text", {}});
    sink.eval({0, 10, 0, 0, 5, 0, {{"AP", 0.5}}});
    sink.probe({1, "p", 2, 2, "png", {}});
    sink.prediction({1, 0, 10, {{0, 0, 1, 1, 1, 0.5F}}});
    sink.checkpoint({0, 10, "a", "checkpoint", 1});
    sink.checkpoint({0, 10, "b", "checkpoint", 1});
    sink.checkpoint_removed("a");
    contract::StatusReport report;
    report.state = RunState::kRunning;
    report.step = 10;
    sink.status(report);
    sink.flush();
    {
      RunReader reader(folder);
      QCOMPARE(reader.last_seq(), std::int64_t{10});
      QCOMPARE(reader.series().size(), std::size_t{3});
      QCOMPARE(reader.events(0).size(), std::size_t{1});
      QCOMPARE(reader.evals(0).size(), std::size_t{1});
      QCOMPARE(reader.probes().size(), std::size_t{1});
      QCOMPARE(reader.predictions(0, 10).size(), std::size_t{1});
      QCOMPARE(reader.checkpoints().size(), std::size_t{1});
      QVERIFY(reader.state().report.state == RunState::kRunning);
      storage::SeriesSamples samples;
      reader.read_series(2, 0, samples);
      QCOMPARE(samples.value.back(), 20.0);
      const std::lock_guard guard(mutex);
      QCOMPARE(notices.back(), std::int64_t{10});
    }
    sink.finish(RunState::kFinished, 0);
    sink.step(make_step(11, {}));  // after the end: dropped, and nobody waits
    sink.flush();
    QCOMPARE(sink.failure(), std::string());
    QCOMPARE(rows_of(folder), std::int64_t{10});
    QVERIFY(RunReader(folder).state().report.state == RunState::kFinished);
    QVERIFY(!fs::exists(folder / "run.sqlite-wal"));
  }

  void rowsAreVisibleWithoutFlush() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    std::atomic<std::int64_t> committed{0};
    SqliteSink sink(folder, {.committed = [&](std::int64_t seq) {
                      // A notice speaks of what can be read.
                      if (rows_of(folder) >= seq) {
                        committed = seq;
                      }
                    }});
    sink.begin(make_info(), false);
    sink.step(make_step(1, {}));
    QTRY_COMPARE(committed.load(), std::int64_t{1});
    QCOMPARE(rows_of(folder), std::int64_t{1});
  }

  void heartbeatGoesOnByItself() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    SinkOptions options;
    options.heartbeat_every = milliseconds(30);
    options.commit_every = milliseconds(10);
    SqliteSink sink(folder, {}, options);
    sink.begin(make_info(), false);
    RunReader reader(folder);
    const double first = reader.state().heartbeat_unix;
    QTRY_VERIFY(reader.state().heartbeat_unix > first + 0.1);
  }

  // A queue that is full again and again: the caller waits, nothing is lost.
  void backPressureLosesNothing() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    SinkOptions options;
    options.queue_bytes = 1U << 20;
    SqliteSink sink(folder, {}, options);
    sink.begin(make_info(), false);
    sink.add_series({make_series("a"), make_series("b"), make_series("c")});
    constexpr int kRows = 200000;
    for (int i = 1; i <= kRows; ++i) {
      sink.step(make_step(i, {{0, i * 0.5}, {1, -i}, {2, std::nan("")}}));
    }
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    const storage::CheckResult check = storage::check_run(folder);
    QVERIFY(check.problems.empty());
    QCOMPARE(check.rows, std::int64_t{kRows});
    QCOMPARE(check.samples, std::int64_t{kRows} * 3);
    storage::SeriesSamples samples;
    RunReader(folder).read_series(0, 0, samples);
    QCOMPARE(samples.value.size(), std::size_t{kRows});
    for (int i = 0; i < kRows; ++i) {
      QCOMPARE(samples.value[static_cast<std::size_t>(i)], (i + 1) * 0.5);
    }
  }

  void busyFileIsWaitedFor() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    SqliteSink sink(folder);
    sink.begin(make_info(), false);
    sink.flush();
    {
      storage::Database other(folder / "run.sqlite", storage::Database::Mode::kReadWrite);
      const storage::Transaction writing(other, storage::Transaction::Kind::kWrite);
      for (int i = 1; i <= 1000; ++i) {
        sink.step(make_step(i, {}));
      }
      sleep_ms(300);
      QCOMPARE(rows_of(folder), std::int64_t{0});
    }
    sink.flush();
    QCOMPARE(rows_of(folder), std::int64_t{1000});
    QCOMPARE(sink.failure(), std::string());
  }

  void aRecordThatCannotBeOpenedIsSaidAtOnce() {
    const TempFolder temp;
    SqliteSink sink(temp.path() / "no such folder");
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, sink.begin(make_info(), false));
    // What is called all the same goes nowhere, and nobody waits.
    QVERIFY((sink.add_series({make_series("a")}) == std::vector<std::int32_t>{0}));
    sink.step(make_step(1, {{0, 1.0}}));
    sink.flush();
    sink.finish(RunState::kFailed, 4);
    QVERIFY(!fs::exists(temp.path() / "no such folder"));
  }

  void resumeKeepsSeriesNumbers() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    {
      SqliteSink sink(folder);
      sink.begin(make_info(), false);
      sink.add_series({make_series("a"), make_series("b")});
      sink.step(make_step(1, {{1, 1.0}}));
    }  // as after a crash: no finish()
    SqliteSink sink(folder);
    sink.begin(make_info(), true);
    QVERIFY(
        (sink.add_series({make_series("c"), make_series("b")}) == std::vector<std::int32_t>{2, 1}));
    sink.step(make_step(1, {{2, 2.0}}));
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    QCOMPARE(rows_of(folder), std::int64_t{2});
    QVERIFY(storage::check_run(folder).problems.empty());
  }

  // Kill -9: nothing that was announced as committed is lost.
  void killedProcessLosesNothingAnnounced() {
    std::mt19937 random(3);
    for (int kill = 0; kill < 8; ++kill) {
      const TempFolder temp;
      const fs::path folder = temp.run("r");
      int ends[2];
      QCOMPARE(::pipe(ends), 0);
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(ends[0]);
        SinkOptions options;
        options.commit_every = milliseconds(5);
        SqliteSink sink(folder,
                        {.committed =
                             [&](std::int64_t seq) {
                               [[maybe_unused]] auto n = ::write(ends[1], &seq, sizeof seq);
                             }},
                        options);
        sink.begin(make_info(), false);
        sink.add_series({make_series("a")});
        for (std::int64_t i = 1;; ++i) {
          sink.step(make_step(i, {{0, double(i)}}));
          if (i % 100 == 0) {
            sleep_ms(1);
          }
        }
      }
      ::close(ends[1]);
      std::int64_t announced = 0, number = 0;
      QVERIFY(::read(ends[0], &announced, sizeof announced) == sizeof announced);
      sleep_ms(static_cast<int>(random() % 60));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      while (::read(ends[0], &number, sizeof number) == sizeof number) {
        announced = number;
      }
      ::close(ends[0]);
      QVERIFY(rows_of(folder) >= announced);
      QVERIFY(storage::check_run(folder).problems.empty());
    }
  }
};

BATCHSCOPE_TEST(TestSqliteSink)
#include "tst_sqlite_sink.moc"
