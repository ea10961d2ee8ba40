#include "storage/migrations.h"
#include "storage/run_check.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QFile>
#include <QtTest>

#include <cmath>
#include <fstream>

using namespace batchscope;
using namespace batchscope::test;
using storage::Database;
using storage::Migration;
using storage::RunReader;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

const fs::path kVersion1 = fs::path(BATCHSCOPE_FIXTURES) / "storage" / "version1.bscope";

/// What opening `file` says; empty if it opens.
std::string refusal(const fs::path& file) {
  try {
    RunReader reader(file);
    reader.info();
    storage::RowAxis axis;
    reader.read_axis(0, axis);
    return {};
  } catch (const contract::StorageError& error) {
    return error.what();
  }
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

fs::path version1_folder(const TempFolder& temp) {
  const fs::path folder = temp.run("old");
  fs::copy_file(kVersion1, folder / storage::kRunFile);
  fs::permissions(folder / storage::kRunFile, fs::perms::owner_write, fs::perm_options::add);
  return folder;
}

std::vector<Migration> steps_to_version_3() {
  return {{1, [](Database& db) { db.execute("ALTER TABLE event ADD COLUMN colour TEXT"); }},
          {2, [](Database& db) { db.execute("UPDATE event SET colour = 'grey'"); }}};
}

}  // namespace

class TestMigrations : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void version1Opens() {
    RunReader reader(kVersion1);
    QCOMPARE(reader.info().id, std::string("00000000beef"));
    QVERIFY((reader.info().modules == std::vector<std::string>{"backbone", "neck"}));
    const storage::StoredState stored = reader.state();
    QVERIFY(stored.report.state == contract::RunState::kFinished);
    QVERIFY(stored.report.agvm);
    QCOMPARE(stored.pid, std::int64_t{4711});
    QCOMPARE(stored.heartbeat_unix, 1795300000.5);
    storage::RowAxis axis;
    QCOMPARE(reader.read_axis(0, axis), std::int64_t{6});
    QVERIFY((axis.seq == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}));
    QVERIFY((axis.segment == std::vector<std::int64_t>{0, 0, 0, 0, 1, 1}));
    QVERIFY((axis.step == std::vector<std::int64_t>{1, 2, 3, 4, 4, 5}));
    QVERIFY((axis.images == std::vector<std::int64_t>{8, 16, 24, 32, 32, 40}));
    QCOMPARE(axis.seconds[2], 1.5);
    QVERIFY(std::isnan(axis.seconds[3]));
    QVERIFY(std::isinf(axis.seconds[5]));
    storage::SeriesSamples loss, variance;
    reader.read_series(0, 0, loss);
    reader.read_series(1, 0, variance);
    QVERIFY((loss.seq == std::vector<std::int64_t>{1, 2, 3, 4, 5, 6}));
    QCOMPARE(loss.value[2], 0.75);
    QVERIFY(std::isnan(loss.value[1]));
    QVERIFY(std::isinf(loss.value[3]) && loss.value[3] < 0);
    QVERIFY((variance.seq == std::vector<std::int64_t>{2, 4, 6}));
    QVERIFY((variance.value == std::vector<double>{0.3, 0.1, 0.2}));
    QCOMPARE(reader.events(0).at(0).record.args.at("to"), std::string("3"));
    QCOMPARE(reader.evals(0).at(0).record.metrics.at("AP"), 0.125);
    QVERIFY(std::isnan(reader.evals(0).at(0).record.metrics.at("APs")));
    QCOMPARE(reader.probes().at(0).truth.at(0).score, 0.5F);
    QCOMPARE(reader.predictions(1, 9).at(0).boxes.size(), std::size_t{2});
    QVERIFY(reader.probes().at(0).pixels.masks.empty());  // version 1 knows none
    QVERIFY(reader.predictions(1, 9).at(0).pixels.labels.empty());
    QCOMPARE(reader.checkpoints().at(0).bytes, std::int64_t{1000});
    const storage::CheckResult check = storage::check_run(kVersion1);
    QVERIFY2(check.problems.empty(), check.problems.empty() ? "" : check.problems.front().c_str());
    QCOMPARE(check.rows, std::int64_t{6});
    QCOMPARE(check.samples, std::int64_t{9});
  }

  void version1GoesOn() {
    const TempFolder temp;
    const fs::path folder = version1_folder(temp);
    RunWriter writer(folder, {}, true);
    QCOMPARE(writer.last_seq(), std::int64_t{6});
    writer.step(make_step(7, {{0, 0.25}}, 1, 6));
    writer.prediction({0, 1, 6, {}, {{}, {4, 9}}});
    writer.finish(contract::RunState::kFinished, 0);
    storage::SeriesSamples loss;
    RunReader(folder).read_series(0, 0, loss);
    QCOMPARE(loss.value.size(), std::size_t{7});
    QCOMPARE(loss.value[6], 0.25);
    RunReader reader(folder);
    QVERIFY((reader.predictions(1, 6).at(0).pixels.labels == std::vector<std::uint32_t>{4, 9}));
    QCOMPARE(reader.probes().at(0).truth.at(0).score, 0.5F);
    QCOMPARE(Database(folder / storage::kRunFile, Database::Mode::kReadWrite)
                 .query_integer("PRAGMA user_version"),
             storage::kSchemaVersion);
    QVERIFY(storage::check_run(folder).problems.empty());
  }

  void version2HasNoTrouble() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    contract::StatusReport report;
    report.lr = 0.5;
    report.lr_in_use = 0.25;
    report.trouble = "The disk is full.";
    {
      RunWriter writer(folder, make_info(), false);
      writer.status(report);
      writer.commit();
    }
    Database(folder / storage::kRunFile, Database::Mode::kReadWrite)
        .execute(
            "ALTER TABLE state DROP COLUMN trouble; ALTER TABLE state DROP COLUMN lr_in_use; "
            "PRAGMA user_version = 2");
    QCOMPARE(RunReader(folder).state().report.lr_in_use, 0.5);
    QCOMPARE(RunReader(folder).state().report.trouble, std::string());
    QVERIFY(storage::check_run(folder).problems.empty());
    RunWriter writer(folder, {}, true);
    QCOMPARE(RunReader(folder).state().report.lr_in_use, 0.5);
    writer.status(report);
    writer.commit();
    QCOMPARE(RunReader(folder).state().report.lr_in_use, 0.25);
    QCOMPARE(RunReader(folder).state().report.trouble, report.trouble);
  }

  void stepsAreTakenInOrder() {
    const TempFolder temp;
    const fs::path file = version1_folder(temp) / storage::kRunFile;
    Database database(file, Database::Mode::kReadWrite);
    storage::migrate(database, steps_to_version_3());
    QCOMPARE(database.query_integer("PRAGMA user_version"), std::int64_t{3});
    QCOMPARE(database.query_text("SELECT colour FROM event"), std::string("grey"));
    storage::migrate(database, steps_to_version_3());  // nothing left to do
    QCOMPARE(database.query_integer("PRAGMA user_version"), std::int64_t{3});
  }

  void aFailedStepChangesNothing() {
    const TempFolder temp;
    const fs::path file = version1_folder(temp) / storage::kRunFile;
    Database database(file, Database::Mode::kReadWrite);
    std::vector<Migration> steps = steps_to_version_3();
    steps[1].apply = [](Database& db) { db.execute("DELETE FROM no_such_table"); };
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, storage::migrate(database, steps));
    QCOMPARE(database.query_integer("PRAGMA user_version"), std::int64_t{1});
    QCOMPARE(database.query_integer(
                 "SELECT count(*) FROM pragma_table_info('event') WHERE name = 'colour'"),
             std::int64_t{0});
  }

  void newerVersionIsRefused() {
    const TempFolder temp;
    const fs::path folder = version1_folder(temp);
    Database(folder / storage::kRunFile, Database::Mode::kReadWrite)
        .execute("PRAGMA user_version = 7");
    const std::string sentence = refusal(folder);
    QVERIFY2(contains(sentence, "newer Batchscope"), sentence.c_str());
    QVERIFY2(contains(sentence, "version 7"), sentence.c_str());
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, RunWriter(folder, {}, true));
  }

  void wrongApplicationIsRefused() {
    const TempFolder temp;
    const fs::path file = temp.path() / "other.sqlite";
    Database(file, Database::Mode::kCreate).execute("CREATE TABLE t (a); PRAGMA user_version = 1");
    const std::string sentence = refusal(file);
    QVERIFY2(contains(sentence, "not a run file") && contains(sentence, "application id"),
             sentence.c_str());
  }

  void notADatabaseIsRefused() {
    const TempFolder temp;
    const fs::path file = temp.path() / "text.bscope";
    std::ofstream(file) << std::string(5000, 'x');
    const std::string sentence = refusal(file);
    QVERIFY2(contains(sentence, "not a run file: it is no SQLite database"), sentence.c_str());
    std::ofstream(temp.path() / "empty.bscope");
    QVERIFY(contains(refusal(temp.path() / "empty.bscope"), "not a run file"));
  }

  void truncatedFileIsRefused() {
    const TempFolder temp;
    const fs::path file = version1_folder(temp) / storage::kRunFile;
    fs::resize_file(file, fs::file_size(file) / 2);
    const std::string sentence = refusal(file);
    QVERIFY2(contains(sentence, "damaged"), sentence.c_str());
    QVERIFY2(contains(sentence, file.string()), sentence.c_str());
  }

  void missingFileIsRefused() {
    const TempFolder temp;
    QVERIFY(contains(refusal(temp.path() / "none"), "there is no run file"));
    QVERIFY(contains(refusal(temp.run("empty folder")), "there is no run file"));
    QVERIFY_THROWS_EXCEPTION(contract::StorageError,
                             RunWriter(temp.run("empty folder"), make_info(), true));
  }
};

BATCHSCOPE_TEST(TestMigrations)
#include "tst_migrations.moc"
