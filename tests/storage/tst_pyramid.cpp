#include "storage/pyramid.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

using batchscope::storage::CurvePoint;
using batchscope::storage::CurveView;
using batchscope::storage::Pyramid;

namespace {

const double kNan = std::numeric_limits<double>::quiet_NaN();
const double kInf = std::numeric_limits<double>::infinity();

Pyramid filled(const std::vector<CurvePoint>& samples) {
  Pyramid pyramid;
  for (const CurvePoint& sample : samples) {
    pyramid.append(sample.x, sample.y);
  }
  return pyramid;
}

bool has_point(const CurveView& view, double x, double y) {
  return std::any_of(view.points.begin(), view.points.end(), [x, y](const CurvePoint& point) {
    return point.x == x && point.y == y;
  });
}

/// Checks a view against the samples themselves, the long way. Empty: all holds.
QString broken_property(const std::vector<CurvePoint>& samples,
                        const CurveView& view,
                        double x0,
                        double x1,
                        int pixels) {
  std::vector<std::size_t> in_view;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (samples[i].x >= x0 && samples[i].x <= x1) {
      in_view.push_back(i);
    }
  }
  if (view.samples != static_cast<std::int64_t>(in_view.size())) {
    return QStringLiteral("number of samples");
  }
  std::vector<std::size_t> good, bad;
  for (const std::size_t i : in_view) {
    (std::isfinite(samples[i].y) ? good : bad).push_back(i);
  }
  if (view.nonfinite_samples != static_cast<std::int64_t>(bad.size())) {
    return QStringLiteral("number of non-finite samples");
  }
  if (bad.empty() != view.nonfinite.empty() ||
      view.nonfinite.size() > static_cast<std::size_t>(pixels) + 1) {
    return QStringLiteral("marks of non-finite samples");
  }
  std::size_t outside = 0, at = 0;
  double low = kInf, high = -kInf;
  std::vector<std::size_t> index;  // of each point among the samples
  for (const CurvePoint& point : view.points) {
    while (at < samples.size() && !(samples[at].x == point.x && samples[at].y == point.y)) {
      ++at;
    }
    if (at == samples.size()) {
      return QStringLiteral("a point is no sample, or out of order");
    }
    index.push_back(at++);
    if (point.x < x0 || point.x > x1) {
      ++outside;
      continue;
    }
    low = std::min(low, point.y);
    high = std::max(high, point.y);
  }
  const std::size_t bound = std::max<std::size_t>(4, 2 * static_cast<std::size_t>(pixels));
  if (outside > 2 || view.points.size() - outside > bound) {
    return QStringLiteral("too many points: %1").arg(view.points.size());
  }
  if (!good.empty()) {
    double true_low = kInf, true_high = -kInf;
    for (const std::size_t i : good) {
      true_low = std::min(true_low, samples[i].y);
      true_high = std::max(true_high, samples[i].y);
    }
    if (low != true_low || high != true_high) {
      return QStringLiteral("extremes %1 %2, expected %3 %4")
          .arg(low)
          .arg(high)
          .arg(true_low)
          .arg(true_high);
    }
    if (!has_point(view, samples[good.front()].x, samples[good.front()].y) ||
        !has_point(view, samples[good.back()].x, samples[good.back()].y)) {
      return QStringLiteral("first or last sample");
    }
  }
  const bool thinned = view.points.size() - outside < good.size();
  if (view.thinned != thinned || (good.size() <= bound && pixels > 1 && thinned)) {
    return QStringLiteral("thinned");
  }
  std::vector<std::size_t> breaks;
  for (std::size_t p = 1; p < index.size(); ++p) {
    for (std::size_t i = index[p - 1] + 1; i < index[p]; ++i) {
      if (!std::isfinite(samples[i].y)) {
        breaks.push_back(p);
        break;
      }
    }
  }
  return breaks == view.breaks ? QString() : QStringLiteral("breaks");
}

}  // namespace

class TestPyramid : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void empty() {
    const Pyramid pyramid;
    const CurveView view = pyramid.view(0, 10, 100);
    QVERIFY(view.points.empty() && view.breaks.empty() && view.nonfinite.empty());
    QCOMPARE(view.samples, std::int64_t{0});
    QVERIFY(!view.thinned);
  }

  void singlePoint() {
    const Pyramid pyramid = filled({{5, 2}});
    QCOMPARE(pyramid.view(0, 10, 100).points.size(), std::size_t{1});
    QCOMPARE(pyramid.view(5, 5, 1).points.size(), std::size_t{1});
    const CurveView beside = pyramid.view(6, 10, 100);  // the line runs in from the left
    QCOMPARE(beside.points.size(), std::size_t{1});
    QCOMPARE(beside.samples, std::int64_t{0});
    QVERIFY(pyramid.view(10, 0, 100).points.empty());
    QVERIFY(pyramid.view(kNan, 10, 100).points.empty());
    QCOMPARE(pyramid.view(-kInf, kInf, 100).points.size(), std::size_t{1});
  }

  void lineCrossesAnEmptyView() {
    const Pyramid pyramid = filled({{0, 1}, {10, 2}});
    QCOMPARE(pyramid.view(4, 6, 50).points.size(), std::size_t{2});
    const Pyramid cut = filled({{0, 1}, {5, kNan}, {10, 2}});
    const CurveView view = cut.view(4, 6, 50);
    QVERIFY(view.breaks == std::vector<std::size_t>{1});
    QCOMPARE(view.nonfinite_samples, std::int64_t{1});
  }

  void constantSeries() {
    std::vector<CurvePoint> samples;
    for (int i = 0; i < 10000; ++i) {
      samples.push_back({double(i), 0.25});
    }
    const CurveView view = filled(samples).view(0, 9999, 50);
    QCOMPARE(broken_property(samples, view, 0, 9999, 50), QString());
    QVERIFY(view.thinned);
  }

  void spikesSurviveAtAnyZoom() {
    std::vector<CurvePoint> samples;
    for (int i = 0; i < 100000; ++i) {
      samples.push_back({double(i), std::sin(i * 0.001)});
    }
    samples[31337].y = 1e9;
    samples[77777].y = -1e9;
    const Pyramid pyramid = filled(samples);
    for (const int pixels : {1, 2, 10, 300, 2000}) {
      for (double width = 99999; width > 10; width /= 3) {
        const double x0 = std::max(0.0, 31337 - width / 2);
        const CurveView view = pyramid.view(x0, x0 + width, pixels);
        QVERIFY(has_point(view, 31337, 1e9));
        QCOMPARE(broken_property(samples, view, x0, x0 + width, pixels), QString());
      }
    }
    QVERIFY(has_point(pyramid.view(0, 99999, 3), 77777, -1e9));
  }

  void onlyNonFinite() {
    std::vector<CurvePoint> samples;
    for (int i = 0; i < 5000; ++i) {
      samples.push_back({double(i), i % 3 == 0 ? kNan : i % 3 == 1 ? kInf : -kInf});
    }
    const CurveView view = filled(samples).view(0, 5000, 100);
    QVERIFY(view.points.empty());
    QCOMPARE(view.nonfinite_samples, std::int64_t{5000});
    QVERIFY(view.nonfinite.size() >= 99 && view.nonfinite.size() <= 101);
    QVERIFY(!view.thinned);
  }

  void randomSeriesAgainstBruteForce() {
    std::mt19937 random(12345);
    const auto below = [&random](int n) {
      return static_cast<int>(random() % static_cast<unsigned>(n));
    };
    for (int round = 0; round < 300; ++round) {
      const int size = below(3) == 0 ? below(40) : below(6000);
      const int bad_in = below(4) == 0 ? 2 : below(2) == 0 ? 50 : 1000000;
      std::vector<CurvePoint> samples;
      double x = below(100);
      for (int i = 0; i < size; ++i) {
        x += below(4) == 0 ? 0 : below(1000) / 100.0;  // repeated x too
        const double y =
            below(bad_in) == 0 ? (below(2) ? kNan : kInf) : below(2001) - 1000 + i * 1e-6;
        samples.push_back({x, y});
      }
      const Pyramid pyramid = filled(samples);
      QCOMPARE(pyramid.size(), samples.size());
      for (int view = 0; view < 12; ++view) {
        const double x0 = below(static_cast<int>(x) + 10) - 5;
        const double x1 = x0 + below(static_cast<int>(x) + 10);
        const int pixels = 1 + below(400);
        const QString broken =
            broken_property(samples, pyramid.view(x0, x1, pixels), x0, x1, pixels);
        QVERIFY2(broken.isEmpty(),
                 qPrintable(QStringLiteral("%1: round %2, size %3, [%4, %5], %6 pixels")
                                .arg(broken)
                                .arg(round)
                                .arg(size)
                                .arg(x0)
                                .arg(x1)
                                .arg(pixels)));
      }
    }
  }

  void clearForgets() {
    Pyramid pyramid = filled(std::vector<CurvePoint>(100, {1, kNan}));
    pyramid.clear();
    pyramid.append(1, 2);
    QCOMPARE(pyramid.size(), std::size_t{1});
    const CurveView view = pyramid.view(0, 2, 10);
    QCOMPARE(view.points.size(), std::size_t{1});
    QCOMPARE(view.nonfinite_samples, std::int64_t{0});
  }
};

BATCHSCOPE_TEST(TestPyramid)
#include "tst_pyramid.moc"
