#include "storage/run_files.h"
#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <algorithm>
#include <csignal>
#include <filesystem>

using namespace batchscope;
namespace fs = std::filesystem;

namespace {

QStringList settings(int steps, int ranks = 1) {
  return words(
             "data.val_pictures=8 data.train_pictures=64 eval.probes=0 eval.at_end=false "
             "checkpoint.every_steps=20 optim.lr=0.005 batch.micro=4") +
         QStringList{QStringLiteral("schedule.steps=%1").arg(steps),
                     QStringLiteral("batch.ranks=%1").arg(ranks)};
}

QByteArray bytes_of(const fs::path& path) {
  QFile file(QString::fromStdString(path.string()));
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray("(no file)");
}

void write(const fs::path& path, const QByteArray& bytes) {
  QFile file(QString::fromStdString(path.string()));
  QVERIFY(file.open(QIODevice::WriteOnly) && file.write(bytes) == bytes.size());
}

std::vector<fs::path> states(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
    found.push_back(entry.path());
  }
  std::ranges::sort(found);
  return found;
}

Result resume(const Training& training, const QStringList& rest = {}) {
  return run_engine(
      QStringList{QStringLiteral("train"), QStringLiteral("--resume"), training.folder} + rest);
}

/// Settings of a resume that ends `more` updates later.
QStringList end_after(const Training& training, int more) {
  return {QStringLiteral("--set"),
          QStringLiteral("schedule.steps=%1").arg(training.summary().step + more)};
}

/// A run that was stopped, with at least two checkpoints.
std::unique_ptr<Training> stopped(int ranks = 1) {
  auto training = std::make_unique<Training>(settings(100000, ranks));
  if (!training->reach(65) || !training->interrupt() || training->wait() != 130) {
    return nullptr;
  }
  return training;
}

/// Starts the engine as a shell would with some signal ignored.
class Ignoring : public QProcess {
 public:
  Ignoring() {
    setChildProcessModifier([] { std::signal(SIGHUP, SIG_IGN); });
  }
};

}  // namespace

/// The engine at its seams: resume, refusal, damage, a lost rank, a signal at a bad moment.
class TestSeamsProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aRefusedResumeChangesNothing() {
    Training training(settings(100000));
    QVERIFY(training.reach(5));
    const QByteArray before = bytes_of(training.path() / storage::kSpecFile);
    const Result refused = resume(training, words("--set checkpoint.keep=77 --set run.name=other"));
    QCOMPARE(refused.code, 4);
    QVERIFY2(refused.err.contains(QStringLiteral("is being written by")), qPrintable(refused.err));
    QCOMPARE(bytes_of(training.path() / storage::kSpecFile), before);
    QVERIFY(training.interrupt());
    training.wait();
  }

  void theRecordKnowsTheSpec_data() {
    QTest::addColumn<QByteArray>("spec");
    QTest::newRow("empty") << QByteArray();
    QTest::newRow("no TOML") << QByteArray("= [[");
    QTest::newRow("another training")
        << QByteArray("[model]\nname = \"lab_retinanet\"\n[run]\nseed = 99\n");
  }
  void theRecordKnowsTheSpec() {
    QFETCH(QByteArray, spec);
    const auto training = stopped();
    QVERIFY(training != nullptr);
    const QByteArray before = bytes_of(training->path() / storage::kSpecFile);
    write(training->path() / storage::kSpecFile, spec);
    const Result gone_on = resume(*training, end_after(*training, 10));
    QVERIFY2(gone_on.err.contains(QStringLiteral("the record's spec is taken")),
             qPrintable(gone_on.err));
    QCOMPARE(bytes_of(training->path() / storage::kSpecFile), before);
  }

  void aDamagedCheckpointIsPassedOver() {
    const auto training = stopped();
    QVERIFY(training != nullptr);
    const std::vector<fs::path> before = states(training->path());
    QVERIFY(before.size() >= 2);
    write(before.back(), bytes_of(before.back()).chopped(1));
    const Result gone_on = resume(*training, end_after(*training, 30));
    QVERIFY2(gone_on.code == 0, qPrintable(gone_on.err));
    const QString name = QString::fromStdString(before.back().filename().string());
    QVERIFY2(gone_on.err.contains(name), qPrintable(gone_on.err));
    const auto events = training->events("resume");
    QCOMPARE(events.size(), std::size_t{1});
    QVERIFY(events[0].text.find(before[before.size() - 2].filename().string()) !=
            std::string::npos);
    QVERIFY(events[0].text.find(name.toStdString()) != std::string::npos);
  }

  /// Killed while it wrote its first state: there is none, and that is no damage.
  void aHalfWrittenStateIsNone() {
    Training training(settings(100000) + words("checkpoint.every_steps=0"));
    QVERIFY(training.reach(5));
    for (const qint64 pid : children_of(training.process.processId())) {
      ::kill(static_cast<pid_t>(pid), SIGKILL);
    }
    QCOMPARE(training.wait(), 5);
    QVERIFY(states(training.path()).empty());
    write(training.path() / "checkpoints/step-00000004-segment-0.ckpt.part", "half");
    const Result gone_on = resume(training, words("--set schedule.steps=10"));
    QVERIFY2(gone_on.code == 0, qPrintable(gone_on.err));
    QVERIFY(training.events("resume").back().text.find("begins again at the first step") !=
            std::string::npos);
    for (const fs::path& state : states(training.path())) {
      QVERIFY(state.extension() == ".ckpt");
    }
  }

  void nothingIsBegunOverDamagedCheckpoints() {
    const auto training = stopped();
    QVERIFY(training != nullptr);
    for (const fs::path& state : states(training->path())) {
      write(state, "text");
    }
    const std::int64_t rows = training->rows();
    const Result refused = resume(*training);
    QCOMPARE(refused.code, 3);
    QVERIFY2(refused.err.contains(QStringLiteral("can be gone on from")), qPrintable(refused.err));
    QCOMPARE(training->rows(), rows);
  }

  /// The record may have lost rows that its folder still has the states of.
  void aCheckpointThatIsNotOnRecordIsFound() {
    const auto training = stopped();
    QVERIFY(training != nullptr);
    const std::vector<fs::path> all = states(training->path());
    storage::Database record(training->path() / storage::kRunFile,
                             storage::Database::Mode::kReadWrite);
    record.execute("DELETE FROM checkpoint");
    const Result gone_on = resume(*training, end_after(*training, 30));
    QVERIFY2(gone_on.code == 0, qPrintable(gone_on.err));
    QVERIFY(training->events("resume").back().text.find(all.back().filename().string()) !=
            std::string::npos);
  }

  void otherRanksKeepTheBatch() {
    const auto training = stopped();
    QVERIFY(training != nullptr);
    const Result none = resume(*training, words("--ranks 2") + end_after(*training, 10));
    QVERIFY2(none.code == 0, qPrintable(none.err));
    // 1 x 4 on one rank cannot be had on two: it is a change, and said.
    const auto changes = training->events("accumulation");
    QCOMPARE(changes.size(), std::size_t{1});
    QCOMPARE(changes[0].args.at("old_batch"), std::string("4"));
    QCOMPARE(changes[0].args.at("new_batch"), std::string("8"));
    const Result back = resume(*training, words("--ranks 1") + end_after(*training, 10));
    QVERIFY2(back.code == 0, qPrintable(back.err));
    const auto kept = training->events("ranks");
    QCOMPARE(kept.size(), std::size_t{1});
    QCOMPARE(kept[0].args.at("new_batch"), std::string("8"));
    // A re-run passes the same batches.
    const Result again = run_engine({QStringLiteral("runs"),
                                     QStringLiteral("rerun"),
                                     training->id,
                                     QStringLiteral("--library"),
                                     training->library()->path()});
    QVERIFY2(again.code == 0, qPrintable(again.err));
  }

  void theCauseOfALostRunIsNamed_data() {
    QTest::addColumn<int>("rank");
    QTest::addColumn<int>("signal");
    QTest::newRow("rank 1 killed") << 1 << SIGKILL;
    QTest::newRow("rank 0 killed") << 0 << SIGKILL;
    QTest::newRow("rank 1 crashed") << 1 << SIGSEGV;
  }
  void theCauseOfALostRunIsNamed() {
    QFETCH(int, rank);
    QFETCH(int, signal);
    Training training(settings(100000, 2));
    QVERIFY(training.reach(25));
    qint64 victim = 0;
    for (const qint64 child : children_of(training.process.processId())) {
      QFile environment(QStringLiteral("/proc/%1/environ").arg(child));
      if (environment.open(QIODevice::ReadOnly) &&
          environment.readAll().contains(QByteArray("\0RANK=", 6) + QByteArray::number(rank))) {
        victim = child;
      }
    }
    QVERIFY(victim > 0);
    ::kill(static_cast<pid_t>(victim), signal);
    QCOMPARE(training.wait(), 5);
    const QString said = QString::fromUtf8(training.process.readAllStandardError());
    const QString expected =
        QStringLiteral("rank %1 was killed by signal %2").arg(rank).arg(signal);
    QVERIFY2(said.contains(expected), qPrintable(said));
    bool recorded = false;
    for (const contract::EventRecord& event : training.events("error")) {
      recorded = recorded || event.text.find(expected.toStdString()) != std::string::npos;
    }
    QVERIFY(recorded);
    if (rank == 1) {
      QVERIFY(!states(training.path()).empty());
    }
  }

  void aRankThatDiesWhileStartingIsNamed() {
    Training training(settings(100, 2));
    const QList<qint64> ranks = children_of(training.process.processId());
    for (const qint64 pid : ranks) {
      ::kill(static_cast<pid_t>(pid), SIGKILL);
    }
    const int code = training.wait();
    const QString said = QString::fromUtf8(training.process.readAllStandardError());
    if (!ranks.isEmpty() && code != 0) {
      QVERIFY2(said.contains(QStringLiteral("was killed by signal 9")), qPrintable(said));
    }
  }

  void aLostTrainingIsStartedAgain() {
    auto library = std::make_shared<QTemporaryDir>();
    Training training(
        library,
        settings(400, 2),
        {QStringLiteral("demo"), QStringLiteral("--max-restarts"), QStringLiteral("2")});
    QVERIFY(training.reach(45));
    const QList<qint64> ranks = children_of(training.process.processId());
    QVERIFY(!ranks.isEmpty());
    ::kill(static_cast<pid_t>(ranks.front()), SIGKILL);
    QCOMPARE(training.wait(), 0);
    const auto events = training.events("resume");
    QCOMPARE(events.size(), std::size_t{1});
    QVERIFY2(events[0].text.starts_with("Started again (1 of 2) after rank"),
             events[0].text.c_str());
    QCOMPARE(training.summary().state, contract::RunState::kFinished);
  }

  void anIgnoredHangupStaysIgnored() {
    QTemporaryDir library;
    Ignoring process;
    process.start(
        engine(),
        QStringList{QStringLiteral("train"),
                    QStringLiteral("demo"),
                    QStringLiteral("--library"),
                    library.path()} +
            [] {
              QStringList sets;
              for (const QString& set : settings(300)) {
                sets << QStringLiteral("--set") << set;
              }
              return sets;
            }());
    while (!process.canReadLine() && process.waitForReadyRead(kPatience)) {
    }
    const fs::path folder =
        QString::fromUtf8(process.readLine().trimmed().split(' ').last()).toStdString();
    QVERIFY(QTest::qWaitFor(
        [&] {
          try {
            return storage::RunReader(folder).last_seq() >= 5;
          } catch (const std::exception&) {
            return false;
          }
        },
        kPatience));
    QVERIFY(process.processId() > 0);
    ::kill(static_cast<pid_t>(process.processId()), SIGHUP);
    QVERIFY(process.waitForFinished(kPatience));
    QCOMPARE(process.exitCode(), 0);
    QCOMPARE(storage::summarise(folder).state, contract::RunState::kFinished);
  }

  /// From the first line on that a person could know of it.
  void anEarlyStopIsHeard() {
    for (int i = 0; i < 3; ++i) {
      Training training(settings(100000));
      QVERIFY(training.interrupt());
      QCOMPARE(training.wait(), 130);
      const QString said = QString::fromUtf8(training.process.readAllStandardError());
      QVERIFY2(said.contains(QStringLiteral("stopped")), qPrintable(said));
    }
  }

  void aSignalToAnyRankStopsTheJob() {
    Training training(settings(100000, 2));
    QVERIFY(training.reach(25));
    const QList<qint64> ranks = children_of(training.process.processId());
    QCOMPARE(ranks.size(), 2);
    ::kill(static_cast<pid_t>(ranks.last()), SIGTERM);
    QCOMPARE(training.wait(), 130);
    QVERIFY(!states(training.path()).empty());
    QCOMPARE(training.summary().state, contract::RunState::kStopped);
  }
};

BATCHSCOPE_TEST(TestSeamsProcess)
#include "tst_seams_process.moc"
