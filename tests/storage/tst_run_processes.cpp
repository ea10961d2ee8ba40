#include "storage/run_check.h"
#include "storage/sqlite.h"
#include "tests/storage/child_process.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QCryptographicHash>
#include <QFile>
#include <QtTest>

#include <chrono>
#include <random>
#include <signal.h>
#include <thread>
#include <unistd.h>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunReader;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

void sleep_ms(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

double value_of(std::int64_t seq) {
  return static_cast<double>(seq) * 0.5 + 1;
}

/// Every row up to the newest is there with its values. Empty: yes.
QString broken_rows(RunReader& reader, std::int64_t at_least) {
  storage::RowAxis axis;
  storage::SeriesSamples dense, sparse;
  const std::int64_t newest = reader.read_axis(0, axis);
  reader.read_series(0, 0, dense, newest);
  reader.read_series(1, 0, sparse, newest);
  if (newest < at_least) {
    return QStringLiteral("lost: %1 of %2").arg(newest).arg(at_least);
  }
  if (axis.seq.size() != static_cast<std::size_t>(newest) || dense.seq != axis.seq ||
      sparse.seq.size() != static_cast<std::size_t>(newest / 7)) {
    return QStringLiteral("%1 rows, %2 and %3 samples up to %4")
        .arg(axis.seq.size())
        .arg(dense.seq.size())
        .arg(sparse.seq.size())
        .arg(newest);
  }
  for (std::size_t i = 0; i < axis.seq.size(); ++i) {
    if (axis.seq[i] != static_cast<std::int64_t>(i + 1) ||
        dense.value[i] != value_of(axis.seq[i])) {
      return QStringLiteral("row %1").arg(i + 1);
    }
  }
  for (std::size_t i = 0; i < sparse.seq.size(); ++i) {
    if (sparse.seq[i] != static_cast<std::int64_t>(i + 1) * 7) {
      return QStringLiteral("sparse sample %1").arg(i);
    }
  }
  return {};
}

void write_rows(RunWriter& writer, std::int64_t rows, int pipe_end, int commit_every) {
  const std::int64_t end = writer.last_seq() + rows;
  while (writer.last_seq() < end) {
    const std::int64_t seq = writer.last_seq() + 1;
    std::vector<std::pair<std::int32_t, double>> values = {{0, value_of(seq)}};
    if (seq % 7 == 0) {
      values.emplace_back(1, 0.0);
    }
    writer.step(make_step(seq, values));
    if (seq % commit_every == 0 || seq == end) {
      const std::int64_t committed = writer.commit();
      if (pipe_end >= 0) {
        tell(pipe_end, committed);
      }
    }
  }
}

void start_run(const fs::path& folder) {
  RunWriter writer(folder, make_info(), false);
  writer.segment({0, -1, 0, -1, "start"});
  writer.add_series({make_series("loss"), make_series("sparse")});
  writer.commit();
}

QByteArray digest(const fs::path& file) {
  QFile in(QString::fromStdString(file.string()));
  if (!in.open(QIODevice::ReadOnly)) {
    return {};
  }
  return QCryptographicHash::hash(in.readAll(), QCryptographicHash::Sha256);
}

bool side_files_exist(const fs::path& folder) {
  return fs::exists(folder / "run.sqlite-wal") || fs::exists(folder / "run.sqlite-shm") ||
         fs::exists(folder / "run.sqlite-journal") || fs::exists(folder / "run.sqlite.part");
}

}  // namespace

class TestRunProcesses : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void killedWriterLosesNothingCommitted() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    std::mt19937 random(7);
    std::int64_t known = 0;
    // At least so often, and until folding was under fire, too.
    for (int kill = 0; kill < 24 || known <= 2048; ++kill) {
      Child child([&folder, kill](int pipe_end) {
        RunWriter writer(folder, {}, true);
        tell(pipe_end, writer.last_seq());
        write_rows(writer, 1'000'000'000, pipe_end, kill % 2 == 0 ? 1 : 64);
      });
      std::int64_t started = 0;
      QVERIFY(child.next(started));
      QVERIFY(started >= known);
      sleep_ms(static_cast<int>(random() % 40));
      child.end(SIGKILL);
      known = std::max(started, child.last());
      RunReader reader(folder);
      QCOMPARE(broken_rows(reader, known), QString());
      QCOMPARE(reader.last_seq() < known, false);
    }
    const storage::CheckResult check = storage::check_run(folder);
    QVERIFY2(check.problems.empty(), check.problems.empty() ? "" : check.problems.front().c_str());
  }

  /// Whatever a start leaves that is killed in its first moments, the next one begins or goes on.
  void killedStartCanStartAgain() {
    std::mt19937 random(5);
    int begun = 0;
    for (int kill = 0; kill < 40; ++kill) {
      const TempFolder temp;
      const fs::path folder = temp.run("r");
      Child child([&folder](int pipe_end) {
        tell(pipe_end, 1);
        RunWriter writer(folder, make_info(), false);
        sleep_ms(60000);
      });
      std::int64_t ready = 0;
      QVERIFY(child.next(ready));
      // From at once to after the start, however long that takes here.
      std::this_thread::sleep_for(std::chrono::microseconds(random() % (2U << kill % 18)));
      child.end(SIGKILL);
      const bool there = fs::exists(folder / storage::kRunFile);
      begun += there ? 1 : 0;
      if (there) {
        QCOMPARE(RunReader(folder).info().id, make_info().id);
      }
      RunWriter(folder, make_info(), there).finish(contract::RunState::kFinished, 0);
      QVERIFY(storage::check_run(folder).problems.empty());
      QVERIFY(!side_files_exist(folder));
    }
    qInfo("%d of 40 had begun when killed", begun);
  }

  void killedFinishLosesNothing() {
    std::mt19937 random(11);
    int whole = 0;
    for (int kill = 0; kill < 12; ++kill) {
      const TempFolder temp;
      const fs::path folder = temp.run("r");
      start_run(folder);
      Child child([&folder](int pipe_end) {
        RunWriter writer(folder, {}, true);
        write_rows(writer, 3000, -1, 500);
        tell(pipe_end, writer.last_seq());
        writer.finish(contract::RunState::kFinished, 0);
      });
      std::int64_t known = 0;
      QVERIFY(child.next(known));
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 5000));
      child.end(SIGKILL);
      QCOMPARE(known, std::int64_t{3000});
      RunReader reader(folder);
      QCOMPARE(broken_rows(reader, known), QString());
      QVERIFY(storage::check_run(folder).problems.empty());
      whole += reader.state().report.state == contract::RunState::kFinished;
      // Whatever was left can be closed.
      RunWriter(folder, {}, true).finish(contract::RunState::kFailed, 4);
      QCOMPARE(broken_rows(reader, known), QString());
      QVERIFY(!side_files_exist(folder));
    }
    qInfo("%d of 12 were finished when killed", whole);
  }

  void twoReadersFollowAWriter() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    Child child([&folder](int pipe_end) {
      RunWriter writer(folder, {}, true);
      write_rows(writer, 20000, pipe_end, 100);
      writer.finish(contract::RunState::kFinished, 0);
    });
    RunReader first(folder), second(folder);
    storage::RowAxis axis;
    storage::SeriesSamples samples;
    std::int64_t seen = 0, committed = 0;
    while (child.next(committed)) {
      QVERIFY(second.last_seq() >= committed);
      const std::int64_t newest = first.read_axis(seen, axis);
      QCOMPARE(first.read_series(0, seen, samples, newest), newest);
      QVERIFY(newest >= committed);
      seen = newest;
    }
    QCOMPARE(child.end(0), 0);
    QCOMPARE(seen, std::int64_t{20000});
    QVERIFY(samples.seq == axis.seq);
    // The file under both was replaced by its compact copy, and says that the run is over.
    QVERIFY(second.state().report.state == contract::RunState::kFinished);
    QCOMPARE(broken_rows(first, 20000), QString());
    QVERIFY(!side_files_exist(folder));
  }

  void readersSeeAResumedRun() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    RunReader reader(folder);
    {
      RunWriter writer(folder, {}, true);
      write_rows(writer, 100, -1, 10);
      QCOMPARE(reader.last_seq(), std::int64_t{100});
      writer.finish(contract::RunState::kStopped, 0);
    }
    QCOMPARE(reader.last_seq(), std::int64_t{100});
    RunWriter writer(folder, {}, true);
    write_rows(writer, 100, -1, 10);
    QCOMPARE(reader.last_seq(), std::int64_t{200});
    QCOMPARE(broken_rows(reader, 200), QString());
  }

  void finishedFileIsSelfContained() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    {
      RunWriter writer(folder, {}, true);
      write_rows(writer, 1500, -1, 10);
      QVERIFY(side_files_exist(folder));
      writer.finish(contract::RunState::kFinished, 0);
    }
    QVERIFY(!side_files_exist(folder));
    const fs::path alone = temp.path() / "alone.bscope";
    fs::copy_file(folder / storage::kRunFile, alone);
    RunReader reader(alone);
    QCOMPARE(broken_rows(reader, 1500), QString());
    QCOMPARE(storage::Database::open_for_reading(alone).query_text("PRAGMA journal_mode"),
             std::string("delete"));
  }

  void readingChangesNothing() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    {
      Child child([&folder](int pipe_end) {
        RunWriter writer(folder, {}, true);
        write_rows(writer, 3000, -1, 10);
        tell(pipe_end, writer.last_seq());
        sleep_ms(60000);
      });
      std::int64_t rows = 0;
      QVERIFY(child.next(rows));
    }  // killed: the log stays beside the file
    const fs::path file = folder / storage::kRunFile, wal = folder / "run.sqlite-wal";
    const QByteArray before = digest(file), log_before = digest(wal);
    QVERIFY(!log_before.isEmpty());
    for (int i = 0; i < 2; ++i) {
      RunReader reader(folder);
      QCOMPARE(broken_rows(reader, 3000), QString());
      storage::check_run(folder);
    }
    QCOMPARE(digest(file), before);
    QCOMPARE(digest(wal), log_before);
    {
      RunWriter writer(folder, {}, true);
      writer.finish(contract::RunState::kFailed, 1);
    }
    const QByteArray finished = digest(file);
    RunReader reader(folder);
    QCOMPARE(broken_rows(reader, 3000), QString());
    QCOMPARE(digest(file), finished);
    QVERIFY(!side_files_exist(folder));
  }

  /// Another user without a right to write: a killed run with its log, and a finished one.
  void readOnlyFolders_data() {
    QTest::addColumn<bool>("finished");
    QTest::newRow("killed") << false;
    QTest::newRow("finished") << true;
  }
  void readOnlyFolders() {
    QFETCH(bool, finished);
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    Child writing([&folder, finished](int pipe_end) {
      RunWriter writer(folder, {}, true);
      write_rows(writer, 1200, -1, 10);
      if (finished) {
        writer.finish(contract::RunState::kFinished, 0);
      }
      tell(pipe_end, 1);
      sleep_ms(60000);
    });
    std::int64_t ready = 0;
    QVERIFY(writing.next(ready));
    writing.end(SIGKILL);
    std::error_code ignored;
    fs::remove(folder / "run.sqlite-shm", ignored);
    const auto everyone = fs::perms::owner_read | fs::perms::owner_exec | fs::perms::group_read |
                          fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec;
    for (fs::path path = folder; path != path.root_path() && path != fs::temp_directory_path();
         path = path.parent_path()) {
      fs::permissions(path, everyone);
    }
    Child reading([&folder](int pipe_end) {
      constexpr uid_t kNobody = 65534;  // the super-user may write anywhere
      if (::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) {
        ::_exit(3);
      }
      const bool writable = ::access(folder.c_str(), W_OK) == 0;
      RunReader reader(folder);
      tell(pipe_end, writable ? -1 : broken_rows(reader, 1200).isEmpty() ? 1200 : -2);
    });
    std::int64_t rows = 0;
    QVERIFY(reading.next(rows));
    QCOMPARE(rows, std::int64_t{1200});
    QCOMPARE(reading.end(0), 0);
    fs::permissions(folder, fs::perms::owner_all);
    fs::permissions(temp.path(), fs::perms::owner_all);
  }

  // A reader that sits in one transaction keeps the log from being reset; once it lets go, the log
  // shrinks again.
  void logIsTruncated() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    start_run(folder);
    RunWriter writer(folder, {}, true);
    storage::Database holder = storage::Database::open_for_reading(folder / storage::kRunFile);
    const fs::path wal = folder / "run.sqlite-wal";
    constexpr std::uintmax_t kLimit = 64U << 20;
    contract::ProbeRecord probe;
    probe.width = probe.height = 1;
    {
      const storage::Transaction reading(holder, storage::Transaction::Kind::kRead);
      holder.query_integer("SELECT count(*) FROM run");
      for (int i = 0; i < 33; ++i) {
        probe.probe = i;
        probe.png.assign(2U << 20, static_cast<char>('a' + i));
        writer.probe(probe);
        writer.commit();
      }
      QVERIFY(fs::file_size(wal) > kLimit);
    }
    writer.commit();
    for (int i = 0; i < 3; ++i) {
      probe.probe = 100 + i;
      probe.png[0] = static_cast<char>(i);
      writer.probe(probe);
      writer.commit();
    }
    QVERIFY2(fs::file_size(wal) <= kLimit, std::to_string(fs::file_size(wal)).c_str());
    QCOMPARE(RunReader(folder).probes().size(), std::size_t{36});
  }
};

BATCHSCOPE_TEST(TestRunProcesses)
#include "tst_run_processes.moc"
