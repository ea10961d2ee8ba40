#include "storage/catalogue.h"
#include "storage/csv_export.h"
#include "storage/run_bundle.h"
#include "storage/run_check.h"
#include "storage/run_lock.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <sqlite3.h>

#include <atomic>
#include <fstream>
#include <sys/stat.h>

using namespace batchscope;
using namespace batchscope::test;
using contract::StorageError;
using storage::RunReader;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

/// Carries out SQL as a stranger would: with no protection at all.
void tamper(const fs::path& file, const std::string& sql) {
  sqlite3* handle = nullptr;
  sqlite3_open(file.c_str(), &handle);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
  char* error = nullptr;
  sqlite3_exec(handle, sql.c_str(), nullptr, nullptr, &error);
  if (error) {
    qFatal("%s", error);
  }
  sqlite3_close(handle);
}

/// A finished run with rows, samples in chunks, a picture and an event.
fs::path a_run(const TempFolder& temp, const std::string& id = "0123456789ab") {
  const fs::path folder = temp.run(id);
  RunWriter writer(folder, make_info(id), false);
  writer.segment({0, -1, 0, -1, "start"});
  writer.add_series({make_series("loss")});
  for (int i = 1; i <= 1500; ++i) {
    writer.step(make_step(i, {{0, 1.0 / i}}));
  }
  contract::ProbeRecord probe;
  probe.width = 64;
  probe.height = 48;
  writer.probe(probe);
  writer.event({0, 10, 0, "", "lr", "user", "text", {}});
  writer.finish(contract::RunState::kFinished, 0);
  return folder;
}

template <class Function>
std::string refusal(Function function) {
  try {
    function();
    return {};
  } catch (const StorageError& error) {
    return error.what();
  }
}

/// All ways to a run file but the writer's, of a file that should be refused by each.
std::string let_through(const fs::path& folder) {
  const fs::path file = folder / storage::kRunFile, out = folder / "out";
  if (refusal([&] { RunReader{folder}; }).empty()) {
    return "reader";
  }
  if (refusal([&] { storage::check_run(folder); }).empty()) {
    return "check";
  }
  if (refusal([&] { storage::export_bundle(folder, out); }).empty()) {
    return "export";
  }
  if (refusal([&] { storage::import_bundle(file, folder / "library"); }).empty()) {
    return "import";
  }
  if (refusal([&] { RunWriter(folder, {}, true); }).empty()) {
    return "writer";
  }
  if (storage::summarise(folder).error.empty()) {
    return "list";
  }
  return {};
}

}  // namespace

/// Run files and folders that come from somebody who means harm.
class TestHostileFiles : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void whatRunsCodeIsRefused_data() {
    QTest::addColumn<QString>("sql");
    QTest::addColumn<QString>("what");
    const auto row = [](const char* name, const char* sql, const char* what) {
      QTest::newRow(name) << QString::fromLatin1(sql) << QString::fromLatin1(what);
    };
    row("endless view",
        "ALTER TABLE run RENAME TO checkpoint2; DROP TABLE checkpoint2; CREATE VIEW run AS WITH "
        "RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT 1 AS one, i AS id, '' "
        "AS "
        "name, '' AS spec_toml FROM n",
        "view 'run'");
    row("large view",
        "DROP TABLE state; CREATE VIEW state AS SELECT zeroblob(400000000) AS state",
        "view 'state'");
    row("trigger",
        "CREATE TRIGGER t AFTER UPDATE ON state BEGIN DELETE FROM event; END",
        "trigger 't'");
    row("virtual table",
        "DROP TABLE event; CREATE VIRTUAL TABLE event USING fts4(id, segment, step)",
        "'event");
    row("foreign table", "CREATE TABLE other (a)", "table 'other'");
    row("foreign index", "CREATE INDEX i ON event (abs(step))", "index 'i'");
    row("computed column",
        "ALTER TABLE run ADD COLUMN more BLOB AS (zeroblob(100000000))",
        "column 'more'");
    row("computed index",
        "DROP INDEX series_chunk_key; CREATE INDEX series_chunk_key ON series_chunk (abs(series))",
        "'series_chunk_key' is computed");
  }
  void whatRunsCodeIsRefused() {
    QFETCH(QString, sql);
    QFETCH(QString, what);
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    tamper(folder / storage::kRunFile, sql.toStdString());
    const std::string sentence = refusal([&] { RunReader{folder}; });
    QVERIFY2(sentence.find(what.toStdString()) != std::string::npos, sentence.c_str());
    QCOMPARE(let_through(folder), std::string());
    a_run(temp, "bbbb00000002");
    QCOMPARE(storage::list_runs(temp.path()).size(), std::size_t{2});
  }

  /// One that comes into the place of a file that is open already.
  void aReplacedFileIsLookedAtAgain() {
    const TempFolder temp;
    const fs::path folder = a_run(temp), other = a_run(temp, "bbbb00000002");
    RunReader reader(folder);
    reader.info();
    tamper(other / storage::kRunFile, "CREATE TABLE other (a)");
    fs::rename(other / storage::kRunFile, folder / storage::kRunFile);
    QVERIFY(!refusal([&] { reader.info(); }).empty());
  }

  /// Connections of ours carry out no view and no trigger, wherever they come from.
  void connectionsTrustNoSchema() {
    const TempFolder temp;
    const fs::path file = temp.path() / "other.sqlite";
    tamper(file,
           "CREATE TABLE a (x); CREATE TABLE b (x); CREATE VIEW v AS SELECT 7 AS x; "
           "CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO b VALUES (1); END");
    QVERIFY(!refusal([&] {
               storage::Database::open_for_reading(file).query_integer("SELECT x FROM v");
             }).empty());
    storage::Database database(file, storage::Database::Mode::kReadWrite);
    QVERIFY(!refusal([&] { database.query_integer("SELECT x FROM v"); }).empty());
    database.execute("INSERT INTO a VALUES (1)");
    QCOMPARE(database.query_integer("SELECT count(*) FROM b"), std::int64_t{0});
  }

  void countsAreLookedAtBeforeMemoryIsTaken_data() {
    QTest::addColumn<QString>("sql");
    for (const char* column : {"series_chunk", "axis_chunk"}) {
      for (const char* count : {"-1",
                                "300000000",
                                "1000000000000",
                                "2305843009213693952",
                                "2305843009213694976",
                                "9223372036854775807",
                                "-9223372036854775808",
                                "1025"}) {
        QTest::addRow("%s %s", column, count)
            << QStringLiteral("UPDATE %1 SET count = %2")
                   .arg(QString::fromLatin1(column), QString::fromLatin1(count));
      }
    }
    QTest::newRow("first_seq") << QStringLiteral(
        "UPDATE series_chunk SET first_seq = 9223372036854775000 - id");
  }
  void countsAreLookedAtBeforeMemoryIsTaken() {
    QFETCH(QString, sql);
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    tamper(folder / storage::kRunFile, sql.toStdString());
    QVERIFY(!storage::check_run(folder).problems.empty());
    RunReader reader(folder);
    if (!sql.contains(QStringLiteral("first_seq"))) {
      const std::string sentence =
          refusal([&] { storage::export_csv(reader, temp.path() / "run.csv"); });
      QVERIFY2(sentence.find("damaged") != std::string::npos, sentence.c_str());
    }
    storage::summarise(folder);
    refusal([&] { RunWriter(folder, {}, true).finish(contract::RunState::kFailed, 4); });
  }

  void picturesHaveASizeThatCanBeDrawn_data() {
    QTest::addColumn<QString>("sql");
    for (const char* size : {"width = 0",
                             "height = 0",
                             "width = -5",
                             "width = 4294967360",
                             "width = 60000, height = 60000",
                             "height = 65536"}) {
      QTest::newRow(size) << QStringLiteral("UPDATE probe SET ") + QString::fromLatin1(size);
    }
  }
  void picturesHaveASizeThatCanBeDrawn() {
    QFETCH(QString, sql);
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    QCOMPARE(RunReader(folder).probes().size(), std::size_t{1});
    tamper(folder / storage::kRunFile, sql.toStdString());
    const std::string sentence = refusal([&] { RunReader(folder).probes(); });
    QVERIFY2(sentence.find("pixels") != std::string::npos, sentence.c_str());
  }

  void aStateThatIsNoneIsDamage() {
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    tamper(folder / storage::kRunFile, "UPDATE state SET state = 'dancing'");
    const std::string sentence = refusal([&] { RunReader(folder).state(); });
    QVERIFY2(sentence.find("dancing") != std::string::npos, sentence.c_str());
  }

  /// A list takes no more than its time for one file, and ends when it is not wanted any more.
  void aListIsNotHeldUp() {
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    tamper(
        folder / storage::kRunFile,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) INSERT INTO "
        "eval SELECT i + 10, 0, i, 0, 0, 0, 0 FROM n");
    std::atomic<bool> cancelled{true};
    RunReader reader(folder, {0, &cancelled});
    QVERIFY(!refusal([&] { reader.evals(0); }).empty());
    cancelled = false;
    QCOMPARE(reader.evals(0).size(), std::size_t{100000});
    RunReader hurried(folder, {100000, nullptr});
    const std::string sentence = refusal([&] { hurried.evals(0); });
    QVERIFY2(sentence.find("takes too long") != std::string::npos, sentence.c_str());
    cancelled = true;
    QVERIFY(storage::list_runs(temp.path(), &cancelled).empty());
    QCOMPARE(storage::list_runs(temp.path()).size(), std::size_t{1});
  }

  void idsOfImportsAreIds_data() {
    QTest::addColumn<QByteArray>("id");
    for (const char* id : {"",
                           "../../etc",
                           "..",
                           "0123456789a",
                           "0123456789abc",
                           "0123456789AB",
                           "0123456789a\n",
                           "\x1b[2J456789ab",
                           "0123456789ag",
                           "a/b"}) {
      QTest::newRow(id) << QByteArray(id);
    }
  }
  void idsOfImportsAreIds() {
    QFETCH(QByteArray, id);
    const TempFolder temp;
    const fs::path folder = a_run(temp);
    tamper(folder / storage::kRunFile,
           "UPDATE run SET id = CAST(x'" + id.toHex().toStdString() + "' AS TEXT)");
    const std::string sentence = refusal(
        [&] { storage::import_bundle(folder / storage::kRunFile, temp.path() / "library"); });
    QVERIFY2(sentence.find("no run id") != std::string::npos, sentence.c_str());
    QVERIFY(!fs::exists(temp.path() / "library"));
  }

  /// A pipe in the place of the lock keeps nobody waiting, and a link does not lead elsewhere.
  void aLockIsAPlainFile() {
    const TempFolder temp;
    const fs::path folder = a_run(temp), lock = folder / storage::kLockFile;
    QCOMPARE(::mkfifo(lock.c_str(), 0600), 0);
    QVERIFY(!storage::run_is_locked(folder));
    QVERIFY(!refusal([&] { storage::RunLock{folder}; }).empty());
    QCOMPARE(storage::list_runs(temp.path()).size(), std::size_t{1});
    fs::remove(lock);
    const fs::path precious = temp.path() / "thesis.tex";
    std::ofstream(precious) << "precious";
    fs::create_symlink(precious, lock);
    QVERIFY(!storage::run_is_locked(folder));
    QVERIFY(!refusal([&] { storage::RunLock{folder}; }).empty());
    QCOMPARE(fs::file_size(precious), std::uintmax_t{8});
  }
};

BATCHSCOPE_TEST(TestHostileFiles)
#include "tst_hostile_files.moc"
