#include "engine/metrics/rle.h"
#include "engine/metrics/rle_polygon.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>
#include <random>

using namespace batchscope::train;
using nlohmann::json;

namespace {

/// Made by pycocotools; see make_coco_segm.py.
const json& fixture() {
  static const json all = [] {
    std::ifstream file(BATCHSCOPE_FIXTURES "/engine/coco_segm/masks.json");
    return json::parse(file);
  }();
  return all;
}

Rle polygon(const json& row) {
  return rle_from_polygon(row[2].get<std::vector<double>>(), row[0], row[1]);
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

Rle random_mask(std::mt19937& random, std::uint32_t height, std::uint32_t width, unsigned one_in) {
  std::vector<std::uint8_t> mask(std::size_t{height} * width);
  for (auto& pixel : mask) {
    pixel = random() % one_in == 0 ? 1 : 0;
  }
  return rle_from_mask(mask, height, width);
}

}  // namespace

class TestRle : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void polygons_equal_pycocotools() {
    QVERIFY(fixture()["polygons"].size() > 200);
    std::uint64_t inside = 0;
    for (const json& row : fixture()["polygons"]) {
      const Rle rle = polygon(row);
      QCOMPARE(rle_to_text(rle), row[3].get<std::string>());
      QCOMPARE(rle_area(rle), row[4].get<std::uint64_t>());
      QVERIFY((rle_box(rle) == row[5].get<std::array<double, 4>>()));
      QVERIFY(rle_from_text(row[3].get<std::string>(), row[0], row[1]) == rle);
      inside += rle_area(rle);
    }
    QVERIFY(inside > 10000);
  }

  void pairs_equal_pycocotools() {
    int overlapping = 0;
    for (const json& row : fixture()["pairs"]) {
      const Rle first = polygon(fixture()["polygons"][row[0].get<std::size_t>()]);
      const Rle second = polygon(fixture()["polygons"][row[1].get<std::size_t>()]);
      const double iou = rle_iou(first, second, row[2] == 1);
      QVERIFY(std::abs(iou - row[3].get<double>()) <= 1e-15);
      overlapping += iou > 0 ? 1 : 0;
      const std::array<Rle, 2> both = {first, second};
      QCOMPARE(rle_to_text(rle_merge(both)), row[4].get<std::string>());
      QCOMPARE(rle_to_text(rle_merge(both, true)), row[5].get<std::string>());
    }
    QVERIFY(overlapping > 50);
  }

  void masks_come_back() {
    std::mt19937 random(1);
    for (const auto& [height, width] :
         {std::pair(1U, 1U), {1U, 9U}, {9U, 1U}, {7U, 5U}, {64U, 48U}, {0U, 5U}}) {
      for (const unsigned one_in : {1U, 2U, 9U, 1000U}) {
        const Rle rle = random_mask(random, height, width, one_in);
        const std::vector<std::uint8_t> mask = rle_to_mask(rle);
        QCOMPARE(mask.size(), std::size_t{height} * width);
        QVERIFY(rle_from_mask(mask, height, width) == rle);
        QVERIFY(rle_from_text(rle_to_text(rle), height, width) == rle);
        QVERIFY(rle_from_counts(rle.counts, height, width) == rle);
        QCOMPARE(rle_area(rle), std::uint64_t(std::count(mask.begin(), mask.end(), 1)));
      }
    }
  }

  void rows_become_columns() {
    const std::vector<std::uint8_t> mask = {0,
                                            1,
                                            0,  //
                                            0,
                                            1,
                                            1};
    const Rle rle = rle_from_mask(mask, 2, 3);
    QVERIFY((rle.counts == std::vector<std::uint32_t>{2, 2, 1, 1}));
    QVERIFY((rle_box(rle) == std::array<double, 4>{1, 0, 2, 2}));
    QVERIFY((rle_box(rle_from_mask(std::vector<std::uint8_t>(6), 2, 3)) ==
             std::array<double, 4>{0, 0, 0, 0}));
  }

  void empty_runs_are_taken_out() {
    const std::vector<std::uint32_t> counts = {0, 0, 3, 0, 0, 2, 1, 0, 6};
    const Rle rle = rle_from_counts(counts, 3, 4);
    QVERIFY((rle.counts == std::vector<std::uint32_t>{3, 2, 7}));
    QCOMPARE(rle_iou(rle, rle, false), 1.0);
  }

  void a_box_is_its_polygon() {
    const Rle rle = rle_from_box({2, 1, 3, 4}, 10, 10);
    QCOMPARE(rle_area(rle), std::uint64_t{12});
    QVERIFY((rle_box(rle) == std::array<double, 4>{2, 1, 3, 4}));
    QCOMPARE(rle_area(rle_from_box({-1e8, -1e8, 2e8, 2e8}, 10, 7)), std::uint64_t{70});
  }

  void what_cannot_be_is_refused() {
    const std::vector<std::uint32_t> counts = {3, 2};
    const auto from = [&counts](std::uint32_t height, std::uint32_t width) {
      return refusal([&] { rle_from_counts(counts, height, width); });
    };
    QCOMPARE(from(5, 1), std::string("accepted"));
    QCOMPARE(from(2, 2), std::string("the runs sum to more than 4 pixels; expected 2 x 2 = 4"));
    QCOMPARE(from(2, 3), std::string("the runs sum to 5 pixels; expected 2 x 3 = 6"));
    QVERIFY(from(100000, 100000).find("at most 2147483648") != std::string::npos);
    const auto text = [](const std::string& t) { return refusal([&] { rle_from_text(t, 3, 2); }); };
    QCOMPARE(text(rle_to_text(rle_from_counts(counts, 5, 1))).substr(0, 18),
             std::string("the runs sum to 5 "));
    QVERIFY(text("3 3").find("a character that no") != std::string::npos);
    QVERIFY(text(std::string("3\xff")).find("a character that no") != std::string::npos);
    QVERIFY(text("3o").find("cut off") != std::string::npos);
    QVERIFY(text("ooooooooo").find("more than 7 characters") != std::string::npos);
    QVERIFY(text("O").find("run 0 has the length -1") != std::string::npos);
    const auto corners = [](const std::vector<double>& c) {
      return refusal([&] { rle_from_polygon(c, 8, 8); });
    };
    QVERIFY(corners({1, 2, 3}).find("3 numbers") != std::string::npos);
    QVERIFY(corners({1, 2, 3, 1e9, 4, 4}).find("100000000 px away") != std::string::npos);
    QVERIFY(corners({1, 2, 3, std::nan(""), 4, 4}).find("away") != std::string::npos);
    QVERIFY(refusal([] { rle_from_mask(std::vector<std::uint8_t>(5), 2, 3); }).find("2 x 3") !=
            std::string::npos);
    QVERIFY(refusal([] {
              rle_from_box({0, 0, 9, 9}, 1, 2000000);
            }).find("1 x 2000000") != std::string::npos);
    const std::array<Rle, 2> sizes = {rle_from_box({0, 0, 1, 1}, 3, 3),
                                      rle_from_box({0, 0, 1, 1}, 3, 4)};
    QVERIFY(refusal([&] { rle_merge(sizes); }).find("different sizes") != std::string::npos);
  }
};

BATCHSCOPE_TEST(TestRle)
#include "tst_rle.moc"
