#include "tests/support/test_program.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/chart_legend.h"
#include "ui/views/curve_chart.h"
#include "ui/views/theme.h"

#include <QClipboard>
#include <QDirIterator>
#include <QLabel>
#include <QLineSeries>
#include <QTableView>
#include <QToolTip>
#include <QtTest>

#include <cmath>
#include <limits>

using namespace batchscope;
using namespace batchscope::views;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

Curve curve(const QList<QPointF>& points, int colour = 0) {
  Curve c;
  c.series = QStringLiteral("s%1").arg(colour);
  c.id = c.series + QStringLiteral("#0");
  c.name = c.series;
  c.colour = colour;
  c.points = points;
  c.samples = points.size();
  return c;
}

/// A chart that always gets the same content.
std::unique_ptr<CurveChart> chartWith(ChartLink& link,
                                      const QList<Curve>& curves,
                                      const QList<EventMark>& marks = {}) {
  auto chart = std::make_unique<CurveChart>(QStringLiteral("Test"), &link);
  chart->resize(700, 400);
  chart->setSource(
      [curves, marks](const ChartRequest& request) {
        ChartContent content;
        content.curves = curves;
        content.marks = marks;
        content.range = request.range.value_or(AxisRange{0, 100});
        content.known = true;
        return content;
      },
      {});
  chart->show();
  return chart;
}

QList<QLineSeries*> linesOf(const CurveChart& chart) {
  QList<QLineSeries*> lines;
  for (QAbstractSeries* series : chart.plot()->chart()->series()) {
    lines.append(qobject_cast<QLineSeries*>(series));
  }
  return lines;
}

}  // namespace

class TestChart : public QObject {
  Q_OBJECT
 private Q_SLOTS:
  void initTestCase() { Theme::instance().apply(ThemeMode::kLight); }

  void linesAreSplitAtBreaks() {
    Curve c = curve({{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}});
    c.breaks = {2, 3};
    const DrawnCurve drawn = drawnCurve(c, false);
    QCOMPARE(drawn.isolated, (QList<QPointF>{{2, 3}}));
    QCOMPARE(drawn.line.size(), 5);  // 0, 1, gap, 3, 4
    QVERIFY(std::isnan(drawn.line[2].y()));
    QCOMPARE(drawn.line[3], QPointF(3, 4));
  }

  void logLeavesOutAndCounts() {
    const DrawnCurve drawn = drawnCurve(curve({{0, 100}, {1, 0}, {2, -5}, {3, 10}, {4, 1}}), true);
    QCOMPARE(drawn.hiddenByLog, 2);
    QCOMPARE(drawn.isolated, (QList<QPointF>{{0, 2}}));
    QCOMPARE(drawn.line, (QList<QPointF>{{3, 1}, {4, 0}}));
  }

  void extremeValuesStayFinite_data() {
    QTest::addColumn<QList<QPointF>>("points");
    QTest::newRow("empty") << QList<QPointF>{};
    QTest::newRow("one") << QList<QPointF>{{5, 3}};
    QTest::newRow("zero") << QList<QPointF>{{5, 0}, {6, 0}};
    QTest::newRow("constant") << QList<QPointF>{{0, 1e-30}, {9, 1e-30}};
    QTest::newRow("huge") << QList<QPointF>{{0, 1e300}, {9, -1e300}};
    QTest::newRow("largest") << QList<QPointF>{{0, std::numeric_limits<double>::max()},
                                               {9, std::numeric_limits<double>::lowest()}};
    QTest::newRow("denormal") << QList<QPointF>{{0, 5e-324}, {9, 1e-310}};
    QTest::newRow("nan") << QList<QPointF>{{0, kNaN}, {4, 1}, {9, kInf}};
    QTest::newRow("negative") << QList<QPointF>{{0, -1}, {9, -2}};
  }
  void extremeValuesStayFinite() {
    QFETCH(QList<QPointF>, points);
    ChartLink link;
    const auto chart = chartWith(link, {curve(points)});
    for (const bool log : {false, true}) {
      chart->setLogValues(log);
      QTest::qWait(20);
      const AxisRange y = chart->plot()->yRange();
      QVERIFY(std::isfinite(y.low) && std::isfinite(y.high) && y.high > y.low);
      for (const QLineSeries* line : linesOf(*chart)) {
        for (const QPointF& point : line->points()) {
          QVERIFY(std::isfinite(point.x()) && (std::isnan(point.y()) || std::isfinite(point.y())));
        }
      }
      QVERIFY(!chart->grab().isNull());
    }
    QCOMPARE(chart->isEmpty(), points.isEmpty());
  }

  void canvasGetsTheUnitSquare() {
    ChartLink link;
    // Steps beyond 2^24 keep their differences.
    const double base = 1e15;
    auto chart = std::make_unique<CurveChart>(QStringLiteral("Test"), &link);
    chart->resize(600, 300);
    chart->setSource(
        [base](const ChartRequest&) {
          ChartContent content;
          content.curves = {curve({{base, 1}, {base + 1, 2}, {base + 2, 3}})};
          content.range = {base, base + 2};
          return content;
        },
        {});
    chart->show();
    QTRY_COMPARE(linesOf(*chart).size(), 1);
    const QList<QPointF> points = linesOf(*chart).first()->points();
    QCOMPARE(points.size(), 3);
    QCOMPARE(points[0].x(), 0.0);
    QCOMPARE(points[1].x(), 0.5);
    QCOMPARE(points[2].x(), 1.0);
    QVERIFY(points[0].y() > 0 && points[2].y() < 1);
  }

  void aRunawayDoesNotFlattenTheRest() {
    Curve calm, wild;
    for (int i = 0; i < 100; ++i) {
      calm.points.append({double(i), 3 - 0.02 * i});
      if (i < 20) {
        wild.points.append({double(i), i < 12 ? 3.0 : std::pow(10.0, i - 11)});
      }
    }
    const QList<DrawnCurve> both = {drawnCurve(calm, false), drawnCurve(wild, false)};
    const auto range = calmRange(both, {0, 99});
    QVERIFY(range.has_value());
    QVERIFY(range->low < 1.02 && range->high > 3 && range->high < 20);
    QVERIFY(valueRange(both, {0, 99})->high > 1e8);
    // A steep start is no runaway; a constant with one jump shows the jump.
    QCOMPARE(*calmRange({both[0]}, {0, 99}), *valueRange({both[0]}, {0, 99}));
    Curve flat;
    for (int i = 0; i < 50; ++i) {
      flat.points.append({double(i), i == 30 ? 9.0 : 1.0});
    }
    QVERIFY(calmRange({drawnCurve(flat, false)}, {0, 49})->high > 9);
    CurvePlot plot;
    wild.id = wild.series = QStringLiteral("wild");
    calm.id = calm.series = QStringLiteral("calm");
    plot.setCalm(true);
    plot.setCurves({calm, wild}, {0, 99});
    QVERIFY(plot.outOfView(QStringLiteral("wild")) >= 6);
    QCOMPARE(plot.outOfView(QStringLiteral("calm")), 0);
    plot.setLog(true);
    QCOMPARE(plot.outOfView(QStringLiteral("wild")), 0);
  }

  void constantRangeIsRelative() {
    const auto range = valueRange({drawnCurve(curve({{0, 2e-8}, {1, 2e-8}}), false)}, {0, 1});
    QVERIFY(range.has_value());
    QVERIFY(range->high < 1e-7);
    QVERIFY(!valueRange({drawnCurve(curve({{5, 1}}), false)}, {0, 1}).has_value());
  }

  void legendCounts() {
    ChartLink link;
    Curve c = curve({{0, -1}, {1, 2}, {2, 4}, {3, 8}});
    c.name = QStringLiteral("loss");
    c.samples = 163;
    c.thinned = true;
    c.nonfinite = {{2.5, kNaN}};
    c.nonfiniteSamples = 3;
    const auto chart = chartWith(link, {c});
    QTRY_VERIFY(!chart->legend()->series().isEmpty());
    chart->setLogValues(true);
    const QString text = chart->legend()->textOf(c.series);
    QVERIFY2(text.contains(QStringLiteral("3 non-finite")), qPrintable(text));
    QVERIFY2(text.contains(QStringLiteral("1 ≤ 0 hidden")), qPrintable(text));
    QVERIFY2(text.contains(QStringLiteral("thinned 1:41")), qPrintable(text));
  }

  void legendHidesASeries() {
    ChartLink link;
    const auto chart =
        chartWith(link, {curve({{0, 1}, {9, 2}}, 0), curve({{0, 500}, {9, 900}}, 1)});
    QTRY_COMPARE(chart->legend()->series().size(), 2);
    QVERIFY(chart->plot()->yRange().high > 800);
    chart->plot()->setHidden({QStringLiteral("s1")});
    QVERIFY(chart->plot()->yRange().high < 3);
  }

  void abandonedIsGreyAndNotInTheLegend() {
    ChartLink link;
    Curve undone = curve({{0, 1}, {9, 2}}, 3);
    undone.id += QStringLiteral("undone");
    undone.abandoned = true;
    const auto chart = chartWith(link, {undone, curve({{0, 3}, {9, 4}}, 3)});
    QTRY_COMPARE(linesOf(*chart).size(), 2);
    QCOMPARE(chart->legend()->series().size(), 1);
    QList<QColor> pens;
    for (const QLineSeries* line : linesOf(*chart)) {
      pens.append(line->pen().color());
    }
    QVERIFY(pens.contains(colours().abandoned));
    QVERIFY(pens.contains(colours().seriesColor(3)));
  }

  void isolatedAndNonFiniteAreDrawn() {
    ChartLink link;
    const auto count = [&](const QList<Curve>& curves, const QColor& colour) {
      const auto chart = chartWith(link, curves);
      QTest::qWait(30);
      const QImage image = chart->plot()->viewport()->grab().toImage();
      int pixels = 0;
      for (int y = 0; y < image.height(); ++y) {
        for (int x = 0; x < image.width(); ++x) {
          pixels += image.pixelColor(x, y) == colour;
        }
      }
      return pixels;
    };
    Curve lone = curve({{50, 1}});
    QVERIFY(count({lone}, colours().seriesColor(0)) > 4);
    lone.nonfinite = {{20, kNaN}, {30, -kInf}};
    QVERIFY(count({lone}, colours().bad) > 4);
  }

  void marksCarryTheirSentence() {
    ChartLink link;
    const EventMark mark{40,
                         QStringLiteral("lamb"),
                         QStringLiteral("Step 40: to LAMB"),
                         EventMark::Kind::kChange,
                         false};
    const auto chart = chartWith(link, {curve({{0, 1}, {100, 2}})}, {mark});
    QTRY_COMPARE(chart->plot()->marks().size(), 1);
    chart->cursorToMark(1);
    QCOMPARE(link.cursor(), std::optional<double>(40));
    const QRectF plot = chart->plot()->plotRect();
    const QPoint at(static_cast<int>(plot.left() + 0.4 * plot.width()),
                    static_cast<int>(plot.center().y()));
    QHelpEvent help(QEvent::ToolTip, at, chart->plot()->viewport()->mapToGlobal(at));
    QApplication::sendEvent(chart->plot()->viewport(), &help);
    QTRY_COMPARE(QToolTip::text(), QStringLiteral("Step 40: to LAMB"));
  }

  void zoomIsSharedAndUndone() {
    ChartLink link;
    const auto one = chartWith(link, {curve({{0, 1}, {50, 2}, {100, 3}})});
    const auto two = chartWith(link, {curve({{0, 5}, {50, 6}, {100, 7}})});
    QTRY_VERIFY(!one->isEmpty() && !two->isEmpty());
    one->zoom(2);
    QTRY_COMPARE(two->plot()->xRange(), (AxisRange{25, 75}));
    two->zoom(2);
    QTRY_COMPARE(one->plot()->xRange(), (AxisRange{37.5, 62.5}));
    link.undoRange();
    QTRY_COMPARE(one->plot()->xRange(), (AxisRange{25, 75}));
    link.redoRange();
    QTRY_COMPARE(one->plot()->xRange(), (AxisRange{37.5, 62.5}));
    one->fit();
    QTRY_COMPARE(two->plot()->xRange(), (AxisRange{0, 100}));
    // Zooming out further than there is shows everything, not empty space.
    one->zoom(0.1);
    QTRY_COMPARE(one->plot()->xRange(), (AxisRange{0, 100}));
  }

  void wheelAndRubberBandZoom() {
    ChartLink link;
    const auto chart = chartWith(link, {curve({{0, 1}, {50, 2}, {100, 3}})});
    QTRY_VERIFY(!chart->isEmpty());
    const QRectF plot = chart->plot()->plotRect();
    const auto at = [&](double t) {
      return QPoint(static_cast<int>(plot.left() + t * plot.width()),
                    static_cast<int>(plot.center().y()));
    };
    QWidget* canvas = chart->plot()->viewport();
    QTest::mousePress(canvas, Qt::LeftButton, {}, at(0.2));
    QTest::mouseMove(canvas, at(0.6));
    QTest::mouseRelease(canvas, Qt::LeftButton, {}, at(0.6));
    QVERIFY(link.range().has_value());
    QVERIFY(std::abs(link.range()->low - 20) < 1 && std::abs(link.range()->high - 60) < 1);
    QTest::mouseDClick(canvas, Qt::LeftButton, {}, at(0.5));
    QVERIFY(!link.range().has_value());
    QTRY_COMPARE(chart->plot()->xRange(), (AxisRange{0, 100}));
    QWheelEvent wheel(at(0.5),
                      canvas->mapToGlobal(at(0.5)),
                      {},
                      {0, 120},
                      Qt::NoButton,
                      {},
                      Qt::NoScrollPhase,
                      false);
    QApplication::sendEvent(canvas, &wheel);
    QVERIFY(link.range().has_value());
    QVERIFY(std::abs(link.range()->span() - 80) < 1);
  }

  void crossHairByKeyboardIsAnnounced() {
    ChartLink link;
    Curve c = curve({{10, 1.5}, {20, 1.27}, {30, 1.1}});
    c.name = QStringLiteral("loss");
    const auto chart = chartWith(link, {c});
    QTRY_VERIFY(!chart->isEmpty());
    QSignalSpy said(chart.get(), &CurveChart::announced);
    chart->moveCursor(1);
    chart->moveCursor(1);
    QCOMPARE(link.cursor(), std::optional<double>(20));
    QCOMPARE(said.last().first().toString(), QStringLiteral("step 20, loss 1.27"));
    QCOMPARE(chart->accessibleDescription(), QStringLiteral("step 20, loss 1.27"));
    chart->moveCursor(-10);
    QCOMPARE(link.cursor(), std::optional<double>(10));
    chart->moveCursor(10);
    QCOMPARE(link.cursor(), std::optional<double>(30));
  }

  void cursorGoesToNonFinite() {
    ChartLink link;
    Curve c = curve({{0, 1}, {100, 2}});
    c.nonfinite = {{30, kNaN}, {60, kInf}};
    const auto chart = chartWith(link, {c});
    QTRY_VERIFY(!chart->isEmpty());
    chart->cursorToNonFinite();
    QCOMPARE(link.cursor(), std::optional<double>(30));
    chart->cursorToNonFinite();
    QCOMPARE(link.cursor(), std::optional<double>(60));
  }

  void tableAndCsvShowTheSamples() {
    ChartLink link;
    const auto chart = chartWith(link, {curve({{1, 0.5}, {2, 0.25}})});
    chart->setSource(
        [](const ChartRequest&) {
          ChartContent content;
          content.curves = {curve({{1, 0.5}, {2, 0.25}})};
          content.range = {1, 2};
          return content;
        },
        [](session::XKind, const AxisRange&) {
          QList<session::SampleItem> samples(2);
          for (int i = 0; i < 2; ++i) {
            samples[i].valid = true;
            samples[i].x = samples[i].step = i + 1;
            samples[i].value = i == 0 ? 0.5 : kNaN;
          }
          return QList<session::ExportColumn>{{QStringLiteral("loss"), samples}};
        });
    QTRY_VERIFY(!chart->isEmpty());
    chart->toggleTable();
    QVERIFY(chart->isTableShown());
    const auto* table = chart->findChild<QTableView*>();
    QCOMPARE(table->model()->rowCount(), 2);
    const QByteArray csv = chart->csv();
    QVERIFY2(csv.contains("1,0.5"), csv.constData());
    QVERIFY2(csv.contains("2,nan"), csv.constData());
    chart->toggleTable();
    QVERIFY(!chart->isTableShown());
  }

  void imageHasTheChartInIt() {
    ChartLink link;
    const auto chart = chartWith(link, {curve({{0, 1}, {50, 2}, {100, 1}})});
    QTRY_VERIFY(!chart->isEmpty());
    const QImage image = chart->image(QSize(500, 300));
    QCOMPARE(image.size(), QSize(1000, 600));
    int blue = 0;
    for (int x = 0; x < image.width(); ++x) {
      for (int y = 0; y < image.height(); ++y) {
        blue += image.pixelColor(x, y) == colours().seriesColor(0);
      }
    }
    QVERIFY(blue > 300);
    chart->copyImage();
    QVERIFY(!QApplication::clipboard()->image().isNull());
  }

  void emptyChartSaysWhy() {
    ChartLink link;
    const auto chart = chartWith(link, {});
    chart->setEmptyText(QStringLiteral("Waiting for the first step."));
    QTest::qWait(20);
    QVERIFY(chart->isEmpty());
    bool found = false;
    for (const QLabel* label : chart->findChildren<QLabel*>()) {
      found = found || (label->isVisible() &&
                        label->text() == QStringLiteral("Waiting for the first step."));
    }
    QVERIFY(found);
  }

  void antialiasingEndsAbove2000Vertices() {
    ChartLink link;
    QList<QPointF> many;
    for (int i = 0; i < 2100; ++i) {
      many.append({i / 21.0, double(i % 7)});
    }
    const auto small = chartWith(link, {curve(many.mid(0, 1500))});
    const auto large = chartWith(link, {curve(many)});
    QTRY_COMPARE(large->plot()->vertices(), 2100);
    QVERIFY(!large->plot()->renderHints().testFlag(QPainter::Antialiasing));
    QTRY_COMPARE(small->plot()->vertices(), 1500);
    QVERIFY(small->plot()->renderHints().testFlag(QPainter::Antialiasing));
  }

  void ticksAreRoundNumbers() {
    QStringList labels;
    for (const Tick& tick : linearTicks({0, 100}, 5)) {
      labels.append(tick.label);
    }
    QCOMPARE(labels,
             (QStringList{QStringLiteral("0"),
                          QStringLiteral("20"),
                          QStringLiteral("40"),
                          QStringLiteral("60"),
                          QStringLiteral("80"),
                          QStringLiteral("100")}));
    QList<double> decades;
    for (const Tick& tick : logTicks({-3, 3}, 7)) {
      if (!tick.label.isEmpty()) {
        decades.append(tick.at);
      }
    }
    QCOMPARE(decades, (QList<double>{-3, -2, -1, 0, 1, 2, 3}));
    QVERIFY(linearTicks({1, 1}, 5).isEmpty());
    QVERIFY(linearTicks({0, kInf}, 5).isEmpty());
  }

  void numbersForPeople() {
    QLocale::setDefault(QLocale::c());
    QCOMPARE(formatNumber(kNaN), QStringLiteral("NaN"));
    QCOMPARE(formatNumber(-kInf), QStringLiteral("−∞"));
    QCOMPARE(formatNumber(0.25), QStringLiteral("0.25"));
    QCOMPARE(formatNumber(0), QStringLiteral("0"));
    QCOMPARE(formatNumber(1.23456), QStringLiteral("1.235"));
    QCOMPARE(formatNumber(2e-7), QStringLiteral("2e-07"));
    QCOMPARE(formatDuration(8), QStringLiteral("8 s"));
    QCOMPARE(formatDuration(75), QStringLiteral("1:15"));
    QCOMPARE(formatDuration(3700), QStringLiteral("1:01:40"));
    QCOMPARE(formatDuration(kNaN), QStringLiteral("–"));
  }

  void noSeriesIsEverAppendedTo() {
    // QLineSeries::append on a shown chart is quadratic: replace() is the only way in.
    QDirIterator files(QStringLiteral(BATCHSCOPE_SOURCE_DIR "/ui"),
                       {QStringLiteral("*.cpp"), QStringLiteral("*.h")},
                       QDir::Files,
                       QDirIterator::Subdirectories);
    const QRegularExpression lineSeries(QStringLiteral("QLineSeries\\s*\\*?\\s*&?\\s*(\\w+)"));
    int seen = 0;
    while (files.hasNext()) {
      QFile file(files.next());
      QVERIFY(file.open(QIODevice::ReadOnly));
      const QString text = QString::fromUtf8(file.readAll());
      if (!text.contains(QStringLiteral("QLineSeries"))) {
        continue;
      }
      ++seen;
      auto names = lineSeries.globalMatch(text);
      while (names.hasNext()) {
        const QString name = names.next().captured(1);
        for (const char* call : {"append(", "insert(", "<<"}) {
          const QRegularExpression bad(
              QStringLiteral("\\b%1\\s*(->|\\.)?\\s*%2")
                  .arg(name, QRegularExpression::escape(QLatin1String(call))));
          QVERIFY2(!bad.match(text).hasMatch(),
                   qPrintable(file.fileName() + QLatin1Char(' ') + name));
        }
      }
    }
    QVERIFY(seen > 0);
  }
};

BATCHSCOPE_GUI_TEST(TestChart)
#include "tst_views_chart.moc"
