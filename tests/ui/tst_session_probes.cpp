#include "session_fixture.h"
#include "tests/support/test_program.h"
#include "ui/session/playhead.h"
#include "ui/session/run_session.h"

#include <QTemporaryDir>
#include <QTest>

using namespace batchscope;
using namespace batchscope::session;
using batchscope::test::WrittenRun;

namespace {

double one(std::int64_t) {
  return 1;
}

contract::ProbeRecord picture(std::int64_t number, const char* name) {
  contract::ProbeRecord record;
  record.probe = number;
  record.name = name;
  record.width = record.height = 32;
  record.png = std::string("png of ") + name;
  record.truth = {{1, 2, 10, 12, 1, 1}};
  return record;
}

contract::PredictionRecord prediction(std::int64_t number,
                                      std::int64_t segment,
                                      std::int64_t step,
                                      float score) {
  contract::PredictionRecord record;
  record.probe = number;
  record.segment = segment;
  record.step = step;
  record.boxes = {{2, 2, 9, 9, 2, score}};
  return record;
}

std::unique_ptr<RunSession> open(const QString& path, std::int64_t steps) {
  auto session = std::make_unique<RunSession>();
  session->setPollInterval(20);
  session->open(path);
  [[maybe_unused]] const bool read =
      QTest::qWaitFor([&] { return session->playheadSample().step >= steps; });
  return session;
}

/// Of the first picture; -2: there is none.
std::int64_t predictedStep(const RunSession& session) {
  return session.probes().isEmpty() ? -2 : session.probes().first().predictedStep;
}

QStringList names(const RunSession& session) {
  QStringList result;
  for (const auto& probe : session.probes())
    result.append(probe.name);
  return result;
}

}  // namespace

class TestProbes : public QObject {
  Q_OBJECT

 private:
  std::unique_ptr<QTemporaryDir> library_;
  std::filesystem::path libraryPath() const { return library_->path().toStdString(); }

 private Q_SLOTS:
  void init() { library_ = std::make_unique<QTemporaryDir>(); }

  void thoseBeforeTheFirstEvaluationAreShown() {
    WrittenRun run(libraryPath());
    run.writer().probe(picture(0, "a"));
    run.rows(1, 3, one);
    run.writer().prediction(prediction(0, 0, 3, 0.25F));
    run.rows(4, 10, one);
    run.finish();
    const auto session = open(run.path(), 10);
    QVERIFY(session->allEvals().isEmpty());
    QTRY_COMPARE(predictedStep(*session), std::int64_t{3});
    QCOMPARE(session->probes().first().predictions.first().score, 0.25);
    session->seekToStep(2);
    QTRY_COMPARE(predictedStep(*session), std::int64_t{-1});
    QVERIFY(session->probes().first().predictions.isEmpty());
    session->seekToStep(3);
    QTRY_COMPARE(predictedStep(*session), std::int64_t{3});
  }

  // No row, event or evaluation comes along: what is committed late is asked for all the same.
  void whatIsCommittedLaterIsRead() {
    WrittenRun run(libraryPath());
    run.rows(1, 5, one);
    run.commit();
    const auto session = open(run.path(), 5);
    QTest::qWait(100);
    QVERIFY(session->probes().isEmpty());
    run.writer().probe(picture(0, "a"));
    run.writer().probe(picture(1, "b"));
    run.commit();
    QTRY_COMPARE(session->probes().size(), 2);
    QCOMPARE(predictedStep(*session), std::int64_t{-1});
    run.writer().prediction(prediction(0, 0, 5, 0.5F));
    run.commit();
    QTRY_COMPARE(predictedStep(*session), std::int64_t{5});
    run.writer().prediction(prediction(1, 0, 5, 0.75F));
    run.commit();
    QTRY_COMPARE(names(*session), (QStringList{QStringLiteral("a"), QStringLiteral("b")}));
    QCOMPARE(session->probes().last().predictions.first().score, 0.75);
  }

  void everyEvaluationHasItsOwnPictures() {
    WrittenRun run(libraryPath());
    run.writer().probe(picture(0, "a"));
    run.writer().probe(picture(1, "b"));
    run.rows(1, 10, one);
    run.writer().prediction(prediction(0, 0, 10, 0.125F));
    run.writer().prediction(prediction(1, 0, 10, 0.25F));
    run.segment(1, 0, 10, "resume");
    run.writer().probe(picture(0, "a"));
    run.writer().probe(picture(1, "c"));
    run.rows(11, 20, one);
    run.writer().prediction(prediction(0, 1, 20, 0.5F));
    run.writer().prediction(prediction(1, 1, 20, 0.75F));
    run.finish();
    const auto session = open(run.path(), 20);
    QTRY_COMPARE(names(*session), (QStringList{QStringLiteral("a"), QStringLiteral("c")}));
    QCOMPARE(session->probes().last().predictions.first().score, 0.75);
    session->seekToStep(15);
    QTRY_COMPARE(names(*session), (QStringList{QStringLiteral("a"), QStringLiteral("b")}));
    QCOMPARE(session->probes().last().predictions.first().score, 0.25);
  }

  void anAbandonedBranchIsShownAsItWas() {
    WrittenRun run(libraryPath());
    run.writer().probe(picture(0, "a"));
    run.rows(1, 10, one);
    run.writer().prediction(prediction(0, 0, 10, 0.1F));
    run.rows(11, 20, one);
    run.writer().prediction(prediction(0, 0, 20, 0.2F));
    run.eval(20, 0.5);
    run.rows(21, 25, one);
    run.writer().segment({0, -1, 0, 10, "start"});
    run.segment(1, 0, 10, "undo");
    run.rows(11, 30, one);
    run.commit();
    const auto session = open(run.path(), 30);
    // The newest on the line that lives: what was undone says nothing of it.
    QTRY_COMPARE(predictedStep(*session), std::int64_t{10});
    session->playhead()->seek(12);  // row 25, before the undo
    QCOMPARE(session->playheadSample().step, std::int64_t{25});
    QTRY_COMPARE(predictedStep(*session), std::int64_t{20});
    session->playhead()->seek(12.5);  // the first row after it
    QCOMPARE(session->playheadSample().step, std::int64_t{11});
    QTRY_COMPARE(predictedStep(*session), std::int64_t{10});
    run.writer().prediction(prediction(0, 1, 30, 0.3F));
    run.commit();
    QTest::qWait(100);
    QCOMPARE(predictedStep(*session), std::int64_t{10});  // later than the playhead
    session->playhead()->followLive();
    QTRY_COMPARE(predictedStep(*session), std::int64_t{30});
  }

  void aRunThatGoesOnIsFollowed() {
    WrittenRun run(libraryPath());
    run.writer().probe(picture(0, "a"));
    run.rows(1, 10, one);
    run.writer().prediction(prediction(0, 0, 10, 0.1F));
    run.finish();
    const auto session = open(run.path(), 10);
    QTRY_COMPARE(predictedStep(*session), std::int64_t{10});
    storage::RunWriter writer(run.path().toStdString(), {}, true);
    writer.probe(picture(0, "b"));
    writer.segment({1, 0, 10, -1, "resume"});
    writer.prediction(prediction(0, 1, 10, 0.2F));
    writer.commit();
    session->poll();
    QTRY_COMPARE(names(*session), QStringList{QStringLiteral("b")});
  }
};

BATCHSCOPE_TEST(TestProbes)
#include "tst_session_probes.moc"
