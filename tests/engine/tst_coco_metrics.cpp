#include "engine/metrics/coco_metrics.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <random>

using namespace batchscope::train;
using nlohmann::json;

namespace {

struct Case : CocoSet {
  std::map<std::string, double> figures() const { return coco_metrics(*this).metrics; }
};

Case read_case(const json& j) {
  Case c;
  c.images = j["images"].get<std::vector<std::int64_t>>();
  c.categories = j["categories"].get<std::vector<std::int64_t>>();
  for (const json& t : j["truth"]) {
    c.truth.push_back({t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7] == 1});
  }
  for (const json& d : j["detections"]) {
    c.detections.push_back({d[0], d[1], d[2], d[3], d[4], d[5], d[6]});
  }
  return c;
}

json fixture() {
  std::ifstream file(BATCHSCOPE_FIXTURES "/engine/coco_box/coco_box.json");
  return json::parse(file);
}

bool same(const std::map<std::string, double>& a, const std::map<std::string, double>& b) {
  return a == b;
}

}  // namespace

class TestCocoMetrics : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// Figures of pycocotools 2.0 with maxDets [1, 10, 120], and with its own 100.
  void other_numbers_of_detections() {
    Case dense;
    dense.images = dense.categories = {1};
    for (int i = 0; i < 150; ++i) {
      const double x = i % 15 * 40, y = i / 15 * 40, side = 20 + i % 12;
      dense.truth.push_back({1, 1, x, y, side, side, side * side});
      dense.detections.push_back({1, 1, x + i * 7 % 11, y, side, side, (i * 37 % 151) / 151.0});
    }
    const auto more = coco_metrics(dense, {.max_detections = 120}).metrics;
    const auto usual = dense.figures();
    const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-12; };
    QVERIFY(near(usual.at("AP"), 0.1610612569230835) && near(usual.at("AR100"), 0.284));
    QVERIFY(near(more.at("AP"), 0.19278163286491504));
    QVERIFY(near(more.at("AP50"), 0.5226308345120227));
    QVERIFY(near(more.at("APs"), 0.19278163286491504));
    QVERIFY(near(more.at("AR120"), 0.34) && !more.contains("AR100"));
    QVERIFY(near(more.at("AR10"), usual.at("AR10")));
    QCOMPARE(more.size(), std::size_t{12});
  }

  // Figures made by pycocotools; see make_coco_box.py.
  void equals_pycocotools_data() {
    QTest::addColumn<int>("row");
    const json cases = fixture();
    QVERIFY(cases.size() > 40);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      QTest::newRow(cases[i]["name"].get<std::string>().c_str()) << static_cast<int>(i);
    }
  }
  void equals_pycocotools() {
    QFETCH(int, row);
    const json all = fixture();
    const json& one = all[static_cast<std::size_t>(row)];
    const auto figures = read_case(one).figures();
    QCOMPARE(figures.size(), std::size_t{12});
    for (const auto& [name, expected] : one["figures"].items()) {
      const double found = figures.at(name);
      QVERIFY2(std::abs(found - expected.get<double>()) <= 1e-12,
               qPrintable(QStringLiteral("%1: expected %2, found %3")
                              .arg(QString::fromStdString(name))
                              .arg(expected.get<double>(), 0, 'g', 17)
                              .arg(found, 0, 'g', 17)));
    }
  }

  void others_are_left_out() {
    Case c = read_case(fixture()[3]);
    const auto expected = c.figures();
    QCOMPARE(expected.at("AP"), 1.0);
    c.truth.push_back({77, 1, 0, 0, 5, 5, 25, false});
    c.truth.push_back({1, 88, 0, 0, 5, 5, 25, false});
    c.detections.push_back({77, 1, 0, 0, 5, 5, 1.0});
    c.detections.push_back({1, 88, 0, 0, 5, 5, 1.0});
    QVERIFY(same(c.figures(), expected));
  }

  void repeated_ids_count_once() {
    Case c = read_case(fixture()[20]);
    const auto expected = c.figures();
    c.images.insert(c.images.end(), c.images.begin(), c.images.end());
    c.categories.insert(c.categories.begin(), c.categories.back());
    QVERIFY(same(c.figures(), expected));
  }

  void scores_that_are_no_numbers_come_last() {
    Case c = read_case(fixture()[3]);
    c.detections.push_back({1, 1, 90, 90, 5, 5, std::nan("")});
    c.detections.insert(c.detections.begin(), {1, 1, 90, 90, 5, 5, std::nan("")});
    QCOMPARE(c.figures().at("AP"), 1.0);
    QCOMPARE(c.figures().at("AR1"), 1.0);
  }

  void threads_change_nothing() {
    const Case c = read_case(fixture().back());
    const CocoFigures one = coco_metrics(c, {.threads = 1, .curves = true});
    const CocoFigures four = coco_metrics(c, {.threads = 4, .curves = true});
    QVERIFY(same(one.metrics, four.metrics));
    QVERIFY(one.categories.size() > 20);
    for (std::size_t i = 0; i < one.categories.size(); ++i) {
      QCOMPARE(one.categories[i].category, four.categories[i].category);
      QVERIFY(one.categories[i].precision == four.categories[i].precision);
      QVERIFY(one.categories[i].score == four.categories[i].score);
    }
  }

  void the_area_of_a_detection_can_be_given() {
    Case c;
    c.images = c.categories = {1};
    c.truth = {{1, 1, 0, 0, 50, 50, 2500, false}};
    c.detections = {{1, 1, 200, 0, 50, 50, 0.9}, {1, 1, 0, 0, 50, 50, 0.8}};
    QCOMPARE(c.figures().at("APm"), 0.5);
    c.detections[0].area = 100;  // a small false alarm does not count among the medium ones
    QCOMPARE(c.figures().at("APm"), 1.0);
    QCOMPARE(c.figures().at("AP"), 0.5);
  }

  void missing_masks_are_refused() {
    Case c = read_case(fixture()[3]);
    c.masks = true;
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, c.figures());
    c.truth_masks = {rle_from_mask(std::vector<std::uint8_t>(4, 1), 2, 2)};
    c.detection_masks = {rle_from_mask(std::vector<std::uint8_t>(6, 1), 2, 3)};
    QVERIFY_THROWS_EXCEPTION(std::invalid_argument, c.figures());
    c.detection_masks = c.truth_masks;
    QCOMPARE(c.figures().at("AP"), 1.0);
  }

  // A case of the size of COCO's validation set; `bench eval` measures it, here it has to end.
  void large_set_is_consistent() {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> uniform(0, 1);
    Case c;
    for (std::int64_t i = 1; i <= 5000; ++i) {
      c.images.push_back(i);
      for (int k = 0; k < 7; ++k) {
        const auto category = static_cast<std::int64_t>(uniform(random) * 80);
        const double x = uniform(random) * 500, y = uniform(random) * 400;
        const double w = 4 + uniform(random) * 200, h = 4 + uniform(random) * 200;
        c.truth.push_back({i, category, x, y, w, h, w * h, uniform(random) < 0.01});
        for (int n = 0; n < 5; ++n) {
          const auto near = [&](double v) { return v + (uniform(random) - 0.5) * 20; };
          c.detections.push_back(
              {i, category, near(x), near(y), near(w), near(h), uniform(random)});
        }
      }
    }
    for (std::int64_t k = 0; k < 80; ++k) {
      c.categories.push_back(k);
    }
    const auto figures = c.figures();
    QVERIFY(figures.at("AP50") > figures.at("AP") && figures.at("AP") > figures.at("AP75") * 0.5);
    QVERIFY(figures.at("AR1") < figures.at("AR10") && figures.at("AR10") <= figures.at("AR100"));
    QVERIFY(figures.at("AP") > 0.05 && figures.at("AP") < 0.95);
  }
};

BATCHSCOPE_TEST(TestCocoMetrics)
#include "tst_coco_metrics.moc"
