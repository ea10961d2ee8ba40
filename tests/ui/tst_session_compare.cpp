#include "session_fixture.h"
#include "tests/support/test_program.h"
#include "ui/session/curve_export.h"
#include "ui/session/playhead.h"
#include "ui/session/run_compare.h"

#include <QAbstractItemModelTester>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <limits>

using namespace batchscope;
using namespace batchscope::session;
using batchscope::test::WrittenRun;
using Mode = QAbstractItemModelTester::FailureReportingMode;

namespace {

SampleItem sample(double x, double value, bool abandoned = false) {
  SampleItem item;
  item.valid = true;
  item.x = x;
  item.value = value;
  item.abandoned = abandoned;
  return item;
}

}  // namespace

class TestCompare : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir library_;
  std::unique_ptr<RunSession> a_, b_, c_, d_;

 private Q_SLOTS:
  void initTestCase() {
    const std::filesystem::path path = library_.path().toStdString();
    contract::RunSpec spec;
    spec.run.name = "same name";
    WrittenRun a(path, "aaaaaaaaaaaa", "same name", contract::to_toml(spec));
    a.rows(1, 20, [](std::int64_t step) { return static_cast<double>(step); });
    a.eval(10, 0.2);
    a.eval(20, 0.4);
    a.finish();
    spec.optim.name = "lamb";
    spec.optim.lr = 0.01;
    WrittenRun b(path, "bbbbbbbbbbbb", "same name", contract::to_toml(spec));
    b.rows(1, 30, [](std::int64_t step) { return 3.0 + static_cast<double>(step); });
    b.eval(30, 0.3);
    b.finish();
    const auto open = [](const QString& folder, std::int64_t steps) {
      auto session = std::make_unique<RunSession>();
      session->open(folder);
      for (int i = 0;
           i < 500 && (session->info().id.isEmpty() || session->playheadSample().step < steps);
           ++i)
        QTest::qWait(10);
      return session;
    };
    a_ = open(a.path(), 20);
    b_ = open(b.path(), 30);
    WrittenRun c(path, "cccccccccccc", "panoptic");
    c.rows(1, 10, [](std::int64_t) { return 1.0; });
    c.eval(10, {{"AP", 0.3}, {"PQ", 0.5}, {"mIoU", 0.75}});
    c.finish();
    WrittenRun d(path, "dddddddddddd", "semantic");
    d.rows(1, 10, [](std::int64_t) { return 1.0; });
    d.eval(10, {{"mIoU", 0.25}});
    d.finish();
    c_ = open(c.path(), 10);
    d_ = open(d.path(), 10);
    QTRY_COMPARE(c_->evals().size(), 1);
    QTRY_COMPARE(d_->evals().size(), 1);
    QTRY_COMPARE(a_->evals().size(), 2);
    QTRY_COMPARE(b_->evals().size(), 1);
  }
  void cleanupTestCase() {
    for (auto* session : {&a_, &b_, &c_, &d_})
      session->reset();
  }

  void overlaysRuns() {
    RunCompare compare;
    QVERIFY(compare.add(a_.get()));
    QVERIFY(compare.add(b_.get()));
    QVERIFY(!compare.add(a_.get()));
    QCOMPARE(
        compare.labels(),
        (QStringList{QStringLiteral("same name (aaaaaa)"), QStringLiteral("same name (bbbbbb)")}));
    QCOMPARE(compare.xRange(XKind::kStep), QPointF(1, 30));
    QCOMPARE(compare.xRange(XKind::kImages), QPointF(8, 240));
    QVERIFY(compare.seriesNames().contains(QStringLiteral("loss")));
    QCOMPARE(compare.runsWithout(QStringLiteral("loss")), QStringList());
    QCOMPARE(compare.runsWithout(QStringLiteral("mu/neck")).size(), 2);
    for (const auto kind : {XKind::kStep, XKind::kImages, XKind::kSeconds}) {
      const auto ready = [&] {
        const auto views = compare.views(QStringLiteral("loss"), kind, 0, 300, 1000);
        return views.size() == 2 && !views[0].loading && !views[1].loading;
      };
      QTRY_VERIFY(ready());
      const auto views = compare.views(QStringLiteral("loss"), kind, 0, 300, 1000);
      QCOMPARE(views[0].drawn, std::int64_t{20});
      QCOMPARE(views[1].drawn, std::int64_t{30});
    }
    const auto apart = compare.difference(1, QStringLiteral("loss"), XKind::kStep, 0, 100, 500);
    QCOMPARE(apart.size(), 20);
    for (const auto& point : apart)
      QCOMPARE(point.y(), 3.0);
    QVERIFY(compare.difference(0, QStringLiteral("loss"), XKind::kStep, 0, 100, 500).isEmpty());
  }

  void namesTheSettingsThatDiffer() {
    RunCompare compare;
    QAbstractItemModelTester tester(compare.settings(), Mode::QtTest);
    compare.add(a_.get());
    QCOMPARE(compare.settings()->rowCount(), 0);
    compare.add(b_.get());
    QStringList keys;
    for (const auto& row : compare.settings()->rows())
      keys.append(row.key);
    QCOMPARE(keys, (QStringList{QStringLiteral("optim.name"), QStringLiteral("optim.lr")}));
    QCOMPARE(compare.settings()->columnCount(), 3);
    QVERIFY(compare.settings()->index(0, 1).data().toString().contains(QStringLiteral("sgd")));
    QVERIFY(compare.settings()->index(0, 2).data().toString().contains(QStringLiteral("lamb")));
    compare.setBaseline(b_.get());
    QCOMPARE(compare.sessions().first(), b_.get());
    QVERIFY(compare.settings()->index(0, 1).data().toString().contains(QStringLiteral("lamb")));
    compare.remove(b_.get());
    QCOMPARE(compare.settings()->rowCount(), 0);
  }

  void theMetricToLookAtFirst() {
    RunCompare compare;
    QCOMPARE(compare.headlineMetric(), QString());
    compare.add(d_.get());
    QCOMPARE(compare.headlineMetric(), QStringLiteral("mIoU"));
    compare.add(c_.get());  // both have it
    QCOMPARE(compare.headlineMetric(), QStringLiteral("mIoU"));
    compare.remove(d_.get());
    QCOMPARE(compare.headlineMetric(), QStringLiteral("PQ"));
    compare.add(a_.get());
    QCOMPARE(compare.headlineMetric(), QStringLiteral("AP"));
    compare.add(d_.get());  // all have none
    QCOMPARE(compare.headlineMetric(), QStringLiteral("PQ"));
    QVERIFY(compare.metricNames().contains(QStringLiteral("PQ")));
    const auto reached = compare.timeToTarget(QStringLiteral("PQ"), 0.5);
    QCOMPARE(reached[0].step, std::int64_t{10});
    QVERIFY(std::isnan(reached[1].best));
  }

  void timeToTarget() {
    RunCompare compare;
    compare.add(a_.get());
    compare.add(b_.get());
    const auto reached = compare.timeToTarget(QStringLiteral("AP"), 0.35);
    QCOMPARE(reached.size(), 2);
    QVERIFY(reached[0].reached());
    QCOMPARE(reached[0].step, std::int64_t{20});
    QCOMPARE(reached[0].images, std::int64_t{160});
    QCOMPARE(reached[0].seconds, 10.0);
    QVERIFY(!reached[1].reached());
    QCOMPARE(reached[1].best, 0.3);
    QCOMPARE(compare.timeToTarget(QStringLiteral("AP"), 0.1)[0].step, std::int64_t{10});
    QVERIFY(std::isnan(compare.timeToTarget(QStringLiteral("PQ"), 0.1)[0].best));
    QVERIFY(compare.metricNames().contains(QStringLiteral("AP50")));
  }

  void comparesWholeRunsWhereverTheirPlayheadsAre() {
    RunCompare compare;
    compare.add(a_.get());
    compare.add(b_.get());
    a_->seekToStep(5);
    QCOMPARE(a_->playheadSample().step, std::int64_t{5});
    QCOMPARE(compare.xRange(XKind::kStep).y(), 30.0);
    QTRY_VERIFY(
        !compare.views(QStringLiteral("loss"), XKind::kStep, 0, 30, 100)[0].parts.isEmpty());
    const auto view = compare.views(QStringLiteral("loss"), XKind::kStep, 0, 30, 100)[0];
    QCOMPARE(view.parts.last().points.last().x(), 20.0);
    const auto difference = compare.difference(1, QStringLiteral("loss"), XKind::kStep, 0, 30, 100);
    QCOMPARE(difference.last().x(), 20.0);
    QVERIFY(compare.timeToTarget(QStringLiteral("AP"), 0.35)[0].reached());
    // Its own page still ends at its playhead.
    QCOMPARE(a_->xRange(XKind::kStep).y(), 5.0);
    a_->playhead()->followLive();
  }

  void takesEightRunsAndForgetsDeadOnes() {
    RunCompare compare;
    QList<RunSession*> sessions;
    for (int i = 0; i < 9; ++i)
      sessions.append(new RunSession(this));
    for (int i = 0; i < 8; ++i)
      QVERIFY(compare.add(sessions[i]));
    QVERIFY(!compare.add(sessions[8]));
    QSignalSpy changed(&compare, &RunCompare::runsChanged);
    delete sessions.takeFirst();
    QCOMPARE(compare.count(), 7);
    QCOMPARE(changed.count(), 1);
    compare.clear();
    QCOMPARE(compare.count(), 0);
  }

  void csvIsWideAndSpellsOut() {
    const auto nan = std::numeric_limits<double>::quiet_NaN();
    const auto inf = std::numeric_limits<double>::infinity();
    const QList<ExportColumn> columns{
        {QStringLiteral("loss"),
         {sample(1, 0.1), sample(2, nan), sample(2, 9, true), sample(3, -inf)}},
        {QStringLiteral("a \"b\", c"), {sample(2, 1e-300), sample(4, inf)}}};
    QCOMPARE(curvesToCsv(columns, XKind::kStep),
             QByteArray("step,loss,\"a \"\"b\"\", c\"\r\n"
                        "1,0.1,\r\n"
                        "2,nan,1e-300\r\n"
                        "3,-inf,\r\n"
                        "4,,inf\r\n"));
    QCOMPARE(curvesToCsv(columns, XKind::kStep, true).count("\r\n"), 6);
    QCOMPARE(curvesToCsv({}, XKind::kSeconds), QByteArray("seconds\r\n"));
  }

  void tableOfACurve() {
    CurveTableModel model;
    QAbstractItemModelTester tester(&model, Mode::QtTest);
    model.setColumns({{QStringLiteral("loss"), {sample(1, 0.5), sample(2, std::nan(""))}},
                      {QStringLiteral("lr"), {sample(2, 0.25)}}},
                     XKind::kImages);
    QCOMPARE(model.rowCount(), 2);
    QCOMPARE(model.headerData(0, Qt::Horizontal, Qt::DisplayRole).toString(),
             QStringLiteral("Pictures"));
    QCOMPARE(model.index(0, 1).data().toDouble(), 0.5);
    QVERIFY(!model.index(0, 2).data().isValid());
    QCOMPARE(model.index(1, 1).data().toString(), QStringLiteral("nan"));
    model.setColumns({}, XKind::kStep);
    QCOMPARE(model.rowCount(), 0);
  }

  void tableKeepsItsDigits() {
    QLocale::setDefault(QLocale::c());
    CurveTableModel model;
    model.setColumns(
        {{QStringLiteral("loss"), {sample(1234567, 0.12345678901234567), sample(1234568, 2.5e-7)}}},
        XKind::kImages);
    QCOMPARE(model.index(0, 0).data().toString(), QStringLiteral("1234567"));
    QCOMPARE(model.index(1, 0).data().toString(), QStringLiteral("1234568"));
    QCOMPARE(model.index(0, 1).data().toString().toDouble(), 0.12345678901234567);
    QCOMPARE(model.index(1, 1).data().toString(), QStringLiteral("2.5e-07"));
    QCOMPARE(shownNumber(0), QStringLiteral("0"));
    QCOMPARE(shownNumber(1000000), QStringLiteral("1000000"));
  }

  void filesAreWrittenWhole() {
    QString error;
    const auto path = library_.filePath(QStringLiteral("out.csv"));
    QVERIFY(writeFile(path, "abc", &error));
    QFile file(path);
    QVERIFY(file.open(QIODevice::ReadOnly));
    QCOMPARE(file.readAll(), QByteArray("abc"));
    QVERIFY(!writeFile(QStringLiteral("/nonexistent/out.csv"), "abc", &error));
    QVERIFY(error.contains(QStringLiteral("/nonexistent/out.csv")));
  }
};

BATCHSCOPE_TEST(TestCompare)
#include "tst_session_compare.moc"
