#include "tests/support/test_program.h"
#include "tests/ui/fake_build.h"
#include "ui/session/engine_build.h"
#include "ui/session/launcher.h"
#include "ui/session/log_tail.h"
#include "ui/session/preflight.h"

#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <sys/stat.h>

using namespace batchscope;
using namespace batchscope::session;
using State = EngineBuild::State;

namespace {

constexpr int kPatienceMs = 30000;

const QByteArray kGood =
    R"({"state":"building","done":212,"total":330,"message":"","log":"/b/engine-build.log",
"pid":4711,"pid_start":"123456","boot":"b","again":["/c/batchscope","setup","--engine"]})";

/// The good one with a part replaced.
QByteArray with(const char* part, const char* other) {
  auto text = kGood;
  Q_ASSERT(text.contains(part));
  return text.replace(part, other);
}

}  // namespace

/// The engine's build as the window knows it, against a build in another process.
class TestSessionBuild : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<QTemporaryDir> folder_;
  std::unique_ptr<test::FakeBuild> build_;

  std::unique_ptr<EngineBuild> watch() {
    auto watched = std::make_unique<EngineBuild>(build_->file());
    watched->setPace(20, 20);
    return watched;
  }

 private Q_SLOTS:
  void init() {
    folder_ = std::make_unique<QTemporaryDir>();
    build_ = std::make_unique<test::FakeBuild>(folder_->path());
  }
  void cleanup() {
    build_.reset();
    folder_.reset();
  }

  void readsTheReport() {
    const auto report = parseEngineBuild(kGood);
    QVERIFY(report);
    QCOMPARE(report->state, EngineBuildReport::State::kBuilding);
    QCOMPARE(report->done, 212);
    QCOMPARE(report->total, 330);
    QCOMPARE(report->log, QStringLiteral("/b/engine-build.log"));
    QCOMPARE(report->pid, 4711);
    QCOMPARE(report->again.size(), 3);
    QVERIFY(!report->writerLives());
  }

  void refusesWhatIsNoReport_data() {
    QTest::addColumn<QByteArray>("json");
    for (qsizetype length = 0; length < kGood.size(); length += 7)
      QTest::addRow("cut at %lld", static_cast<long long>(length)) << kGood.left(length);
    QTest::newRow("array") << QByteArray("[1, 2]");
    QTest::newRow("bytes") << QByteArray("\xff\xfe\x00\x01", 4);
    QTest::newRow("unknown state") << with("building", "dancing");
    QTest::newRow("state a number") << with("\"building\"", "3");
    QTest::newRow("done a text") << with("212", "\"212\"");
    QTest::newRow("done negative") << with("212", "-1");
    QTest::newRow("total beyond all") << with("330", "1e300");
    QTest::newRow("message an object") << with("\"message\":\"\"", "\"message\":{}");
    QTest::newRow("log a list") << with("\"/b/engine-build.log\"", "[]");
    QTest::newRow("again a text") << with("[\"/c/batchscope\",\"setup\",\"--engine\"]", "\"rm\"");
    QTest::newRow("again of numbers") << with("\"setup\"", "7");
    QTest::newRow("live without a writer") << with("4711", "0");
    QTest::newRow("nested deeply") << QByteArray(100000, '[');
  }
  void refusesWhatIsNoReport() {
    QFETCH(QByteArray, json);
    QVERIFY(!parseEngineBuild(json));
  }

  void boundsWhatItTakes() {
    QCOMPARE(parseEngineBuild(with("212", "999"))->done, 330);
    const auto longMessage = QByteArray("\"message\":\"a\\nb ") + QByteArray(5000, 'x') + '"';
    const auto message =
        parseEngineBuild(with("\"message\":\"\"", longMessage.constData()))->message;
    QVERIFY(message.startsWith(QStringLiteral("a b x")));
    QVERIFY(message.size() < 500);
    QVERIFY(parseEngineBuild(with("/c/batchscope", "batchscope"))->again.isEmpty());
    QVERIFY(parseEngineBuild(with("/b/engine-build.log", "engine-build.log"))->log.isEmpty());
    QVERIFY(test::FakeBuild::write(build_->file(), kGood));
    QVERIFY(readEngineBuild(build_->file()));
    QVERIFY(test::FakeBuild::write(build_->file(), kGood + QByteArray(65536, ' ')));
    QVERIFY(!readEngineBuild(build_->file()));
    QVERIFY(!readEngineBuild(folder_->path()));
    const auto pipe = build_->path("pipe");
    QCOMPARE(::mkfifo(QFile::encodeName(pipe).constData(), 0600), 0);
    QVERIFY(!readEngineBuild(pipe));  // and does not wait for a writer
  }

  void withoutAFileThereIsNoBuild() {
    QVERIFY(EngineBuild::fileOfThisProgram().isEmpty());  // a test does not lie in bin/
    const auto watched = watch();
    QCOMPARE(watched->state(), State::kNone);
    QVERIFY(watched->sentence().isEmpty());
    QVERIFY(!watched->canBuildAgain() && !watched->buildAgain());
    // The set-up is started later.
    QVERIFY(build_->say("packages"));
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kWorking, kPatienceMs);
  }

  void saysWhatGoesOn() {
    const auto watched = watch();
    QSignalSpy ready(watched.get(), &EngineBuild::becameReady);
    const auto expect = [&](const QString& sentence, double fraction) {
      QTRY_COMPARE_WITH_TIMEOUT(watched->sentence(), sentence, kPatienceMs);
      QCOMPARE(watched->state(), State::kWorking);
      QVERIFY(watched->isLive());
      QVERIFY(qAbs(watched->fraction() - fraction) < 1e-9);
      QVERIFY(watched->enginePath().isEmpty());
      QVERIFY(!watched->canBuildAgain());
      QCOMPARE(watched->logPath(), build_->log());
    };
    QVERIFY(build_->say("waiting"));
    expect(QStringLiteral("The engine's build is waiting for its turn."), -1);
    QVERIFY(build_->say("packages"));
    expect(QStringLiteral("The packages that the engine needs are being installed."), -1);
    QVERIFY(build_->say("fetching"));
    expect(QStringLiteral("LibTorch is being fetched."), -1);
    QVERIFY(build_->say("fetching", 140, 560));
    expect(QStringLiteral("LibTorch is being fetched: 140 of 560 MB."), 0.25);
    QVERIFY(build_->say("configuring"));
    expect(QStringLiteral("The engine's build is being prepared."), -1);
    QVERIFY(build_->say("building"));
    expect(QStringLiteral("The engine is being built."), -1);
    QVERIFY(build_->say("building", 165, 330));
    expect(QStringLiteral("The engine is being built: 165 of 330 steps."), 0.5);
    QVERIFY(build_->link());  // it is there, and may be written to yet
    watched->look();
    expect(QStringLiteral("The engine is being built: 165 of 330 steps."), 0.5);
    QCOMPARE(ready.count(), 0);
    QVERIFY(build_->say("ready", 330, 330));
    QTRY_COMPARE_WITH_TIMEOUT(ready.count(), 1, kPatienceMs);
    QCOMPARE(watched->state(), State::kReady);
    QCOMPARE(watched->enginePath(), build_->engine());
    build_->kill();
    watched->look();
    QCOMPARE(watched->state(), State::kReady);
    QCOMPARE(ready.count(), 1);
  }

  void readyNeedsAnEngine() {
    const auto watched = watch();
    QSignalSpy ready(watched.get(), &EngineBuild::becameReady);
    QVERIFY(build_->say("ready", 330, 330));
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kMissing, kPatienceMs);
    QVERIFY(watched->sentence().contains(build_->engine()));
    QVERIFY(watched->canBuildAgain());
    QVERIFY(build_->link());
    QTRY_COMPARE_WITH_TIMEOUT(ready.count(), 1, kPatienceMs);
    QCOMPARE(watched->enginePath(), build_->engine());
  }

  void saysWhyItFailed() {
    const auto watched = watch();
    QVERIFY(build_->say("failed", 30, 330, QStringLiteral("the disk is full")));
    QTRY_COMPARE_WITH_TIMEOUT(watched->sentence(),
                              QStringLiteral("The engine's build failed: the disk is full."),
                              kPatienceMs);
    QCOMPARE(watched->state(), State::kFailed);
    QVERIFY(watched->canBuildAgain());
    QVERIFY(build_->say("failed"));
    QTRY_COMPARE_WITH_TIMEOUT(watched->sentence(),
                              QStringLiteral("The engine's build failed; the log says why."),
                              kPatienceMs);
    QVERIFY(build_->say("stopped", 30, 330, QStringLiteral("Ctrl+C was pressed.")));
    QTRY_COMPARE_WITH_TIMEOUT(watched->sentence(),
                              QStringLiteral("The engine's build was stopped: Ctrl+C was pressed."),
                              kPatienceMs);
    QCOMPARE(watched->state(), State::kStopped);
    // An engine of an earlier build still trains.
    QVERIFY(build_->link());
    QTRY_COMPARE_WITH_TIMEOUT(watched->enginePath(), build_->engine(), kPatienceMs);
    QVERIFY(watched->sentence().contains(QStringLiteral("An earlier engine is used")));
    QVERIFY(watched->canBuildAgain());
  }

  void killedInTheMiddleIsInterrupted() {
    const auto watched = watch();
    QVERIFY(build_->say("building", 212, 330));
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kWorking, kPatienceMs);
    build_->kill();
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kInterrupted, kPatienceMs);
    QCOMPARE(watched->sentence(),
             QStringLiteral("The engine's build was interrupted at 212 of 330 steps."));
    QVERIFY(!watched->isLive() && watched->canBuildAgain());
  }

  void anotherProcessUnderTheNumberIsNoWriter() {
    const auto live = [](qint64 pid, const QString& start, const QString& boot) {
      EngineBuildReport report;
      report.pid = pid;
      report.pidStart = start;
      report.boot = boot;
      return report.writerLives();
    };
    QVERIFY(build_->say("building", 1, 2));
    const auto said = readEngineBuild(build_->file());
    QVERIFY(said && said->writerLives());
    QVERIFY(!live(said->pid, QStringLiteral("1"), said->boot));
    QVERIFY(!live(said->pid, {}, said->boot));
    QVERIFY(!live(said->pid, said->pidStart, QStringLiteral("another boot")));
    QVERIFY(!live(-1, {}, said->boot));
  }

  void buildsAgainOnce() {
    const auto watched = watch();
    QSignalSpy ready(watched.get(), &EngineBuild::becameReady);
    QVERIFY(build_->say("building", 212, 330));
    build_->kill();
    QTRY_VERIFY_WITH_TIMEOUT(watched->canBuildAgain(), kPatienceMs);
    QVERIFY(watched->buildAgain());
    QCOMPARE(watched->state(), State::kStarting);
    QVERIFY(!watched->buildAgain());
    QVERIFY(!watched->canBuildAgain());
    QTRY_COMPARE_WITH_TIMEOUT(watched->sentence(),
                              QStringLiteral("The engine is being built: 5 of 330 steps."),
                              kPatienceMs);
    build_->letFinish();
    QTRY_COMPARE_WITH_TIMEOUT(ready.count(), 1, kPatienceMs);
    QCOMPARE(build_->timesStartedAgain(), 1);
  }

  void keepsTheLastGoodReading() {
    const auto watched = watch();
    QVERIFY(build_->say("building", 10, 330));
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kWorking, kPatienceMs);
    const auto before = watched->sentence();
    QFile file(build_->file());
    QVERIFY(file.open(QIODevice::ReadOnly));
    const auto good = file.readAll();
    file.close();
    QVERIFY(good.size() > 100);
    for (const auto& bytes : {QByteArray(),
                              QByteArray("\0\xff garbage", 10),
                              good.left(good.size() / 2),
                              QByteArray(10'000'000, '{')}) {
      QVERIFY(test::FakeBuild::write(build_->file(), bytes));
      watched->look();
      QCOMPARE(watched->state(), State::kWorking);
      QCOMPARE(watched->sentence(), before);
    }
    // Deleted under a writer that lives, it comes back with the next word.
    QVERIFY(QFile::remove(build_->file()));
    watched->look();
    QCOMPARE(watched->sentence(), before);
    QVERIFY(build_->say("building", 11, 330));
    QTRY_VERIFY_WITH_TIMEOUT(watched->sentence() != before, kPatienceMs);
    build_->kill();
    QVERIFY(QFile::remove(build_->file()));
    QTRY_COMPARE_WITH_TIMEOUT(watched->state(), State::kNone, kPatienceMs);
  }

  void theChosenEngineGoesFirst() {
    const auto chosen = build_->path("chosen-engine");
    QVERIFY(test::FakeBuild::write(chosen, "#!/bin/sh\n"));
    QVERIFY(build_->say("building", 10, 330));
    QVERIFY(build_->link());
    const auto watched = watch();
    QVERIFY(watched->enginePath().isEmpty());
    watched->setSetting(chosen);
    QCOMPARE(watched->enginePath(), chosen);
    watched->setSetting(build_->engine());  // which is being linked
    QVERIFY(watched->enginePath().isEmpty());
    QVERIFY(build_->say("ready"));
    QTRY_COMPARE_WITH_TIMEOUT(watched->enginePath(), build_->engine(), kPatienceMs);
  }

  void theReasonReachesWhoStarts() {
    Launcher launcher;
    launcher.setEnginePath({});
    QVERIFY(launcher.engineFault().contains(QStringLiteral("was not found")));
    QSignalSpy changed(&launcher, &Launcher::engineChanged);
    const auto sentence = QStringLiteral("The engine is being built: 1 of 2 steps.");
    launcher.setEnginePath({}, sentence, true);
    QCOMPARE(launcher.engineFault(), sentence);
    QVERIFY(launcher.engineIsComing());
    QSignalSpy failed(&launcher, &Launcher::failed);
    QVERIFY(launcher.start({}));
    QTRY_COMPARE_WITH_TIMEOUT(failed.count(), 1, kPatienceMs);
    QCOMPARE(failed[0][0].toString(), sentence);
    PreflightContext context;
    context.engineFault = sentence;
    context.engineComing = true;
    const auto items = preflight({}, context);
    QVERIFY(!canStart(items));
    QVERIFY(std::any_of(items.begin(), items.end(), [&](const PreflightItem& item) {
      return item.id == QLatin1String("engine") && item.text == sentence &&
             item.level == PreflightItem::Level::kComing;
    }));
    launcher.setEnginePath(QStringLiteral("/bin/true"), sentence);
    QVERIFY(launcher.engineFault().isEmpty() && !launcher.engineIsComing());
    QCOMPARE(changed.count(), 2);
  }

  void followsTheLog() {
    LogTail tail(build_->log());
    QVERIFY(!tail.read());
    QByteArray lines;
    for (int i = 0; i < 5000; ++i)
      lines += "line " + QByteArray::number(i) + '\n';
    QVERIFY(test::FakeBuild::write(build_->log(), lines));
    auto news = tail.read();
    QVERIFY(news && news->restarted);
    QVERIFY(news->text.startsWith(QStringLiteral("line 3000\n")));
    QVERIFY(news->text.endsWith(QStringLiteral("line 4999\n")));
    QVERIFY(!tail.read());
    QFile file(build_->log());
    QVERIFY(file.open(QIODevice::Append));
    file.write("\x1b[31mred\x1b[0m\n 10%\r 20%\r 30%\r\nhalf \xc3");
    file.flush();
    news = tail.read();
    QVERIFY(news && !news->restarted);
    QCOMPARE(news->text, QStringLiteral("red\n 30%\n"));
    file.write("\xa9t\xc3\xa9\nbegun");
    file.close();
    QCOMPARE(tail.read()->text, QStringLiteral("half été\n"));
    QCOMPARE(tail.read()->text, QStringLiteral("begun"));  // nothing more comes to it
    QVERIFY(!tail.read());
    QVERIFY(test::FakeBuild::write(build_->log(), "a new build\n"));
    news = tail.read();
    QVERIFY(news && news->restarted);
    QCOMPARE(news->text, QStringLiteral("a new build\n"));
    QVERIFY(test::FakeBuild::write(build_->log(), QByteArray(5'000'000, 'x') + "\nlast\n"));
    news = tail.read();
    QVERIFY(news && news->restarted);
    QCOMPARE(news->text, QStringLiteral("last\n"));
  }
};

BATCHSCOPE_TEST(TestSessionBuild)
#include "tst_session_build.moc"
