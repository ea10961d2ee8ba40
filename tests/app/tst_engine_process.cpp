#include "engine/contract/messages.h"
#include "storage/catalogue.h"
#include "storage/run_files.h"
#include "storage/run_lock.h"
#include "storage/run_reader.h"
#include "tests/app/engine_runner.h"
#include "tests/support/ports.h"
#include "tests/support/test_program.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QtTest>

#include <csignal>
#include <memory>
#include <unistd.h>

using namespace batchscope;
using contract::RunState;

namespace {

QByteArray weights_of(const QString& file) {
  // The data area of a checkpoint: model, optimizer and AGVM, in the order of their names.
  QFile checkpoint(file);
  checkpoint.open(QIODevice::ReadOnly);
  const QByteArray bytes = checkpoint.readAll();
  qint64 length = 0;
  memcpy(&length, bytes.constData(), 8);
  return bytes.mid(8 + length);
}

}  // namespace

/// The engine as its users run it: processes, signals, sockets and files.
class TestEngineProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void aRunFromStartToEnd() {
    Training training(
        {QStringLiteral("schedule.steps=60"), QStringLiteral("data.val_pictures=32")});
    QCOMPARE(training.id.size(), 12);
    QCOMPARE(training.wait(), 0);
    const storage::RunSummary summary = training.summary();
    QCOMPARE(summary.state, RunState::kFinished);
    QCOMPARE(summary.step, 60);
    QCOMPARE(summary.images, 480);
    QVERIFY(summary.metrics.contains("AP50"));
    QCOMPARE(training.rows(), 60);
    storage::RunReader reader(training.path());
    QCOMPARE(reader.info().modules,
             (std::vector<std::string>{"backbone", "neck", "rpn_head", "roi_head"}));
    QCOMPARE(reader.probes().size(), std::size_t{4});
    QVERIFY(!storage::run_is_locked(training.path()));
    QVERIFY(!QFile::exists(training.folder + QStringLiteral("/control.json")));

    const QString checkpoint =
        training.folder + QStringLiteral("/checkpoints/step-00000060-segment-0.ckpt");
    const Result eval = run_engine({QStringLiteral("eval"),
                                    QStringLiteral("--checkpoint"),
                                    checkpoint,
                                    QStringLiteral("--json")});
    QCOMPARE(eval.code, 0);
    const QJsonObject figures = QJsonDocument::fromJson(eval.out.toUtf8()).object();
    for (const auto& [name, value] : summary.metrics) {
      QCOMPARE(figures.value(QString::fromStdString(name)).toDouble(-9), value);
    }
    const Result read = run_engine(words("eval --checkpoint") << checkpoint);
    QCOMPARE(read.code, 0);
    QVERIFY2(summary.metrics.at("APl") < 0 &&
                 read.out.contains(QStringLiteral("APl             -\n")) &&
                 !read.out.contains(QStringLiteral("-1")),
             qPrintable(read.out));
    const Result few =
        run_engine(words("eval --json --set eval.max_pictures=5 --checkpoint") << checkpoint);
    QCOMPARE(few.code, 0);
    QCOMPARE(QJsonDocument::fromJson(few.out.toUtf8())[QStringLiteral("pictures")].toInt(), 5);
    const Result fixed =
        run_engine(words("eval --set model.score_threshold=0.5 --checkpoint") << checkpoint);
    QCOMPARE(fixed.code, 2);
    QVERIFY2(fixed.err.contains(QStringLiteral("only models that find boxes")),
             qPrintable(fixed.err));
    const Result dead = training.control({QStringLiteral("status")});
    QCOMPARE(dead.code, 5);
    QVERIFY(dead.err.contains(QStringLiteral("not running")));
  }

  void everyCommandIsAnsweredWithItsStep() {
    Training training(
        {QStringLiteral("schedule.steps=200000"), QStringLiteral("eval.at_end=false")});
    QVERIFY(training.reach(3));
    QCOMPARE(training.control({QStringLiteral("pause")}).code, 0);
    const Result status = training.control(words("status --json"));
    QCOMPARE(status.code, 0);
    const QJsonObject report = QJsonDocument::fromJson(status.out.toUtf8())
                                   .object()
                                   .value(QLatin1String("status"))
                                   .toObject();
    QCOMPARE(report.value(QLatin1String("state")).toString(), QStringLiteral("paused"));
    const qint64 step = report.value(QLatin1String("step")).toInteger();
    QVERIFY(QTest::qWaitFor([&] { return training.rows() == step; }, kPatience));
    for (const char* command : {"lr 0.05",
                                "accumulation 2",
                                "end 150000",
                                "checkpoint",
                                "optimizer lamb --lr 0.02 --agvm on --lr-mapping match_update",
                                "optimizer --set optim.lamb.trust_max=5",
                                "undo"}) {
      const Result result = training.control(words(command));
      QVERIFY2(result.code == 0, qPrintable(QLatin1String(command) + result.err));
      QVERIFY2(result.out.startsWith(QStringLiteral("applied after step %1\n").arg(step)),
               qPrintable(result.out));
    }
    const Result dry = training.control(words("optimizer sgd --dry-run"));
    QCOMPARE(dry.code, 0);
    QVERIFY(dry.out.contains(QStringLiteral("shrink per update")));
    const Result refused = training.control(words("lr -3"));
    QCOMPARE(refused.code, 2);
    QVERIFY(!refused.err.isEmpty());
    QCOMPARE(training.control(words("resume")).code, 0);
    QVERIFY(training.reach(step + 5));
    QCOMPARE(training.control({QStringLiteral("stop")}).code, 0);
    QCOMPARE(training.wait(), 0);
    QCOMPARE(training.summary().state, RunState::kStopped);
    QCOMPARE(training.summary().optimizer, std::string("lamb + agvm"));
    QCOMPARE(training.events("lr").size(), std::size_t{1});
    QCOMPARE(training.events("optimizer").size(), std::size_t{2});
    QCOMPARE(training.events("undo").size(), std::size_t{1});
    QCOMPARE(training.events("restore_point").size(), std::size_t{5});
    for (const contract::EventRecord& event : training.events("optimizer")) {
      QCOMPARE(event.step, step);
      QCOMPARE(event.source, std::string("user"));
    }
  }

  void stoppedAndResumedEqualsUninterrupted() {
    const QStringList settings = {QStringLiteral("schedule.steps=300"),
                                  QStringLiteral("eval.at_end=false"),
                                  QStringLiteral("precision.threads=1"),
                                  QStringLiteral("optim.name=adamw"),
                                  QStringLiteral("optim.lr=0.003")};
    Training whole(settings);
    QCOMPARE(whole.wait(), 0);
    Training first(settings);
    QVERIFY(first.reach(20));
    QVERIFY(first.interrupt());
    QCOMPARE(first.wait(), 130);
    QCOMPARE(first.summary().state, RunState::kStopped);
    QVERIFY(first.summary().step < 300);
    Training rest(first.library(), {}, {QStringLiteral("--resume"), first.id.left(8)});
    QCOMPARE(rest.id, first.id);
    QCOMPARE(rest.wait(), 0);
    QCOMPARE(rest.summary().state, RunState::kFinished);
    QCOMPARE(rest.summary().step, 300);
    QCOMPARE(storage::RunReader(rest.path()).segments().size(), std::size_t{2});
    const QByteArray a =
        weights_of(whole.folder + QStringLiteral("/checkpoints/step-00000300-segment-0.ckpt"));
    QVERIFY(a.size() > 300000);
    QVERIFY(a ==
            weights_of(rest.folder + QStringLiteral("/checkpoints/step-00000300-segment-1.ckpt")));
  }

  void killedAtRandomTimes_data() {
    QTest::addColumn<int>("ranks");
    QTest::addColumn<QString>("victim");
    QTest::newRow("rank 0 of 1") << 1 << QStringLiteral("rank 0");
    QTest::newRow("rank 0 of 2") << 2 << QStringLiteral("rank 0");
    QTest::newRow("rank 1 of 2") << 2 << QStringLiteral("rank 1");
    QTest::newRow("supervisor of 1") << 1 << QStringLiteral("supervisor");
    QTest::newRow("supervisor of 2") << 2 << QStringLiteral("supervisor");
    QTest::newRow("everything") << 2 << QStringLiteral("everything");
  }
  /// Kill -9 of any process at any time: nothing committed is lost, the status is true, and no
  /// process is left.
  void killedAtRandomTimes() {
    QFETCH(int, ranks);
    QFETCH(QString, victim);
    Training training({QStringLiteral("schedule.steps=200000"),
                       QStringLiteral("checkpoint.every_steps=50"),
                       QStringLiteral("data.val_pictures=8"),
                       QStringLiteral("eval.at_end=false"),
                       QStringLiteral("batch.ranks=%1").arg(ranks)});
    QVERIFY(training.reach(60));
    QTest::qWait(static_cast<int>(QRandomGenerator::global()->bounded(400)));
    const qint64 supervisor = training.process.processId();
    const QList<qint64> pids = children_of(supervisor);
    QCOMPARE(pids.size(), ranks);
    QFile control(training.folder + QStringLiteral("/control.json"));
    QVERIFY(control.open(QIODevice::ReadOnly));
    const qint64 rank0 =
        QJsonDocument::fromJson(control.readAll()).object().value(QLatin1String("pid")).toInteger();
    QVERIFY(pids.contains(rank0));
    const std::int64_t committed = training.rows();
    const auto kill = [](qint64 pid) { ::kill(static_cast<pid_t>(pid), SIGKILL); };
    if (victim == QLatin1String("supervisor")) {
      kill(supervisor);
    } else if (victim == QLatin1String("everything")) {
      kill(supervisor);
      for (const qint64 pid : pids) {
        kill(pid);
      }
    } else {
      for (const qint64 pid : pids) {
        if ((pid == rank0) == (victim == QLatin1String("rank 0"))) {
          kill(pid);
        }
      }
    }
    const int code = training.wait();
    for (const qint64 pid : pids) {
      QVERIFY(QTest::qWaitFor([&] { return gone(pid); }, 15000));
    }
    QVERIFY(training.rows() >= committed);
    // A killed process is a zombie while its last threads still let go of its files.
    QVERIFY(QTest::qWaitFor([&] { return !storage::run_is_locked(training.path()); }, 5000));
    const storage::RunSummary summary = training.summary();
    if (victim == QLatin1String("everything")) {
      QCOMPARE(summary.state, RunState::kLost);
    } else if (victim == QLatin1String("supervisor")) {
      QCOMPARE(summary.state, RunState::kStopped);
    } else {
      QCOMPARE(code, 5);
      QCOMPARE(summary.state, RunState::kFailed);
      const auto errors = training.events("error");
      QVERIFY(!errors.empty());
      QVERIFY2(errors.back().text.find("was killed by signal 9") != std::string::npos,
               errors.back().text.c_str());
      QCOMPARE(summary.step, training.rows());
    }
    // The run goes on from its newest checkpoint, and its record keeps what was there. In the first
    // segment a row's number is its step.
    const std::int64_t end = training.rows() + 20;
    Training rest(training.library(),
                  {QStringLiteral("schedule.steps=%1").arg(end)},
                  {QStringLiteral("--resume"), training.id});
    QCOMPARE(rest.wait(), 0);
    QCOMPARE(rest.summary().state, RunState::kFinished);
    QCOMPARE(rest.summary().step, end);
    QVERIFY(rest.rows() > committed);
    QCOMPARE(rest.events("resume").size(), std::size_t{1});
  }

  /// Ranks that a launcher started (torchrun, Slurm) make one run, without our supervisor.
  void ranksOfALauncher() {
    QTemporaryDir library;
    const test::HeldPort held;
    const QString port = QString::number(held.port());
    QProcess ranks[2];
    for (int rank = 0; rank < 2; ++rank) {
      QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
      environment.insert(QStringLiteral("RANK"), QString::number(rank));
      environment.insert(QStringLiteral("LOCAL_RANK"), QString::number(rank));
      environment.insert(QStringLiteral("WORLD_SIZE"), QStringLiteral("2"));
      environment.insert(QStringLiteral("MASTER_ADDR"), QStringLiteral("127.0.0.1"));
      environment.insert(QStringLiteral("MASTER_PORT"), port);
      ranks[rank].setProcessEnvironment(environment);
      ranks[rank].start(engine(),
                        words("train demo --set batch.ranks=2 --set schedule.steps=20 "
                              "--set eval.at_end=false --library") +
                            QStringList{library.path()});
    }
    for (QProcess& rank : ranks) {
      QVERIFY(rank.waitForFinished(kPatience));
      QCOMPARE(rank.exitCode(), 0);
    }
    const auto runs = storage::list_runs(library.path().toStdString());
    QCOMPARE(runs.size(), std::size_t{1});
    QCOMPARE(runs[0].state, RunState::kFinished);
    QCOMPARE(runs[0].images, 320);
    QVERIFY(ranks[0].readAllStandardOutput().startsWith("run " + QByteArray(runs[0].id.c_str())));
    QVERIFY(ranks[1].readAllStandardOutput().isEmpty());
  }

  void aTruncatedCheckpointIsNamed() {
    Training training({QStringLiteral("schedule.steps=20"), QStringLiteral("eval.at_end=false")});
    QCOMPARE(training.wait(), 0);
    const QString name = QStringLiteral("step-00000020-segment-0.ckpt");
    QFile file(training.folder + QStringLiteral("/checkpoints/") + name);
    QVERIFY(file.resize(file.size() / 2));
    const Result result = run_engine({QStringLiteral("train"),
                                      QStringLiteral("--resume"),
                                      training.folder,
                                      QStringLiteral("--set"),
                                      QStringLiteral("schedule.steps=30")});
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("Checkpoint %1 is truncated").arg(name)),
             qPrintable(result.err));
    // The record is what it was.
    QCOMPARE(training.summary().state, RunState::kFinished);
    QCOMPARE(training.rows(), 20);
  }

  void exitCodes() {
    QTemporaryDir folder;
    const auto train = [&](const QStringList& rest) {
      return run_engine(QStringList{QStringLiteral("train")} + rest +
                        QStringList{QStringLiteral("--library"), folder.path()});
    };
    Result result = train(words("demo --set optim.lrr=1"));
    QCOMPARE(result.code, 2);
    QVERIFY(result.err.contains(QStringLiteral("optim.lr")));
    QCOMPARE(result.err.count(QLatin1Char('\n')), 1);
    QCOMPARE(train(words("no-such-preset")).code, 2);
    QCOMPARE(run_engine({QStringLiteral("fly")}).code, 2);
    QCOMPARE(run_engine({QStringLiteral("spec"), QStringLiteral("presets")}).code, 0);
    result =
        train(words("demo --set data.kind=coco --set data.annotations=/none.json "
                    "--set data.images=/none"));
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("/none.json")), qPrintable(result.err));
    result = train(words("demo --set optim.lr=400 --set schedule.warmup.kind=none"));
    QVERIFY2(result.code == 6, qPrintable(result.err));
    QVERIFY2(result.err.contains(QStringLiteral("diverged at step")), qPrintable(result.err));
    result = run_engine(words("eval --checkpoint /none.ckpt"));
    QCOMPARE(result.code, 3);
    QVERIFY(result.err.contains(QStringLiteral("/none.ckpt")));
  }
};

BATCHSCOPE_TEST(TestEngineProcess)
#include "tst_engine_process.moc"
