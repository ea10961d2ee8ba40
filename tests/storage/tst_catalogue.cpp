#include "storage/catalogue.h"
#include "storage/headline.h"
#include "storage/sqlite.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <algorithm>
#include <cmath>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>

using namespace batchscope;
using namespace batchscope::test;
using contract::RunState;
using storage::RunSummary;
using storage::RunWriter;

namespace {

namespace fs = std::filesystem;

void make_run(const fs::path& library,
              const std::string& id,
              const std::string& name,
              int day = 1) {
  const fs::path folder = library / id;
  fs::create_directories(folder);
  contract::RunInfo info = make_info(id);
  info.name = name;
  info.started = "2026-11-0" + std::to_string(day) + "T00:00:00.000Z";
  RunWriter writer(folder, info, false);
  writer.segment({0, -1, 0, -1, "start"});
  writer.add_series({make_series("loss")});
  contract::StatusReport report;
  report.state = RunState::kRunning;
  report.step = 2;
  report.steps = 2;
  report.images = 256;
  report.optimizer = "pmd_lamb";
  report.agvm = true;
  report.micro = 2;
  report.accumulation = 32;
  report.ranks = 4;
  writer.status(report);
  writer.step(make_step(1, {{0, 2.0}}));
  writer.step(make_step(2, {{0, 1.0}}));
  writer.eval({0, 1, 128, 1, 512, 1, {{"AP", 0.125}}});
  writer.eval({0, 2, 256, 2, 512, 1, {{"AP", 0.25}, {"APs", std::nan("")}}});
  writer.finish(RunState::kFinished, 0);
}

/// Makes files old enough for the catalogue to trust their times.
void age(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    const timespec times[2] = {{1700000000, 0}, {1700000000, 0}};
    ::utimensat(AT_FDCWD, entry.path().c_str(), times, 0);
  }
}

std::vector<std::string> ids(const std::vector<RunSummary>& runs) {
  std::vector<std::string> all;
  for (const RunSummary& run : runs) {
    all.push_back(run.id);
  }
  return all;
}

std::string refusal(const fs::path& library, const std::string& reference) {
  try {
    return "found " + storage::find_run(library, reference).string();
  } catch (const contract::SpecError& error) {
    return error.what();
  }
}

}  // namespace

class TestCatalogue : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void headlines() {
    const auto name = [](const std::map<std::string, double>& metrics) {
      const auto figure = storage::headline(metrics);
      return figure ? figure->name + " " + std::to_string(figure->value) : std::string();
    };
    QCOMPARE(name({{"AP", .3}, {"PQ", .5}, {"mIoU", .75}, {"segm_AP", .25}, {"PQ_th", .4}}),
             std::string("PQ 0.500000"));
    QCOMPARE(name({{"AP", .3}, {"AP50", .5}, {"segm_AP", .25}}), std::string("AP 0.300000"));
    QCOMPARE(name({{"AP50", .5}, {"segm_AP", .25}}), std::string("segm_AP 0.250000"));
    QCOMPARE(name({{"mIoU", .75}}), std::string("mIoU 0.750000"));
    QCOMPARE(name({{"AP50", .5}}), std::string());
    QCOMPARE(name({{"PQ", -1}, {"AP", 0}, {"mIoU", .75}}), std::string("AP 0.000000"));
    QCOMPARE(name({{"AP", -1}}), std::string());
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one");
    QCOMPARE(name(storage::summarise(temp.path() / "aaaa00000001").metrics),
             std::string("AP 0.250000"));
  }

  void summaryOfARun() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one");
    const RunSummary run = storage::summarise(temp.path() / "aaaa00000001");
    QCOMPARE(run.id, std::string("aaaa00000001"));
    QCOMPARE(run.name, std::string("one"));
    QVERIFY(run.state == RunState::kFinished);
    QCOMPARE(run.evidence, std::string("ended with exit code 0"));
    QCOMPARE(run.step, std::int64_t{2});
    QCOMPARE(run.images, std::int64_t{256});
    QCOMPARE(run.optimizer, std::string("pmd_lamb + agvm"));
    QCOMPARE(run.effective_batch, std::int64_t{256});
    QCOMPARE(run.metrics.at("AP"), 0.25);
    QVERIFY(std::isnan(run.metrics.at("APs")));
    QVERIFY(!run.dead);
    QVERIFY(!run.finished.empty());
    QCOMPARE(run.folder, temp.path() / "aaaa00000001");
  }

  void deadRunIsFlagged_data() {
    QTest::addColumn<double>("second");
    QTest::addColumn<bool>("dead");
    QTest::newRow("fell") << 0.9 << false;
    QTest::newRow("equal") << 1.0 << true;
    QTest::newRow("rose") << 2.0 << true;
    QTest::newRow("nan") << std::nan("") << true;
  }
  void deadRunIsFlagged() {
    QFETCH(double, second);
    QFETCH(bool, dead);
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.add_series({make_series("lr"), make_series("loss")});
    writer.step(make_step(1, {{0, 5.0}, {1, 1.0}}));
    writer.step(make_step(2, {{0, 1.0}, {1, second}}));
    writer.finish(RunState::kFinished, 0);
    QCOMPARE(storage::summarise(folder).dead, dead);
  }

  void abandonedEvaluationDoesNotCount() {
    const TempFolder temp;
    const fs::path folder = temp.run("r");
    RunWriter writer(folder, make_info(), false);
    writer.segment({0, -1, 0, 10, "start"});
    writer.eval({0, 10, 0, 0, 0, 0, {{"AP", 0.25}}});
    writer.eval({0, 20, 0, 0, 0, 0, {{"AP", 0.75}}});
    writer.segment({1, 0, 10, -1, "undo"});
    writer.commit();
    QCOMPARE(storage::summarise(folder).metrics.at("AP"), 0.25);
  }

  void listIsNewestFirst() {
    const TempFolder temp;
    QVERIFY(storage::list_runs(temp.path() / "none").empty());
    make_run(temp.path(), "aaaa00000001", "one", 1);
    make_run(temp.path(), "bbbb00000002", "two", 3);
    make_run(temp.path(), "cccc00000003", "three", 2);
    fs::copy_file(temp.path() / "aaaa00000001" / "run.sqlite", temp.path() / "sent.bscope");
    temp.run("no run in here");
    std::ofstream(temp.run("dddd00000004") / storage::kSpecFile) << "[run]\n";
    const auto runs = storage::list_runs(temp.path());
    QVERIFY((ids(runs) ==
             std::vector<std::string>{
                 "bbbb00000002", "cccc00000003", "aaaa00000001", "aaaa00000001", "dddd00000004"}));
    QVERIFY(runs.back().state == RunState::kQueued);
    std::ofstream(temp.path() / "a file");
    QVERIFY_THROWS_EXCEPTION(contract::StorageError, storage::list_runs(temp.path() / "a file"));
  }

  void damagedRunHidesNoOther() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one", 1);
    make_run(temp.path(), "bbbb00000002", "two", 2);
    make_run(temp.path(), "cccc00000003", "three", 3);
    fs::resize_file(temp.path() / "bbbb00000002" / "run.sqlite", 6000);
    std::ofstream(temp.run("eeee00000005") / "run.sqlite") << "no database";
    for (int pass = 0; pass < 2; ++pass) {
      const auto runs = storage::list_runs(temp.path());
      QCOMPARE(runs.size(), std::size_t{4});
      for (const RunSummary& run : runs) {
        const bool bad = run.id == "bbbb00000002" || run.id == "eeee00000005";
        QCOMPARE(!run.error.empty(), bad);
        QVERIFY(run.state == (bad ? RunState::kLost : RunState::kFinished));
      }
    }
  }

  void catalogueIsUsedAndNeverTrusted() {
    const TempFolder temp;
    const fs::path file = temp.path() / "catalogue.sqlite";
    make_run(temp.path(), "aaaa00000001", "one");
    age(temp.path() / "aaaa00000001");
    QCOMPARE(storage::list_runs(temp.path()).at(0).name, std::string("one"));
    QVERIFY(fs::exists(file));
    // What the catalogue says is shown while the file has not changed...
    storage::Database(file, storage::Database::Mode::kReadWrite)
        .execute("UPDATE known_run SET facts = replace(facts, '\"one\"', '\"cached\"')");
    QCOMPARE(storage::list_runs(temp.path()).at(0).name, std::string("cached"));
    QCOMPARE(storage::list_runs(temp.path()).at(0).metrics.at("AP"), 0.25);
    QVERIFY(std::isnan(storage::list_runs(temp.path()).at(0).metrics.at("APs")));
    // ...and no longer.
    {
      RunWriter writer(temp.path() / "aaaa00000001", {}, true);
      writer.commit();
    }
    QCOMPARE(storage::list_runs(temp.path()).at(0).name, std::string("one"));
  }

  void catalogueMayVanishOrBreak_data() {
    QTest::addColumn<QByteArray>("content");
    QTest::newRow("gone") << QByteArray();
    QTest::newRow("no database") << QByteArray("rubbish");
    QTest::newRow("half") << QByteArray("half");
    QTest::newRow("entries damaged") << QByteArray("entries");
    QTest::newRow("another version") << QByteArray("version");
  }
  void catalogueMayVanishOrBreak() {
    QFETCH(QByteArray, content);
    const TempFolder temp;
    const fs::path file = temp.path() / "catalogue.sqlite";
    make_run(temp.path(), "aaaa00000010", "run");
    for (int i = 1; i < 30; ++i) {
      fs::copy(temp.path() / "aaaa00000010", temp.path() / ("aaaa000000" + std::to_string(10 + i)));
    }
    for (int i = 0; i < 30; ++i) {
      age(temp.path() / ("aaaa000000" + std::to_string(10 + i)));
    }
    const auto before = ids(storage::list_runs(temp.path()));
    QVERIFY(fs::file_size(file) > 8192);
    if (content.isEmpty()) {
      fs::remove(file);
    } else if (content == "half") {
      fs::resize_file(file, 8192);
    } else if (content == "entries") {
      storage::Database(file, storage::Database::Mode::kReadWrite)
          .execute("UPDATE known_run SET facts = 'x'");
    } else if (content == "version") {
      storage::Database(file, storage::Database::Mode::kReadWrite)
          .execute("PRAGMA user_version = 99");
    } else {
      std::ofstream(file) << content.toStdString();
    }
    QVERIFY(ids(storage::list_runs(temp.path())) == before);
    QVERIFY(ids(storage::list_runs(temp.path())) == before);
    QCOMPARE(storage::Database::open_for_reading(file).query_integer(
                 "SELECT count(*) FROM known_run WHERE facts LIKE '{%'"),
             std::int64_t{30});
  }

  void removedRunsLeaveTheCatalogue() {
    const TempFolder temp;
    make_run(temp.path(), "aaaa00000001", "one");
    make_run(temp.path(), "bbbb00000002", "two");
    age(temp.path() / "aaaa00000001");
    age(temp.path() / "bbbb00000002");
    QCOMPARE(storage::list_runs(temp.path()).size(), std::size_t{2});
    fs::remove_all(temp.path() / "aaaa00000001");
    QCOMPARE(storage::list_runs(temp.path()).size(), std::size_t{1});
    QCOMPARE(storage::Database::open_for_reading(temp.path() / "catalogue.sqlite")
                 .query_integer("SELECT count(*) FROM known_run"),
             std::int64_t{1});
  }

  void runsAreFound() {
    const TempFolder temp;
    const fs::path library = temp.path();
    make_run(library, "aaaa00000001", "one");
    make_run(library, "aaaa00000002", "two");
    make_run(library, "bbbb00000003", "two");
    make_run(library, "cccc00000004", "aaaa");
    QCOMPARE(storage::find_run(library, "aaaa00000001"), library / "aaaa00000001");
    QCOMPARE(storage::find_run(library, "bb"), library / "bbbb00000003");
    QCOMPARE(storage::find_run(library, "one"), library / "aaaa00000001");
    QCOMPARE(storage::find_run(library, "aaaa"),
             library / "cccc00000004");  // a name before a prefix
    QCOMPARE(storage::find_run("/nowhere", (library / "aaaa00000002").string()),
             library / "aaaa00000002");
    QCOMPARE(storage::find_run("/nowhere", (library / "aaaa00000002" / "").string()),
             library / "aaaa00000002");
    QCOMPARE(storage::find_run("/nowhere", (library / "aaaa00000002" / "run.sqlite").string()),
             library / "aaaa00000002");
    const std::string two = refusal(library, "two");
    QVERIFY2(two.find("aaaa00000002 (two)") != std::string::npos &&
                 two.find("bbbb00000003 (two)") != std::string::npos,
             two.c_str());
    QVERIFY(refusal(library, "aaaa0").find("2 runs") != std::string::npos);
    QVERIFY(refusal(library, "zz").find("no run 'zz'") != std::string::npos);
    QVERIFY(refusal(library, "").find("no run") != std::string::npos);
    QVERIFY(refusal(library, "..").find("no run") != std::string::npos);
  }

  /// A word is a run of the library before it is a file of that name.
  void aFileDoesNotHideARun() {
    const TempFolder temp;
    const fs::path library = temp.path() / "library";
    make_run(library, "aaaa00000001", "baseline");
    make_run(temp.path(), "cccc00000003", "elsewhere");
    const fs::path before = fs::current_path();
    fs::current_path(temp.run("here"));
    std::ofstream("baseline") << "precious";
    std::ofstream("aaaa") << "precious";
    fs::create_directories("run");
    fs::copy_file(temp.path() / "cccc00000003" / "run.sqlite", "sent.bscope");
    const std::string by_name = refusal(library, "baseline"), by_prefix = refusal(library, "aaaa");
    const std::string by_path = refusal(library, "./baseline");
    const std::string sent = refusal(library, "sent.bscope"), folder = refusal(library, "run");
    fs::current_path(before);
    QCOMPARE(by_name, "found " + (library / "aaaa00000001").string());
    QCOMPARE(by_prefix, by_name);
    QCOMPARE(by_path, std::string("found ./baseline"));
    QCOMPARE(sent, std::string("found sent.bscope"));
    QVERIFY2(folder.find("no run 'run'") != std::string::npos, folder.c_str());
  }

  void namesInAFolder() {
    const std::string id = storage::new_run_id();
    QCOMPARE(id.size(), std::size_t{12});
    QVERIFY(std::all_of(id.begin(), id.end(), [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    }));
    QVERIFY(id != storage::new_run_id());
    QVERIFY(
        QRegularExpression(QStringLiteral("^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$"))
            .match(QString::fromStdString(storage::now_utc()))
            .hasMatch());
    qputenv("XDG_DATA_HOME", "/some/where");
    QCOMPARE(storage::default_library(), fs::path("/some/where/batchscope/library"));
    qputenv("XDG_DATA_HOME", "relative");
    qputenv("HOME", "/home/x");
    QCOMPARE(storage::default_library(), fs::path("/home/x/.local/share/batchscope/library"));
  }
};

BATCHSCOPE_TEST(TestCatalogue)
#include "tst_catalogue.moc"
