#include "fake_engine.h"
#include "session_fixture.h"
#include "tests/support/test_program.h"
#include "ui/session/eval_model.h"
#include "ui/session/event_model.h"
#include "ui/session/playhead.h"
#include "ui/session/run_session.h"

#include <QDir>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>

using namespace batchscope;
using namespace batchscope::session;
using batchscope::test::WrittenRun;

class TestRunSession : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<QTemporaryDir> library_;
  std::filesystem::path libraryPath() const { return library_->path().toStdString(); }

  /// The whole of a series, once it has been read.
  static SeriesView whole(RunSession& session,
                          const char* name,
                          XKind kind = XKind::kStep,
                          double smoothing = 0,
                          std::int64_t samples = -1) {
    SeriesView view;
    for (int i = 0; i < 6000; ++i) {
      view = session.view(QLatin1String(name), kind, 0, 500, 5000, smoothing);
      if (!view.loading && (samples < 0 || view.samples == samples))
        break;
      QTest::qWait(10);
    }
    return view;
  }
  static std::unique_ptr<RunSession> open(const QString& path, std::int64_t steps) {
    auto session = std::make_unique<RunSession>();
    session->setPollInterval(20);
    session->open(path);
    const auto waiting = [&] {
      return session->state() == RunSession::State::kOpening ||
             session->playheadSample().step < steps;
    };
    for (int i = 0; i < 6000 && waiting(); ++i)
      QTest::qWait(10);
    return session;
  }

 private Q_SLOTS:
  void init() { library_ = std::make_unique<QTemporaryDir>(); }

  void opensAStoredRun() {
    WrittenRun run(libraryPath());
    run.event("start", 0, "training starts");
    run.rows(1, 50, [](std::int64_t step) { return 1.0 / static_cast<double>(step); });
    run.eval(50, 0.25);
    run.finish();
    const auto session = open(run.path(), 50);
    QCOMPARE(session->state(), RunSession::State::kStored);
    QCOMPARE(session->info().name, QStringLiteral("test run"));
    QCOMPARE(session->info().classes.size(), 2);
    QCOMPARE(session->status().state, contract::RunState::kFinished);
    QCOMPARE(session->series().size(), 4);
    QCOMPARE(session->seriesWithPrefix(QStringLiteral("d/")),
             (QStringList{QStringLiteral("d/backbone"), QStringLiteral("d/neck")}));
    const auto loss = whole(*session, "loss");
    QCOMPARE(loss.samples, std::int64_t{50});
    QCOMPARE(loss.help, QStringLiteral("total loss"));
    QCOMPARE(loss.parts.last().points[3], QPointF(4, 0.25));
    QCOMPARE(whole(*session, "lr").samples, std::int64_t{25});
    QCOMPARE(whole(*session, "loss", XKind::kImages).xMax, 400.0);
    QCOMPARE(whole(*session, "loss", XKind::kSeconds).xMax, 25.0);
    QVERIFY(!session->view(QStringLiteral("no such"), XKind::kStep, 0, 1, 10).known);
    QCOMPARE(session->eventModel()->rowCount(), 1);
    QCOMPARE(session->latestEval().metrics.value(QStringLiteral("AP")), 0.25);
    QVERIFY(!session->canControl());
  }

  void followsARunThatGrows() {
    WrittenRun run(libraryPath());
    auto session = std::make_unique<RunSession>();
    session->setPollInterval(20);
    QSignalSpy data(session.get(), &RunSession::dataChanged);
    session->open(run.path());
    QTRY_COMPARE(session->state(), RunSession::State::kWaiting);
    run.rows(1, 10, [](std::int64_t) { return 1.0; });
    run.commit();
    QTRY_COMPARE(session->state(), RunSession::State::kLive);
    QCOMPARE(whole(*session, "loss", XKind::kStep, 0, 10).samples, std::int64_t{10});
    data.clear();
    run.rows(11, 30, [](std::int64_t) { return 2.0; });
    run.event("lr", 30);
    run.commit();
    QTRY_VERIFY(data.count() > 0);
    QCOMPARE(whole(*session, "loss", XKind::kStep, 0, 30).parts.last().points.last(),
             QPointF(30, 2));
    QTRY_COMPARE(session->events().size(), 1);
    QCOMPARE(session->playhead()->position(), 14.5);
    QVERIFY(session->status().evidence.contains(QStringLiteral("lock held")));
    QVERIFY(std::abs(session->status().imagesPerSecond - 16) < 1e-9);
    run.finish();
    QTRY_COMPARE_WITH_TIMEOUT(session->state(), RunSession::State::kStored, 60000);
  }

  void anUndoGreysTheBranch() {
    WrittenRun run(libraryPath());
    run.rows(1, 20, [](std::int64_t) { return 1.0; });
    run.event("optimizer", 20, "sgd -> lamb");
    run.rows(21, 30, [](std::int64_t) { return 9.0; });
    run.commit();
    const auto session = open(run.path(), 30);
    QTRY_COMPARE(session->events().size(), 1);
    QVERIFY(!session->events().first().abandoned);
    QCOMPARE(session->undoTarget().text, QStringLiteral("sgd -> lamb"));
    QCOMPARE(whole(*session, "loss", XKind::kStep, 0, 30).parts.size(), 1);
    run.segment(1, 0, 20, "undo");
    run.event("undo", 20, "back to step 20");
    run.rows(21, 25, [](std::int64_t) { return 2.0; });
    run.commit();
    const auto view = whole(*session, "loss", XKind::kStep, 0, 35);
    QCOMPARE(view.parts.size(), 2);
    QVERIFY(view.parts[0].abandoned);
    QCOMPARE(view.parts[0].points.size(), 10);
    QCOMPARE(view.parts[0].points.first(), QPointF(21, 9));
    QCOMPARE(view.parts[1].points.size(), 25);
    QCOMPARE(view.parts[1].points.last(), QPointF(25, 2));
    QTRY_COMPARE(session->events().size(), 2);
    QVERIFY(session->events().first().abandoned);
    QVERIFY(!session->events().last().abandoned);
    QCOMPARE(session->events().last().images, std::int64_t{160});
    QCOMPARE(session->undoTarget().id, std::int64_t{0});
    // Before the undo, the branch was the live line: a replay shows it as it was.
    session->playhead()->seek(12);
    const auto then = whole(*session, "loss");
    QCOMPARE(then.parts.size(), 1);
    QVERIFY(!then.parts[0].abandoned);
    QCOMPARE(then.parts[0].points.last(), QPointF(25, 9));
    QVERIFY(!session->events().first().abandoned);
    QCOMPARE(session->events().size(), 1);
  }

  void anUndoTakesBackOneOfTwoChangesAtAStep() {
    WrittenRun run(libraryPath());
    run.rows(1, 10, [](std::int64_t) { return 1.0; });
    run.event("lr", 10, "first");
    run.event("optimizer", 10, "second");
    run.rows(11, 12, [](std::int64_t) { return 1.0; });
    run.segment(1, 0, 10, "undo");
    run.event("undo", 10, "back");
    run.rows(11, 15, [](std::int64_t) { return 1.0; });
    run.event("end", 15, "third");
    run.rows(16, 20, [](std::int64_t) { return 1.0; });
    run.commit();
    const auto session = open(run.path(), 20);
    QTRY_COMPARE(session->events().size(), 4);
    QList<bool> abandoned;
    for (const auto& event : session->events())
      abandoned.append(event.abandoned);
    QCOMPARE(abandoned, (QList<bool>{false, true, false, false}));
    QCOMPARE(session->undoTarget().text, QStringLiteral("third"));
    // A resume from a checkpoint at step 12 has lost the third change.
    run.segment(2, 1, 12, "resume");
    run.event("resume", 12);
    run.rows(13, 14, [](std::int64_t) { return 1.0; });
    run.commit();
    QTRY_COMPARE(session->events().size(), 5);
    QTRY_VERIFY(session->events()[3].abandoned);
    QCOMPARE(session->undoTarget().text, QStringLiteral("first"));
  }

  void gapsOfNonFiniteSamples() {
    WrittenRun run(libraryPath());
    run.rows(1, 10, [](std::int64_t step) {
      return step == 4   ? std::numeric_limits<double>::quiet_NaN()
             : step == 6 ? std::numeric_limits<double>::infinity()
                         : 1.0;
    });
    run.commit();
    const auto session = open(run.path(), 10);
    const auto view = whole(*session, "loss", XKind::kStep, 0, 10);
    QCOMPARE(view.nonFinite, std::int64_t{2});
    const auto& part = view.parts.last();
    QCOMPARE(part.points.size(), 8);
    QCOMPARE(part.breaks, (QList<int>{3, 4}));
    QCOMPARE(part.isolated, QList<int>{3});
    QCOMPARE(part.markers.size(), 2);
    QVERIFY(std::isnan(part.markers[0].y()));
    QVERIFY(std::isinf(part.markers[1].y()));
    const auto next = session->nextNonFinite(QStringLiteral("loss"), XKind::kStep, 4);
    QVERIFY(next.valid);
    QCOMPARE(next.step, std::int64_t{6});
    QVERIFY(!session->nextNonFinite(QStringLiteral("loss"), XKind::kStep, 6).valid);
  }

  /// COCO's -1 says that there was nothing to measure; a chart would draw it.
  void aFigureOfNothingIsNone() {
    WrittenRun run(libraryPath());
    run.rows(1, 10, [](std::int64_t step) { return static_cast<double>(step); });
    run.eval(10, {{"AP", 0.1}, {"APl", -1}});
    run.finish();
    const auto session = open(run.path(), 10);
    QTRY_COMPARE(session->evals().size(), 1);
    QCOMPARE(session->latestEval().metrics.keys(), QStringList{QStringLiteral("AP")});
  }

  void everythingEndsAtThePlayhead() {
    WrittenRun run(libraryPath());
    run.rows(1, 10, [](std::int64_t step) { return static_cast<double>(step); });
    run.event("lr", 10);
    run.eval(10, 0.1);
    run.rows(11, 20, [](std::int64_t step) { return static_cast<double>(step); });
    run.event("lr", 20);
    run.eval(20, 0.2);
    run.finish();
    const auto session = open(run.path(), 20);
    whole(*session, "loss");
    QTRY_COMPARE(session->evals().size(), 2);
    session->seekToStep(15);
    QCOMPARE(session->playheadSample().step, std::int64_t{15});
    QCOMPARE(whole(*session, "loss").parts.last().points.last(), QPointF(15, 15));
    QCOMPARE(session->xRange(XKind::kStep), QPointF(1, 15));
    QCOMPARE(session->fullXRange(XKind::kStep), QPointF(1, 20));
    QCOMPARE(session->events().size(), 1);
    QCOMPARE(session->allEvents().size(), 2);
    QCOMPARE(session->latestEval().metrics.value(QStringLiteral("AP")), 0.1);
    QCOMPARE(session->nearest(QStringLiteral("loss"), XKind::kStep, 99).step, std::int64_t{15});
    QCOMPARE(session->samples(QStringLiteral("loss"), XKind::kStep, 0, 99).size(), 15);
    session->seekRows(-3);
    QCOMPARE(session->playheadSample().step, std::int64_t{12});
    session->seekNextEvent(+1);
    QCOMPARE(session->playheadSample().step, std::int64_t{20});
    session->seekNextEvent(-1);
    QCOMPARE(session->playheadSample().step, std::int64_t{10});
    session->playhead()->followLive();
    QCOMPARE(session->playheadSample().step, std::int64_t{20});
  }

  void smoothsInTheBackground() {
    WrittenRun run(libraryPath());
    run.rows(1, 40, [](std::int64_t step) { return step % 2 == 0 ? 1.0 : -1.0; });
    run.finish();
    const auto session = open(run.path(), 40);
    const auto view = whole(*session, "loss", XKind::kStep, 0.9);
    QCOMPARE(view.smoothing, 0.9);
    double mean = 0, power = 1;
    for (int step = 1; step <= 40; ++step) {
      mean = 0.9 * mean + 0.1 * (step % 2 == 0 ? 1 : -1);
      power *= 0.9;
      QVERIFY(std::abs(view.parts.last().points[step - 1].y() - mean / (1 - power)) < 1e-12);
    }
    QVERIFY(view.provenance().contains(QStringLiteral("smoothed")));
  }

  void crossHairFindsSamples() {
    WrittenRun run(libraryPath());
    run.rows(1, 20, [](std::int64_t step) { return static_cast<double>(step * step); });
    run.finish();
    const auto session = open(run.path(), 20);
    QVERIFY(!session->nearest(QStringLiteral("loss"), XKind::kStep, 3).valid);
    whole(*session, "loss");
    whole(*session, "lr");
    const auto at = session->nearest(QStringLiteral("loss"), XKind::kImages, 41);
    QCOMPARE(at.step, std::int64_t{5});
    QCOMPARE(at.value, 25.0);
    QCOMPARE(at.seconds, 2.5);
    QCOMPARE(session->nearest(QStringLiteral("loss"), XKind::kStep, 5, 10).step, std::int64_t{15});
    QCOMPARE(session->nearest(QStringLiteral("loss"), XKind::kStep, 5, -10).step, std::int64_t{1});
    QCOMPARE(session->nearest(QStringLiteral("lr"), XKind::kStep, 5.2).step, std::int64_t{6});
  }

  void heatmapOfModules() {
    WrittenRun run(libraryPath());
    run.rows(1, 20, [](std::int64_t) { return 1.0; });
    run.finish();
    const auto session = open(run.path(), 20);
    whole(*session, "d/backbone");
    whole(*session, "d/neck");
    const auto map = session->heatmap(QStringLiteral("d/"), XKind::kStep, 1, 41, 4);
    QCOMPARE(map.rows, (QStringList{QStringLiteral("backbone"), QStringLiteral("neck")}));
    QCOMPARE(map.at(0, 0), 0.25);
    QCOMPARE(map.at(1, 1), 0.75);
    QVERIFY(std::isnan(map.at(0, 3)));
  }

  void probesFollowThePlayhead() {
    WrittenRun run(libraryPath());
    contract::ProbeRecord probe;
    probe.probe = 3;
    probe.name = "first";
    probe.width = probe.height = 32;
    probe.png = std::string("\x89PNG\0x", 6);
    probe.truth = {{1, 2, 10, 12, 1, 1}};
    probe.pixels.masks = {{0, 9, 1015}};
    run.writer().probe(probe);
    const auto predict = [&](std::int64_t step, float score) {
      contract::PredictionRecord record;
      record.probe = 3;
      record.segment = 0;
      record.step = step;
      record.boxes = {{2, 2, 9, 9, 2, score}};
      record.pixels.labels = {2, 1024};
      run.writer().prediction(record);
      run.eval(step, 0.1);
    };
    run.rows(1, 10, [](std::int64_t) { return 1.0; });
    predict(10, 0.5F);
    run.rows(11, 20, [](std::int64_t) { return 1.0; });
    predict(20, 0.75F);
    run.finish();
    const auto session = open(run.path(), 20);
    QTRY_VERIFY(!session->probes().isEmpty() && session->probes()[0].predictedStep == 20);
    QCOMPARE(session->probes()[0].png.size(), 6);
    QCOMPARE(session->probes()[0].truth[0].className, QStringLiteral("square"));
    QCOMPARE(session->probes()[0].predictions[0].score, 0.75);
    QCOMPARE(session->probes()[0].truthPixels.masks.size(), std::size_t{1});
    QVERIFY((session->probes()[0].predictionPixels.labels == std::vector<std::uint32_t>{2, 1024}));
    session->seekToStep(12);
    QTRY_COMPARE(session->probes()[0].predictedStep, std::int64_t{10});
    session->seekToStep(5);
    QTRY_COMPARE(session->probes()[0].predictedStep, std::int64_t{-1});
    QCOMPARE(session->probes()[0].truth.size(), 1);
  }

  void opensABscopeFile() {
    WrittenRun run(libraryPath());
    run.rows(1, 5, [](std::int64_t) { return 1.0; });
    run.finish();
    const auto file = library_->filePath(QStringLiteral("mailed.bscope"));
    QVERIFY(QFile::copy(run.path() + QStringLiteral("/run.sqlite"), file));
    const auto session = open(file, 5);
    QCOMPARE(session->state(), RunSession::State::kStored);
    QCOMPARE(whole(*session, "loss").samples, std::int64_t{5});
  }

  void replaysAtSpeed() {
    WrittenRun run(libraryPath());
    run.rows(1, 100, [](std::int64_t step) { return static_cast<double>(step); });
    run.finish();
    qint64 now = 5000;
    RunSession session(nullptr, [&now] { return now; });
    session.open(run.path());
    QTRY_COMPARE(session.state(), RunSession::State::kStored);
    whole(session, "loss");
    session.playhead()->seek(0);
    QCOMPARE(session.playheadSample().step, std::int64_t{1});
    session.playhead()->setSpeed(10);
    session.playhead()->play();
    now += 1000;  // 10 s of the record: 20 steps of 0.5 s
    session.playhead()->tick();
    QCOMPARE(session.playheadSample().step, std::int64_t{21});
    QCOMPARE(whole(session, "loss").samples, std::int64_t{21});
    session.playhead()->setSpeed(1000);
    now += 1000;
    session.playhead()->tick();
    QCOMPARE(session.playheadSample().step, std::int64_t{100});
    QVERIFY(!session.playhead()->isPlaying());
  }

  void controlsTheEngineOfALiveRun() {
    WrittenRun run(libraryPath());
    run.rows(1, 10, [](std::int64_t) { return 1.0; });
    run.commit();
    test::FakeEngine engine(run.path());
    auto session = std::make_unique<RunSession>();
    session->setPollInterval(60000);  // what follows is read because the engine says so
    session->open(run.path());
    QTRY_COMPARE(session->state(), RunSession::State::kLive);
    QVERIFY(!session->canControl());
    QTRY_COMPARE(engine.lines.size(), 1);
    engine.say(test::helloLine(1));
    QTRY_VERIFY(session->canControl());
    engine.say("{\"notice\":\"state\",\"status\":" + test::statusText("paused", 412) + "}");
    QTRY_COMPARE(session->status().state, contract::RunState::kPaused);
    QCOMPARE(session->status().evidence, QStringLiteral("the engine answers"));

    QSignalSpy pending(session.get(), &RunSession::pendingChanged);
    const auto id = session->sendCommand(contract::LrCommand{0.5});
    QCOMPARE(pending.last().first().toInt(), 1);
    run.rows(11, 20, [](std::int64_t) { return 1.0; });
    run.event("lr", 20);
    run.commit();
    engine.say("{\"id\":" + QByteArray::number(id) + ",\"ok\":true,\"step\":20}");
    engine.say("{\"notice\":\"committed\",\"seq\":20}");
    QTRY_COMPARE(pending.last().first().toInt(), 0);
    QTRY_COMPARE(session->playheadSample().step, std::int64_t{20});
    QTRY_COMPARE(session->events().size(), 1);

    engine.stop();
    QTRY_VERIFY(!session->canControl());
    run.finish();
    session->poll();
    QTest::qWait(1100);  // the state is read again after a second
    session->poll();
    QTRY_COMPARE(session->state(), RunSession::State::kStored);
    QCOMPARE(session->sendCommand(contract::PauseCommand{}), -1);
  }

  void saysWhatCannotBeRead() {
    RunSession session;
    QSignalSpy failed(&session, &RunSession::failed);
    const auto file = library_->filePath(QStringLiteral("text.bscope"));
    QFile text(file);
    QVERIFY(text.open(QIODevice::WriteOnly));
    text.write(
        "this is no run file at all, but it is longer than a header of SQLite would be.....");
    text.close();
    session.open(file);
    QTRY_COMPARE(session.state(), RunSession::State::kFailed);
    QVERIFY(failed.count() >= 1);
    QVERIFY(session.failure().contains(QStringLiteral("text.bscope")));
    session.open(library_->filePath(QStringLiteral("missing.bscope")));
    QTRY_COMPARE(session.state(), RunSession::State::kFailed);
    // The same session opens something else afterwards.
    WrittenRun run(libraryPath());
    run.rows(1, 5, [](std::int64_t) { return 1.0; });
    run.commit();
    session.open(run.path());
    QTRY_COMPARE(session.state(), RunSession::State::kLive);
    session.close();
    QCOMPARE(session.state(), RunSession::State::kClosed);
    QCOMPARE(session.series().size(), 0);
  }

  void waitsForARunFolderWithoutAFile() {
    RunSession session;
    session.setPollInterval(20);
    QVERIFY(QDir(library_->path()).mkdir(QStringLiteral("0123456789ab")));
    QSignalSpy failed(&session, &RunSession::failed);
    session.open(library_->filePath(QStringLiteral("0123456789ab")));
    QTest::qWait(100);
    QCOMPARE(session.state(), RunSession::State::kOpening);
    WrittenRun run(libraryPath());
    QTRY_COMPARE(session.state(), RunSession::State::kWaiting);
    QCOMPARE(failed.count(), 0);
  }
};

BATCHSCOPE_TEST(TestRunSession)
#include "tst_session_run.moc"
