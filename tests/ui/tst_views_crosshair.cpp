// The cross-hair under the mouse and by keys: on recorded samples, and nowhere else.
#include "tests/ui/shown_window.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/chart_legend.h"
#include "ui/views/compare_page.h"
#include "ui/views/heatmap_view.h"
#include "ui/views/run_view.h"

#include <limits>

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestCrosshair : public UserTest {
  Q_OBJECT
 private:
  static void hover(CurveChart* chart, double x) {
    const QRectF plot = chart->plot()->plotRect();
    const AxisRange range = chart->plot()->xRange();
    const QPoint at(
        static_cast<int>(std::lround(plot.left() + (x - range.low) / range.span() * plot.width())),
        static_cast<int>(plot.center().y()));
    QTest::mouseMove(chart->plot()->viewport(), at + QPoint(1, 0));
    QTest::mouseMove(chart->plot()->viewport(), at);
  }
  static const Curve* curveOf(CurveChart* chart, const QString& name) {
    for (const Curve& curve : chart->plot()->curves()) {
      if (!curve.abandoned && curve.name == name) {
        return &curve;
      }
    }
    return nullptr;
  }

 private Q_SLOTS:
  void initTestCase() { makeHome(); }
  void init() { openSettings()->clear(); }

  void itStandsOnRecordedSamples() {
    const auto written = emptyRun("long", 3000);
    written->write();
    written->finish();
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(window->isSettled());
    CurveChart* chart = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(!chart->isEmpty());
    const Curve* total = curveOf(chart, QStringLiteral("total"));
    QVERIFY(total != nullptr && total->thinned);
    ChartLink* link = window->runView()->link();
    int off = 0;  // where the drawn extreme is another sample
    for (const double x : {700.37, 1333.9, 2222.2, 2701.5}) {
      hover(chart, x);
      QTRY_VERIFY(link->cursor().has_value());
      const double at = *link->cursor();
      QCOMPARE(at, std::round(at));
      const auto sample = run->nearest(QStringLiteral("loss"), session::XKind::kStep, at);
      QCOMPARE(sample.x, at);
      const auto read = chart->plot()->sampleAt(*total, at);
      QVERIFY(read.has_value());
      QCOMPARE(read->x(), at);
      QCOMPARE(read->y(), sample.value);
      off += pointAt(*total, at)->x() != at;
    }
    QVERIFY(off > 0);
    // By keys it goes sample by sample, not by what is drawn.
    clickOn(chart->plot()->viewport());
    QTRY_VERIFY(chart->hasFocus());
    hover(chart, 1500);
    const double before = *link->cursor();
    press(window.get(), Qt::Key_Right);
    QCOMPARE(link->cursor(), std::optional(before + 1));
    press(window.get(), Qt::Key_Left);
    press(window.get(), Qt::Key_Left);
    QCOMPARE(link->cursor(), std::optional(before - 1));
    QVERIFY2(window->statusBar()->currentMessage().startsWith(
                 QStringLiteral("step %1, total ").arg(QLocale().toString(qint64(before - 1)))),
             qPrintable(window->statusBar()->currentMessage()));
    // Another axis is another place: the old number means nothing there.
    press(window.get(), Qt::Key_X);
    QCOMPARE(link->kind(), session::XKind::kImages);
    QVERIFY(!link->cursor().has_value());
    QVERIFY(!chart->plot()->cursor().has_value());
    QTRY_COMPARE(chart->plot()->xRange().high, 3000.0 * 128);
    QTRY_VERIFY(!chart->isEmpty() && !chart->isLoading());
    hover(chart, 92997.8);
    QTRY_VERIFY(link->cursor().has_value());
    QCOMPARE(std::fmod(*link->cursor(), 128), 0.0);
  }

  void stepsAreWholeNumbers() {
    QCOMPARE(xText(session::XKind::kStep, 339.3297), QStringLiteral("339"));
    QCOMPARE(xText(session::XKind::kImages, 92997.8), formatCount(92998));
    QCOMPARE(xText(session::XKind::kSeconds, 92.31), QStringLiteral("92.31"));
  }

  void endedRunsEnd() {
    const auto longer = emptyRun("longer", 400);
    longer->write();
    longer->finish();
    const auto shorter = emptyRun("shorter", 120, 0.02);
    shorter->write();
    shorter->finish();
    const auto window = showWindow();
    QVERIFY(window->addToCompare(longer->path()));
    QVERIFY(window->addToCompare(shorter->path()));
    QTRY_VERIFY(window->isSettled());
    ComparePage* page = window->runView()->comparePage();
    CurveChart* chart = chartOf(page, QStringLiteral("Runs over"));
    QTRY_COMPARE(chart->legend()->series().size(), 2);
    const auto valueAt = [&](const char* name, double x) {
      const Curve* curve = curveOf(chart, QLatin1String(name));
      return curve != nullptr ? chart->plot()->sampleAt(*curve, x) : std::nullopt;
    };
    hover(chart, 300);
    QTRY_COMPARE(chart->plot()->cursor(), std::optional(300.0));
    QVERIFY(valueAt("longer", 300).has_value());
    QVERIFY(!valueAt("shorter", 300).has_value());
    QVERIFY(valueAt("shorter", 120).has_value());
    QVERIFY(!valueAt("shorter", 121).has_value());
    QVERIFY(!valueAt("longer", 0).has_value());
    // So it is in what the other charts read, which have no samples of a record.
    Curve evals;
    evals.points = {{50, 0.1}, {100, 0.2}};
    CurvePlot plot;
    QCOMPARE(plot.sampleAt(evals, 70), std::optional(QPointF(50, 0.1)));
    QVERIFY(!plot.sampleAt(evals, 101).has_value());
    QVERIFY(!plot.sampleAt(evals, 49).has_value());
    // The difference is read from every sample, and ends with the shorter run.
    CurveChart* difference = chartOf(page, QStringLiteral("Difference"));
    QTRY_COMPARE(difference->plot()->curves().size(), 1);
    const Curve& minus = difference->plot()->curves().first();
    QTRY_VERIFY(difference->plot()->sampleAt(minus, 77).has_value());
    QCOMPARE(difference->plot()->sampleAt(minus, 77)->x(), 77.0);
    QVERIFY(!difference->plot()->sampleAt(minus, 150).has_value());
  }

  void nonPositiveSamplesAreCountedInTheRecord() {
    CurvePlot plot;
    Curve curve;
    curve.id = curve.series = QStringLiteral("d");
    curve.points = {{0, -1}, {1, 2}};
    curve.nonPositive = 12;
    plot.setCurves({curve}, {0, 1});
    QCOMPARE(plot.hiddenByLog(curve.series), 0);
    plot.setLog(true);
    QCOMPARE(plot.hiddenByLog(curve.series), 12);
  }

  void theHeatMapHoldsNoValueForEver() {
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    session::HeatmapView map;
    map.rows = {QStringLiteral("neck"), QStringLiteral("head")};
    map.columns = 12;
    map.cells = {1, kNaN, kNaN, 2,    kNaN, kNaN, 3,    kNaN, kNaN, kNaN, kNaN, kNaN,
                 5, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN};
    const QList<double> held = heldCells(map);
    const auto row = [&](int r) {
      QStringList cells;
      for (int c = 0; c < map.columns; ++c) {
        const double value = held[r * map.columns + c];
        cells.append(std::isnan(value) ? QStringLiteral("-") : QString::number(value));
      }
      return cells.join(QLatin1Char(' '));
    };
    QCOMPARE(row(0), QStringLiteral("1 1 1 2 2 2 3 3 3 3 - -"));
    QCOMPARE(row(1), QStringLiteral("5 - - - - - - - - - - -"));
  }
};

BATCHSCOPE_GUI_TEST(TestCrosshair)
#include "tst_views_crosshair.moc"
