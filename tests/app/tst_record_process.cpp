#include "storage/run_check.h"
#include "storage/run_files.h"
#include "storage/sqlite.h"
#include "tests/app/engine_runner.h"
#include "tests/storage/run_maker.h"
#include "tests/support/test_program.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <filesystem>
#include <fstream>
#include <set>
#include <sys/stat.h>

using namespace batchscope;

namespace {

namespace fs = std::filesystem;

std::set<std::string> states_on_disk(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

QJsonObject status_of(const Training& training) {
  const Result reply = training.control({QStringLiteral("--json"), QStringLiteral("status")});
  return QJsonDocument::fromJson(reply.out.toUtf8())[QStringLiteral("status")].toObject();
}

QString trouble_of(const Training& training) {
  return status_of(training)[QStringLiteral("trouble")].toString();
}

}  // namespace

/// The record of a run that cannot be written, for a while or at all.
class TestRecordProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// No update, and no state lost, without a record.
  void aRecordThatCannotBeOpenedEndsTheLaunch_data() {
    QTest::addColumn<QString>("ranks");
    QTest::newRow("1 rank") << QStringLiteral("1");
    QTest::newRow("2 ranks") << QStringLiteral("2");
  }
  void aRecordThatCannotBeOpenedEndsTheLaunch() {
    QFETCH(QString, ranks);
    Training training(words("schedule.steps=400 checkpoint.every_steps=10 checkpoint.keep=2 "
                            "data.val_pictures=8 eval.at_end=false") +
                      QStringList{QStringLiteral("batch.ranks=") + ranks});
    QVERIFY(training.reach(25));
    QVERIFY(training.interrupt());
    QCOMPARE(training.wait(), 130);
    const std::set<std::string> before = states_on_disk(training.path());
    const std::int64_t rows = training.rows();
    // Another run's record.
    storage::Database(training.path() / storage::kRunFile, storage::Database::Mode::kReadWrite)
        .execute("UPDATE run SET id = '0123456789ab'");
    const Result resumed = run_engine(
        QStringList{QStringLiteral("train"), QStringLiteral("--resume"), training.folder});
    QCOMPARE(resumed.code, 4);
    QVERIFY2(resumed.err.contains(QStringLiteral("holds run 0123456789ab")),
             qPrintable(resumed.err));
    QVERIFY2(!resumed.err.contains(QStringLiteral("The training finished")),
             qPrintable(resumed.err));
    QCOMPARE(training.rows(), rows);
    QVERIFY(states_on_disk(training.path()) == before);
  }

  void anOccupiedFileIsSaidWhileItLasts() {
    Training training(
        words("schedule.steps=1000000 checkpoint.every_steps=20 checkpoint.keep=2 "
              "data.val_pictures=8"));
    QVERIFY(training.reach(5));
    QVERIFY(QTest::qWaitFor(
        [&] { return status_of(training)[QStringLiteral("committed_seq")].toInt() >= 5; },
        kPatience));
    QCOMPARE(trouble_of(training), QString());
    {
      storage::Database other(training.path() / storage::kRunFile,
                              storage::Database::Mode::kReadWrite);
      const storage::Transaction writing(other, storage::Transaction::Kind::kWrite);
      QVERIFY(QTest::qWaitFor([&] { return !trouble_of(training).isEmpty(); }, kPatience));
      const int step = status_of(training)[QStringLiteral("step")].toInt();
      QVERIFY2(QTest::qWaitFor(
                   [&] { return status_of(training)[QStringLiteral("step")].toInt() > step + 45; },
                   kPatience),
               "the training goes on");
      QVERIFY(status_of(training)[QStringLiteral("committed_seq")].toInt() < step);
    }
    QVERIFY(QTest::qWaitFor([&] { return trouble_of(training).isEmpty(); }, kPatience));
    QCOMPARE(training.control({QStringLiteral("stop")}).code, 0);
    QCOMPARE(training.wait(), 0);
    const QString err = QString::fromUtf8(training.process.readAllStandardError());
    QVERIFY2(err.count(QStringLiteral("telemetry cannot be written")) == 1, qPrintable(err));
    QVERIFY2(err.contains(QStringLiteral("telemetry is written again; 0 rows were dropped")),
             qPrintable(err));
    QCOMPARE(training.events("telemetry_gap").size(), std::size_t{1});
    QCOMPARE(training.rows(), training.summary().step);
    QVERIFY(storage::check_run(training.path()).problems.empty());
    const std::vector<contract::CheckpointRecord> states =
        storage::RunReader(training.path()).checkpoints();
    QVERIFY(!states.empty());
    const QStringList check = {QStringLiteral("runs"), QStringLiteral("check"), training.folder};
    QCOMPARE(run_engine(check).code, 0);
    std::fstream state(training.path() / states.back().file,
                       std::ios::in | std::ios::out | std::ios::binary);
    state.seekp(-9, std::ios::end);
    state.put('\x55').put('\x2a');
    state.close();
    const Result damaged = run_engine(check);
    QCOMPARE(damaged.code, 4);
    QVERIFY2(damaged.out.contains(QStringLiteral("its checksum does not match")),
             qPrintable(damaged.out));
  }

  /// A folder that anybody may have sent.
  void aDamagedControlFileIsOneSentence_data() {
    QTest::addColumn<QByteArray>("text");
    QTest::addColumn<QByteArray>("says");
    const auto row = [](const char* text, const char* says) {
      QTest::newRow(text) << QByteArray(text) << QByteArray(says);
    };
    row("{\"socket\": 5}", "control.json' is damaged: \"socket\" is 5, expected a text");
    row("{}", "\"socket\" is missing");
    row("[1]", "it holds no JSON object");
    row("{\"socket\": \"/\\u001b[2J\"}", "nobody answers at the control socket /\\x1b[2J");
    row(R"({"socket": "/tmp/x.sock", "host": "node07"})", "runs on node07, this is ");
    row(R"({"host": "node07", "socket": "/tmp/x.sock"})",
        "--socket run.sock after ssh -fNL run.sock:/tmp/x.sock node07");
    row("pipe", "it is no plain file");
  }
  void aDamagedControlFileIsOneSentence() {
    QFETCH(QByteArray, text);
    QFETCH(QByteArray, says);
    const test::TempFolder temp;
    const fs::path folder = temp.run("0123456789ab"), file = folder / storage::kControlFile;
    storage::RunWriter(folder, test::make_info(), false).commit();
    if (text == "pipe") {
      QCOMPARE(::mkfifo(file.c_str(), 0600), 0);
    } else {
      std::ofstream(file) << text.toStdString();
    }
    const Result reply = run_engine({QStringLiteral("control"),
                                     QString::fromStdString(folder.string()),
                                     QStringLiteral("status")});
    QVERIFY(reply.code == 4 || reply.code == 5);
    QVERIFY2(reply.err.contains(QString::fromLatin1(says)), qPrintable(reply.err));
    QCOMPARE(reply.err.count(QLatin1Char('\n')), 1);
  }
};

BATCHSCOPE_TEST(TestRecordProcess)
#include "tst_record_process.moc"
