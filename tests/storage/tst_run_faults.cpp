#include "storage/catalogue.h"
#include "storage/run_check.h"
#include "storage/run_identity.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <fstream>

using namespace batchscope;
using namespace batchscope::test;
using storage::RunReader;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

bool is_whole(const fs::path& folder) {
  return storage::check_run(folder).problems.empty();
}

}  // namespace

/// Run files on disks that fail.
class TestRunFaults : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// The log is to be truncated after a commit, and the disk is full: what was given is stored,
  /// once.
  void aLogThatCannotBeTruncatedIsNoFailure() {
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    {
      storage::Database reader = storage::Database::open_for_reading(folder / storage::kRunFile);
      const storage::Transaction reading(reader, storage::Transaction::Kind::kRead);
      reader.query_integer("SELECT count(*) FROM run");
      contract::ProbeRecord probe;
      for (int i = 0; i < 33; ++i) {  // more than 64 MB of log
        probe.probe = i;
        probe.png.assign(2U << 20, static_cast<char>('a' + i));
        writer.probe(probe);
        writer.commit();
      }
    }
    disk.fill("run.sqlite");  // the log itself can be written
    writer.step(make_step(1, {}));
    writer.event({0, 1, 0, "", "lr", "user", "text", {}});
    QCOMPARE(writer.commit(), std::int64_t{1});
    QVERIFY(disk.refused() > 0);
    disk.empty();
    writer.step(make_step(2, {}));
    QCOMPARE(writer.commit(), std::int64_t{2});
    QCOMPARE(RunReader(folder).events(0).size(), std::size_t{1});
    QVERIFY(fs::file_size(folder / "run.sqlite-wal") < (64U << 20));
    QVERIFY(is_whole(folder));
  }

  /// No space for the second file of the end: the record is whole as it is.
  void noSpaceForTheCompactCopyIsNoFailure() {
    FaultyDisk disk;
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    for (int i = 1; i <= 1500; ++i) {
      writer.step(make_step(i, {}));
    }
    writer.commit();
    disk.fill("run.sqlite.part");
    writer.finish(contract::RunState::kFinished, 0);
    QVERIFY(disk.refused() > 0);
    QVERIFY(!fs::exists(folder / "run.sqlite.part"));
    QVERIFY(!fs::exists(folder / "run.sqlite-wal"));
    RunReader reader(folder);
    QVERIFY(reader.state().report.state == contract::RunState::kFinished);
    QCOMPARE(reader.last_seq(), std::int64_t{1500});
    QVERIFY(is_whole(folder));
    RunWriter(folder, {}, true).finish(contract::RunState::kFinished, 0);  // goes on as ever
    QCOMPARE(reader.last_seq(), std::int64_t{1500});
  }

  /// What a start of a program of before left when it was killed in its first milliseconds.
  void anEmptyDatabaseIsNoRecord_data() {
    QTest::addColumn<bool>("resumed");
    QTest::newRow("begins") << false;
    QTest::newRow("goes on") << true;
  }
  void anEmptyDatabaseIsNoRecord() {
    QFETCH(bool, resumed);
    const TempFolder temp;
    const fs::path folder = temp.run("0123456789ab");
    std::ofstream(folder / storage::kSpecFile) << "[run]\n";
    QVERIFY(!storage::has_record(folder));
    storage::Database(folder / storage::kRunFile, storage::Database::Mode::kCreate)
        .query_text("PRAGMA journal_mode = WAL");
    QVERIFY(fs::file_size(folder / storage::kRunFile) > 0);
    QVERIFY(!storage::has_record(folder));
    const storage::RunSummary prepared = storage::summarise(folder);
    QCOMPARE(prepared.error, std::string());
    QVERIFY(prepared.state == contract::RunState::kQueued);
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunReader{folder});
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunWriter(folder, {}, true));
    {
      RunWriter writer(folder, make_info(), resumed);
      writer.step(make_step(1, {}));
      writer.commit();
    }
    QVERIFY(storage::has_record(folder));
    QVERIFY(is_whole(folder));
    // A record is never begun again over one that is there.
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunWriter(folder, make_info(), false));
    QCOMPARE(RunReader(folder).last_seq(), std::int64_t{1});
  }

  /// A disk that is full from the start, or at any write on the way: the next start succeeds.
  void aRunThatCouldNotBeginCanBegin() {
    bool begun = false;
    for (int writes = 1; !begun; ++writes) {
      FaultyDisk disk;
      const TempFolder temp;
      const fs::path folder = temp.run("r");
      disk.fill_after(writes);
      try {
        RunWriter(folder, make_info(), false);
        begun = disk.refused() == 0;
      } catch (const contract::StorageError& error) {
        QVERIFY2(std::string(error.what()).find("no space left") != std::string::npos,
                 error.what());
      }
      disk.empty();
      const bool there = storage::has_record(folder);
      RunWriter writer(folder, make_info(), there);
      writer.step(make_step(1, {}));
      writer.finish(contract::RunState::kFinished, 0);
      QVERIFY(is_whole(folder));
      QCOMPARE(RunReader(folder).last_seq(), std::int64_t{1});
    }
  }
};

BATCHSCOPE_TEST(TestRunFaults)
#include "tst_run_faults.moc"
