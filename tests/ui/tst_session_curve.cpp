#include "tests/support/test_program.h"
#include "ui/session/curve.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace batchscope::session;

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

AxisColumns makeAxis(const std::vector<std::pair<int, int>>& segmentAndStep) {
  AxisColumns axis;
  for (std::size_t i = 0; i < segmentAndStep.size(); ++i) {
    axis.seq.push_back(static_cast<std::int64_t>(i) + 1);
    axis.segment.push_back(segmentAndStep[i].first);
    axis.step.push_back(segmentAndStep[i].second);
    axis.images.push_back(segmentAndStep[i].second * 10);
    axis.seconds.push_back(static_cast<double>(i));
    axis.play.push_back(static_cast<double>(i));
  }
  return axis;
}

SegmentRows rowsOf(int number, int parent, int start, int first, int end) {
  SegmentRows rows;
  rows.segment = number;
  rows.parent = parent;
  rows.startStep = start;
  rows.firstRow = first;
  rows.endRow = end;
  return rows;
}

/// Segment 0: steps 1…6, undone to 3; segment 1: steps 4…7.
struct Undone {
  AxisColumns axis =
      makeAxis({{0, 1}, {0, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}, {1, 4}, {1, 5}, {1, 6}, {1, 7}});
  std::vector<SegmentRows> segments{rowsOf(0, -1, 0, 0, 6), rowsOf(1, 0, 3, 6, 10)};
};

SeriesView viewOf(const Curve& curve,
                  const Undone& run,
                  std::int64_t limit,
                  double x0 = 0,
                  double x1 = 100,
                  int pixels = 1000,
                  XKind kind = XKind::kStep) {
  SeriesView view;
  fillView(view,
           curve,
           run.axis,
           spansAt(run.axis, run.segments, limit, limit >= run.axis.rows()),
           kind,
           x0,
           x1,
           pixels);
  return view;
}

Curve curveOf(const AxisColumns& axis, const std::vector<double>& values) {
  Curve curve;
  for (const auto kind : {XKind::kStep, XKind::kImages, XKind::kSeconds})
    curve.addKind(axis, kind);
  for (std::size_t i = 0; i < values.size(); ++i)
    curve.append(axis, static_cast<std::int64_t>(i), values[i]);
  curve.readTo = axis.seq.back();
  return curve;
}

}  // namespace

class TestCurve : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void debiasedMeanByHand() {
    // w = 0.5: m = 1, 2.5, 2.25, 4.125 over (1 - 0.5^t) = 0.5, 0.75, 0.875, 0.9375 of half-sums.
    DebiasedMean mean(0.5);
    QCOMPARE(mean.next(2), 2.0);
    QCOMPARE(mean.next(4), 2.5 / 0.75);
    QVERIFY(std::isnan(mean.next(kNan)));
    QVERIFY(std::isnan(mean.next(std::numeric_limits<double>::infinity())));
    QCOMPARE(mean.next(2), 2.25 / 0.875);
    QCOMPARE(mean.next(6), 4.125 / 0.9375);
  }
  void debiasedMeanOfAConstantIsTheConstant() {
    DebiasedMean mean(0.99);
    for (int i = 0; i < 5; ++i)
      QVERIFY(std::abs(mean.next(7) - 7) < 1e-12);
  }
  void weightZeroIsRaw() {
    DebiasedMean mean(0);
    QCOMPARE(mean.next(3), 3.0);
    QCOMPARE(mean.next(-5), -5.0);
  }

  void spansAtTheEnd() {
    const Undone run;
    const auto spans = spansAt(run.axis, run.segments, 10, true);
    QCOMPARE(spans.size(), std::size_t{3});
    QCOMPARE(spans[0].segment, std::int64_t{0});
    QCOMPARE(spans[0].endRow, std::int64_t{3});
    QCOMPARE(spans[1].segment, std::int64_t{1});
    QCOMPARE(spans[1].endRow, std::int64_t{10});
    QVERIFY(!spans[1].abandoned);
    QVERIFY(spans[2].abandoned);
    QCOMPARE(spans[2].firstRow, std::int64_t{3});
    QCOMPARE(spans[2].endRow, std::int64_t{6});
  }
  void beforeTheUndoNothingIsAbandoned() {
    const Undone run;
    const auto spans = spansAt(run.axis, run.segments, 5, false);
    QCOMPARE(spans.size(), std::size_t{1});
    QVERIFY(!spans[0].abandoned);
    QCOMPARE(spans[0].endRow, std::int64_t{5});
  }
  void anUndoBehindASegmentsStartDropsItWhole() {
    auto run = Undone();
    run.axis = makeAxis({{0, 1}, {0, 2}, {0, 3}, {1, 3}, {1, 4}, {2, 2}});
    run.segments = {rowsOf(0, -1, 0, 0, 3), rowsOf(1, 0, 2, 3, 5), rowsOf(2, 1, 1, 5, 6)};
    const auto spans = spansAt(run.axis, run.segments, 6, true);
    QCOMPARE(spans.size(), std::size_t{4});
    QCOMPARE(spans[0].segment, std::int64_t{0});
    QCOMPARE(spans[0].endRow, std::int64_t{1});
    QCOMPARE(spans[1].segment, std::int64_t{2});
    QVERIFY(spans[2].abandoned && spans[3].abandoned);
    const auto line = lineAt(run.segments, 6, true);
    QCOMPARE(line.back().lastStep, std::int64_t{1});
  }
  void aRingOfParentsEnds() {
    auto run = Undone();
    run.segments[0].parent = 1;
    QVERIFY(spansAt(run.axis, run.segments, 10, true).size() >= 2);
  }

  void viewSeparatesTheAbandonedBranch() {
    const Undone run;
    const auto curve = curveOf(run.axis, {1, 2, 3, 40, 50, 60, 4, 5, 6, 7});
    const auto view = viewOf(curve, run, 10);
    QCOMPARE(view.parts.size(), 2);
    QVERIFY(view.parts[0].abandoned);
    QCOMPARE(view.parts[0].points, (QList<QPointF>{{4, 40}, {5, 50}, {6, 60}}));
    QVERIFY(!view.parts[1].abandoned);
    QCOMPARE(view.parts[1].points,
             (QList<QPointF>{{1, 1}, {2, 2}, {3, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}}));
    QVERIFY(view.parts[1].breaks.isEmpty());
    QCOMPARE(view.samples, std::int64_t{10});
    QCOMPARE(view.yMax, 60.0);
    QVERIFY(!view.thinned);
  }
  void viewEndsAtThePlayhead() {
    const Undone run;
    const auto curve = curveOf(run.axis, {1, 2, 3, 40, 50, 60, 4, 5, 6, 7});
    for (const auto kind : {XKind::kStep, XKind::kImages, XKind::kSeconds}) {
      const auto before = viewOf(curve, run, 5, 0, 1000, 1000, kind);
      QCOMPARE(before.parts.size(), 1);
      QCOMPARE(before.parts[0].points.size(), 5);
      QCOMPARE(before.parts[0].points.last().y(), 50.0);
      QCOMPARE(before.samples, std::int64_t{5});
    }
  }
  void liveAndReplayShowTheSame() {
    // A reader that opens when only k rows exist sees what a replay at row k of the whole shows.
    const Undone whole;
    const std::vector<double> values{1, 2, kNan, 40, 50, 60, 4, kNan, 6, 7};
    const auto curve = curveOf(whole.axis, values);
    for (std::int64_t k = 1; k <= 10; ++k) {
      Undone live;
      live.axis = AxisColumns();
      for (std::int64_t i = 0; i < k; ++i) {
        const auto at = static_cast<std::size_t>(i);
        live.axis.seq.push_back(whole.axis.seq[at]);
        live.axis.segment.push_back(whole.axis.segment[at]);
        live.axis.step.push_back(whole.axis.step[at]);
        live.axis.images.push_back(whole.axis.images[at]);
        live.axis.seconds.push_back(whole.axis.seconds[at]);
        live.axis.play.push_back(whole.axis.play[at]);
      }
      if (k <= 6)
        live.segments.pop_back();
      live.segments[0].endRow = std::min<std::int64_t>(6, k);
      if (k > 6)
        live.segments[1].endRow = k;
      const auto liveCurve =
          curveOf(live.axis, std::vector<double>(values.begin(), values.begin() + k));
      const auto a = viewOf(curve, whole, k), b = viewOf(liveCurve, live, k);
      QCOMPARE(a.parts.size(), b.parts.size());
      for (int part = 0; part < a.parts.size(); ++part) {
        QCOMPARE(a.parts[part].points, b.parts[part].points);
        QCOMPARE(a.parts[part].breaks, b.parts[part].breaks);
        QCOMPARE(a.parts[part].markers.size(), b.parts[part].markers.size());
        QCOMPARE(a.parts[part].abandoned, b.parts[part].abandoned);
      }
      QCOMPARE(a.samples, b.samples);
      QCOMPARE(a.nonFinite, b.nonFinite);
    }
  }
  void notFiniteSamplesBreakTheLineAndAreMarked() {
    const Undone run;
    const auto curve = curveOf(run.axis, {1, kNan, 3, 40, 50, 60, kNan, 5, kNan, 7});
    const auto view = viewOf(curve, run, 10);
    const auto& live = view.parts.last();
    QCOMPARE(live.points, (QList<QPointF>{{1, 1}, {3, 3}, {5, 5}, {7, 7}}));
    QCOMPARE(live.breaks, (QList<int>{1, 2, 3}));
    QCOMPARE(live.isolated, (QList<int>{0, 1, 2, 3}));
    QCOMPARE(live.markers.size(), 3);
    QCOMPARE(live.markers[1].x(), 4.0);
    QCOMPARE(view.nonFinite, std::int64_t{3});
  }
  void zoomedLinesReachTheEdges() {
    const Undone run;
    const auto curve = curveOf(run.axis, {1, 2, 3, 40, 50, 60, 4, 5, 6, 7});
    // Between step 3 (old segment) and step 4 (new one): both ends carry the line across.
    const auto view = viewOf(curve, run, 10, 3.2, 3.8);
    QCOMPARE(view.parts.size(), 1);
    QCOMPARE(view.parts[0].points, (QList<QPointF>{{3, 3}, {4, 4}}));
  }
  void nonPositiveSamplesAreCounted() {
    const Undone run;
    const auto curve = curveOf(run.axis, {0, -1, 3, -4, 5, 6, kNan, 5, 0, 7});
    QCOMPARE(viewOf(curve, run, 10).nonPositive, std::int64_t{4});
    QCOMPARE(viewOf(curve, run, 3).nonPositive, std::int64_t{2});
    QCOMPARE(viewOf(curve, run, 10, 1.5, 3).nonPositive, std::int64_t{1});
  }
  void atMostTwoPointsPerPixel() {
    Undone run;
    std::vector<std::pair<int, int>> rows;
    std::vector<double> values;
    for (int i = 0; i < 20000; ++i) {
      rows.push_back({0, i + 1});
      values.push_back(i == 12345 ? 1e6 : std::sin(i));
    }
    run.axis = makeAxis(rows);
    run.segments = {rowsOf(0, -1, 0, 0, 20000)};
    const auto curve = curveOf(run.axis, values);
    const auto view = viewOf(curve, run, 20000, 1, 20000, 300);
    QVERIFY(view.drawn <= 600);
    QVERIFY(view.thinned);
    QCOMPARE(view.samples, std::int64_t{20000});
    QCOMPARE(view.yMax, 1e6);
    QVERIFY(view.provenance().contains(QStringLiteral("samples drawn")));
  }

  void smoothingContinuesTheParentsLine() {
    const Undone run;
    const std::vector<double> values{1, 2, 3, 40, 50, 60, 4, 5, 6, 7};
    const auto raw = curveOf(run.axis, values);
    Curve smooth;
    smooth.weight = 0.6;
    smooth.addKind(run.axis, XKind::kStep);
    smooth.smoothFrom(raw, run.axis, run.segments);
    DebiasedMean live(0.6);
    QList<double> expected;
    for (const auto value : {1, 2, 3, 4, 5, 6, 7})
      expected.append(live.next(value));
    const auto view = viewOf(smooth, run, 10);
    QCOMPARE(view.parts.last().points.size(), 7);
    for (int i = 0; i < 7; ++i)
      QCOMPARE(view.parts.last().points[i].y(), expected[i]);
    // The abandoned branch went on from step 3 without knowing of the undo.
    DebiasedMean old(0.6);
    for (const auto value : {1, 2, 3})
      old.next(value);
    QCOMPARE(view.parts.first().points[0].y(), old.next(40));
  }
  void smoothingInPiecesEqualsSmoothingAtOnce() {
    const Undone run;
    const std::vector<double> values{1, 2, kNan, 40, 50, 60, 4, 5, 6, 7};
    Curve once, pieces;
    once.weight = pieces.weight = 0.9;
    once.addKind(run.axis, XKind::kStep);
    pieces.addKind(run.axis, XKind::kStep);
    once.smoothFrom(curveOf(run.axis, values), run.axis, run.segments);
    for (std::size_t count = 1; count <= values.size(); count += 3)
      pieces.smoothFrom(
          curveOf(run.axis,
                  std::vector<double>(values.begin(),
                                      values.begin() + static_cast<std::ptrdiff_t>(count))),
          run.axis,
          run.segments);
    const auto a = viewOf(once, run, 10), b = viewOf(pieces, run, 10);
    QCOMPARE(a.parts.last().points, b.parts.last().points);
  }
};

BATCHSCOPE_TEST(TestCurve)
#include "tst_session_curve.moc"
