#include "app/sqlite_sink.h"
#include "storage/run_check.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>

using namespace batchscope;
using namespace batchscope::test;
using app::SinkOptions;
using app::SqliteSink;
using contract::RunState;
using storage::RunReader;

namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int kPatience = 60000;  // ms; a machine may be busy

/// What a sink said.
class Listener {
 public:
  app::SinkListener listener() {
    return {.committed = {},
            .trouble =
                [this](const std::string& sentence) {
                  const std::lock_guard guard(mutex_);
                  trouble_ = sentence;
                  ++troubles_;
                },
            .say =
                [this](const std::string& line) {
                  const std::lock_guard guard(mutex_);
                  lines_.push_back(line);
                }};
  }
  std::string trouble() const {
    const std::lock_guard guard(mutex_);
    return trouble_;
  }
  int troubles() const {
    const std::lock_guard guard(mutex_);
    return troubles_;
  }
  std::vector<std::string> lines() const {
    const std::lock_guard guard(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::string trouble_;
  int troubles_ = 0;
  std::vector<std::string> lines_;
};

SinkOptions quick() {
  SinkOptions options;
  options.commit_every = milliseconds(1);
  options.longest_pause = milliseconds(20);
  return options;
}

std::vector<contract::EventRecord> events_of(const fs::path& folder, const std::string& kind) {
  std::vector<contract::EventRecord> found;
  for (const storage::StoredEvent& event : RunReader(folder).events(0)) {
    if (event.record.kind == kind) {
      found.push_back(event.record);
    }
  }
  return found;
}

std::string problems(const fs::path& folder) {
  const storage::CheckResult check = storage::check_run(folder);
  return check.problems.empty() ? std::string() : check.problems.front();
}

std::vector<std::int64_t> steps_of(const fs::path& folder) {
  storage::RowAxis axis;
  RunReader(folder).read_axis(0, axis);
  return axis.step;
}

}  // namespace

class TestSinkFaults : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aFullDiskIsWaitedOut() {
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SqliteSink sink(folder, heard.listener(), quick());
    sink.begin(make_info(), false);
    sink.segment({0, -1, 0, -1, "start"});
    for (int i = 1; i <= 100; ++i) {
      sink.step(make_step(i, {}));
    }
    sink.flush();
    disk.fill();
    for (int i = 101; i <= 500; ++i) {
      sink.step(make_step(i, {}));
    }
    sink.checkpoint({0, 450, "checkpoints/b", "checkpoint", 1});
    QTRY_VERIFY_WITH_TIMEOUT(!heard.trouble().empty(), kPatience);
    sink.flush();  // nobody is held up
    const int before = disk.refused();
    QTRY_VERIFY_WITH_TIMEOUT(disk.refused() > before + 20, kPatience);  // far more than three times
    QVERIFY2(heard.trouble().find("no space left") != std::string::npos, heard.trouble().c_str());
    QCOMPARE(heard.lines().size(), std::size_t{1});
    QCOMPARE(RunReader(folder).last_seq(), std::int64_t{100});
    disk.empty();
    QTRY_COMPARE_WITH_TIMEOUT(heard.trouble(), std::string(), kPatience);
    sink.step(make_step(501, {}));
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    QCOMPARE(steps_of(folder).size(), std::size_t{501});
    QCOMPARE(RunReader(folder).checkpoints().size(), std::size_t{1});
    QCOMPARE(problems(folder), std::string());
    const auto gaps = events_of(folder, "telemetry_gap");
    QCOMPARE(gaps.size(), std::size_t{1});
    QCOMPARE(gaps[0].args.at("rows"), std::string("0"));
    QCOMPARE(gaps[0].step, std::int64_t{500});
    QCOMPARE(heard.lines().size(), std::size_t{2});
    QCOMPARE(heard.lines()[1], std::string("telemetry is written again; 0 rows were dropped"));
  }

  /// Where the queue is full, the oldest rows make room; what the record stands on stays.
  void aFullQueueKeepsWhatMatters() {
    constexpr int kRows = 3000;
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SinkOptions options = quick();
    options.queue_bytes = 500'000;
    SqliteSink sink(folder, heard.listener(), options);
    sink.begin(make_info(), false);
    sink.add_series({make_series("a")});
    sink.flush();
    disk.fill();
    sink.segment({0, -1, 0, -1, "start"});
    QTRY_VERIFY_WITH_TIMEOUT(!heard.trouble().empty(), kPatience);
    const std::vector<std::pair<std::int32_t, double>> values(64, {0, 1.0});  // 1 KB
    for (int i = 1; i <= kRows; ++i) {
      sink.step(make_step(i, values));
      if (i % 100 == 0) {
        sink.event({0, i, 0, "", "lr", "user", "text", {}});
        sink.checkpoint({0, i, "checkpoints/" + std::to_string(i), "checkpoint", 1});
        contract::StatusReport report;
        report.step = i;
        sink.status(report);
      }
    }
    disk.empty();
    QTRY_COMPARE_WITH_TIMEOUT(heard.trouble(), std::string(), kPatience);
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    const std::vector<std::int64_t> steps = steps_of(folder);
    const auto gaps = events_of(folder, "telemetry_gap");
    QCOMPARE(gaps.size(), std::size_t{1});
    const int dropped = std::stoi(gaps[0].args.at("rows"));
    QVERIFY2(dropped > kRows / 2, gaps[0].text.c_str());
    QCOMPARE(steps.size() + static_cast<std::size_t>(dropped), std::size_t{kRows});
    QCOMPARE(steps.back(), std::int64_t{kRows});
    QVERIFY(std::is_sorted(steps.begin(), steps.end()));
    QCOMPARE(events_of(folder, "lr").size(), std::size_t{kRows / 100});
    QCOMPARE(RunReader(folder).checkpoints().size(), std::size_t{kRows / 100});
    QCOMPARE(RunReader(folder).segments().size(), std::size_t{1});
    QCOMPARE(problems(folder), std::string());
    QVERIFY(heard.lines().back().find(std::to_string(dropped) + " rows were dropped") !=
            std::string::npos);
  }

  /// Another process that sits on the write lock for longer than SQLite waits.
  void aLockIsWaitedOut() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SqliteSink sink(folder, heard.listener(), quick());
    sink.begin(make_info(), false);
    sink.flush();
    {
      storage::Database other(folder / "run.sqlite", storage::Database::Mode::kReadWrite);
      const storage::Transaction writing(other, storage::Transaction::Kind::kWrite);
      for (int i = 1; i <= 1000; ++i) {
        sink.step(make_step(i, {}));
      }
      QTRY_VERIFY_WITH_TIMEOUT(!heard.trouble().empty(), kPatience);
      QVERIFY2(heard.trouble().find("in use by another process") != std::string::npos,
               heard.trouble().c_str());
    }
    QTRY_COMPARE_WITH_TIMEOUT(heard.trouble(), std::string(), kPatience);
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    QCOMPARE(steps_of(folder).size(), std::size_t{1000});
  }

  /// A state's file may go once the row of its successor is committed, and not before.
  void callsComeAfterTheCommit() {
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SqliteSink sink(folder, heard.listener(), quick());
    sink.begin(make_info(), false);
    std::mutex mutex;
    std::vector<std::size_t> seen;
    const auto look = [&] {
      const std::size_t states = RunReader(folder).checkpoints().size();
      const std::lock_guard guard(mutex);
      seen.push_back(states);
    };
    const auto calls = [&] {
      const std::lock_guard guard(mutex);
      return seen.size();
    };
    sink.checkpoint({0, 1, "a", "checkpoint", 1});
    sink.after_commit(look);
    sink.flush();
    QVERIFY((seen == std::vector<std::size_t>{1}));
    disk.fill();
    sink.checkpoint({0, 2, "b", "checkpoint", 1});
    sink.after_commit(look);
    QTRY_VERIFY_WITH_TIMEOUT(!heard.trouble().empty(), kPatience);
    sink.after_commit(look);
    const int before = disk.refused();
    QTRY_VERIFY_WITH_TIMEOUT(disk.refused() > before + 5, kPatience);
    QCOMPARE(calls(), std::size_t{1});
    disk.empty();
    QTRY_COMPARE_WITH_TIMEOUT(calls(), std::size_t{3}, kPatience);
    QVERIFY((seen == std::vector<std::size_t>{1, 2, 2}));
    sink.after_commit([] { throw std::runtime_error("a call of another room"); });
    sink.step(make_step(1, {}));
    sink.finish(RunState::kFinished, 0);
    QCOMPARE(sink.failure(), std::string());
    QCOMPARE(steps_of(folder).size(), std::size_t{1});
  }

  /// What can never be stored (here: another program has taken a table away) keeps nothing back.
  void aRefusedRecordIsLeftOut() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SqliteSink sink(folder, heard.listener(), quick());
    sink.begin(make_info(), false);
    sink.step(make_step(1, {}));
    sink.flush();
    storage::Database(folder / "run.sqlite", storage::Database::Mode::kReadWrite)
        .execute("DROP TABLE eval");
    int lost = 0, kept = 0;
    sink.step(make_step(2, {}));
    sink.eval({});
    sink.after_commit([&] { ++lost; });
    sink.step(make_step(3, {}));
    sink.after_commit([&] { ++kept; });
    sink.flush();
    QCOMPARE(lost, 0);
    QCOMPARE(kept, 1);
    QVERIFY2(sink.failure().find("eval") != std::string::npos, sink.failure().c_str());
    QCOMPARE(heard.lines().size(), std::size_t{1});
    QCOMPARE(heard.troubles(), 0);
    sink.finish(RunState::kFinished, 0);
    RunReader reader(folder);
    QVERIFY(reader.state().report.state == RunState::kFinished);
    QCOMPARE(steps_of(folder).size(), std::size_t{3});
    QVERIFY(events_of(folder, "error").at(0).text.find("eval") != std::string::npos);
  }

  void theEndTriesOnceMoreAndThenSaysWhatIsMissing() {
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    Listener heard;
    SinkOptions options = quick();
    options.last_patience = milliseconds(50);
    SqliteSink sink(folder, heard.listener(), options);
    sink.begin(make_info(), false);
    sink.step(make_step(1, {}));
    sink.flush();
    disk.fill();
    int called = 0;
    sink.step(make_step(2, {}));
    sink.step(make_step(3, {}));
    sink.after_commit([&] { ++called; });
    sink.finish(RunState::kFinished, 0);
    QVERIFY2(sink.failure().find("no space left") != std::string::npos &&
                 sink.failure().find("2 rows of telemetry") != std::string::npos,
             sink.failure().c_str());
    QCOMPARE(called, 0);
    disk.empty();
    QCOMPARE(steps_of(folder).size(), std::size_t{1});
    QCOMPARE(problems(folder), std::string());
  }

  /// At whatever write the disk fills: once it is free again, everything is in the record.
  void disksFillAtAnyWrite() {
    int written = 1000;
    for (int at = 1; at < written; at += at < 40 ? 1 : 7) {
      FaultyDisk disk;
      const TempFolder temp;
      const fs::path folder = temp.run("r");
      Listener heard;
      SqliteSink sink(folder, heard.listener(), quick());
      sink.begin(make_info(), false);
      sink.add_series({make_series("a")});
      sink.flush();
      disk.fill_after(at);
      for (int i = 1; i <= 1200; ++i) {
        sink.step(make_step(i, {{0, 0.5 * i}}));
        if (i % 300 == 0) {
          sink.checkpoint({0, i, std::to_string(i), "checkpoint", 1});
          sink.flush();
        }
      }
      if (disk.refused() == 0) {
        written = at;  // it never came to that
      }
      disk.empty();
      sink.finish(RunState::kFinished, 0);
      QCOMPARE(sink.failure(), std::string());
      QCOMPARE(steps_of(folder).size(), std::size_t{1200});
      QCOMPARE(RunReader(folder).checkpoints().size(), std::size_t{4});
      QCOMPARE(problems(folder), std::string());
    }
    QVERIFY(written < 1000);
  }
};

BATCHSCOPE_TEST(TestSinkFaults)
#include "tst_sink_faults.moc"
