#include "tests/app/engine_runner.h"
#include "tests/support/data_folder.h"
#include "tests/support/ports.h"
#include "tests/support/test_program.h"

#include <sys/stat.h>

using namespace batchscope;
namespace fs = std::filesystem;

namespace {

QStringList two_ranks(int timeout) {
  return words(
             "batch.micro=4 data.train_pictures=256 data.val_pictures=8 eval.probes=0 "
             "eval.at_end=false precision.threads=1 schedule.steps=100000 batch.ranks=2") +
         QStringList{QStringLiteral("distributed.timeout=%1").arg(timeout)};
}

void signal_to(qint64 pid, int number) {
  QVERIFY(pid > 0);
  ::kill(static_cast<pid_t>(pid), number);
}

}  // namespace

/// Who holds up a training is named before anything is ended for it.
class TestStuckProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aRankThatStandsStillIsNamedWhileItDoes() {
    Training training(two_ranks(16));
    QVERIFY(training.reach(5));
    const qint64 second = process_of_rank(training.process.processId(), 1);
    signal_to(second, SIGSTOP);
    QVERIFY(QTest::qWaitFor([&] { return !training.events("stuck").empty(); }, kPatience));
    const Result asked = training.control({QStringLiteral("status")});
    signal_to(second, SIGCONT);
    const std::string text = training.events("stuck").front().text;
    QVERIFY2(text.starts_with("Rank 1 stands still (it was stopped by a signal) and has been "),
             text.c_str());
    QVERIFY2(text.find("; rank 0 waits for it in ") != std::string::npos, text.c_str());
    QVERIFY2(asked.out.contains(QStringLiteral("Rank 1 stands still")), qPrintable(asked.out));
    QVERIFY(QTest::qWaitFor([&] { return !training.events("unstuck").empty(); }, kPatience));
    const std::int64_t rows = training.rows();
    QVERIFY(training.reach(rows + 5));
    QVERIFY(QTest::qWaitFor([&] { return training.summary().trouble.empty(); }, kPatience));
    // The supervisor looks for itself, a moment before or after rank 0.
    QByteArray said;
    const auto told = [&] {
      said += training.process.readAllStandardError();
      return said.contains("Rank 1 goes on, after ");
    };
    QVERIFY2(QTest::qWaitFor(told, kPatience), said.constData());
    QVERIFY2(said.contains("warning: Rank 1 stands still"), said.constData());
    QVERIFY(training.interrupt());
    QCOMPARE(training.wait(), 130);
  }

  void aRankThatNeverComesBackIsTheCause() {
    Training training(two_ranks(6));
    QVERIFY(training.reach(5));
    signal_to(process_of_rank(training.process.processId(), 1), SIGSTOP);
    QCOMPARE(training.wait(), 5);
    const QString said = QString::fromUtf8(training.process.readAllStandardError());
    QVERIFY2(said.contains(QStringLiteral("the training was lost: rank 1 stands still")),
             qPrintable(said));
    const qsizetype named = said.indexOf(QStringLiteral("warning: Rank 1 stands still"));
    QVERIFY2(named >= 0 && named < said.indexOf(QStringLiteral("lost another rank")),
             qPrintable(said));
    QVERIFY(!training.events("stuck").empty());
    QVERIFY(fs::exists(training.path() / "checkpoints"));
  }

  /// In a job of another launcher rank 0 says it, of ranks that may be on other machines.
  void aRankOfALauncherIsNamedByRank0() {
    QTemporaryDir library;
    const test::HeldPort held;
    QProcess ranks[2];
    for (int rank = 0; rank < 2; ++rank) {
      QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
      environment.insert(QStringLiteral("RANK"), QString::number(rank));
      environment.insert(QStringLiteral("LOCAL_RANK"), QString::number(rank));
      environment.insert(QStringLiteral("WORLD_SIZE"), QStringLiteral("2"));
      environment.insert(QStringLiteral("MASTER_ADDR"), QStringLiteral("127.0.0.1"));
      environment.insert(QStringLiteral("MASTER_PORT"), QString::number(held.port()));
      ranks[rank].setProcessEnvironment(environment);
      QStringList arguments = {QStringLiteral("train"),
                               QStringLiteral("demo"),
                               QStringLiteral("--library"),
                               library.path()};
      for (const QString& setting : two_ranks(30)) {
        arguments << QStringLiteral("--set") << setting;
      }
      ranks[rank].start(engine(), arguments);
    }
    const auto runs = [&] { return storage::list_runs(library.path().toStdString()); };
    QVERIFY(QTest::qWaitFor([&] { return !runs().empty() && runs().front().step > 5; }, kPatience));
    const fs::path folder = fs::path(library.path().toStdString()) / runs().front().id;
    const auto told = [&](const std::string& kind) {
      for (const storage::StoredEvent& event : storage::RunReader(folder).events(0)) {
        if (event.record.kind == kind) {
          return event.record.text;
        }
      }
      return std::string();
    };
    signal_to(ranks[1].processId(), SIGSTOP);
    QVERIFY(QTest::qWaitFor([&] { return !told("stuck").empty(); }, kPatience));
    signal_to(ranks[1].processId(), SIGCONT);
    QVERIFY2(told("stuck").starts_with("Rank 1 is not heard of and has been "),
             told("stuck").c_str());
    QVERIFY(QTest::qWaitFor([&] { return !told("unstuck").empty(); }, kPatience));
    signal_to(ranks[1].processId(), SIGTERM);
    for (QProcess& rank : ranks) {
      QVERIFY(rank.waitForFinished(kPatience));
      QCOMPARE(rank.exitCode(), 130);
    }
    const QByteArray said = ranks[0].readAllStandardError();
    QVERIFY2(said.contains("warning: Rank 1 is not heard of"), said.constData());
  }

  /// A picture on a mount that hangs: the run is not said to make progress, and a stop is heard.
  void aPictureThatNeverComes() {
    constexpr int kPictures = 6;
    const DataFolder data;
    QStringList pictures, boxes;
    for (int i = 1; i <= kPictures; ++i) {
      data.picture("p" + std::to_string(i) + ".png", 64, 64);
      pictures << QStringLiteral(R"({"id": %1, "file_name": "p%1.png", "width": 64, "height": 64})")
                      .arg(i);
      boxes << QStringLiteral(
                   R"({"id": %1, "image_id": %1, "category_id": 1, "bbox": [8, 8, 32, 32]})")
                   .arg(i);
    }
    data.write("set.json",
               QStringLiteral(R"({"images": [%1], "annotations": [%2],
                                  "categories": [{"id": 1, "name": "box"}]})")
                   .arg(pictures.join(QStringLiteral(", ")), boxes.join(QStringLiteral(", ")))
                   .toStdString());
    Training training(
        words("batch.micro=2 batch.accumulation=1 data.kind=coco eval.probes=0 eval.at_end=false "
              "eval.every_steps=0 precision.threads=1 schedule.steps=100000 data.min_size=64 "
              "data.max_size=64 distributed.timeout=2") +
        QStringList{
            QStringLiteral("data.annotations=") + QString::fromStdString(data.path("set.json")),
            QStringLiteral("data.images=") + QString::fromStdString(data.path())});
    QVERIFY2(training.reach(3), training.process.readAllStandardError().constData());
    for (int i = 1; i <= kPictures; ++i) {
      const std::string name = data.path("p" + std::to_string(i) + ".png");
      const std::string pipe = name + ".pipe";
      QCOMPARE(::mkfifo(pipe.c_str(), 0600), 0);
      fs::rename(pipe, name);
    }
    QVERIFY(QTest::qWaitFor([&] { return !training.events("stuck").empty(); }, kPatience));
    QVERIFY2(training.events("stuck").front().text.starts_with(
                 "Rank 0 has been in the data loader for "),
             training.events("stuck").front().text.c_str());
    QVERIFY(QTest::qWaitFor(
        [&] { return training.summary().evidence.find("no progress for") != std::string::npos; },
        kPatience));
    QVERIFY(training.interrupt());
    QCOMPARE(training.wait(), 130);
    QCOMPARE(training.summary().state, contract::RunState::kStopped);
    const auto stops = training.events("stop");
    QCOMPARE(stops.size(), std::size_t{1});
    QVERIFY2(
        stops[0].text.find("it was interrupted while it waited for a picture") != std::string::npos,
        stops[0].text.c_str());
    const auto saved = storage::RunReader(training.path()).checkpoints();
    QVERIFY(!saved.empty());
    QCOMPARE(saved.back().step, stops[0].step);
  }
};

BATCHSCOPE_TEST(TestStuckProcess)
#include "tst_stuck_process.moc"
