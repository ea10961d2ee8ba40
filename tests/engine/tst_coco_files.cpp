#include "engine/contract/error.h"
#include "engine/metrics/coco_files.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <cmath>
#include <fstream>

using namespace batchscope;
using namespace batchscope::train;
using contract::DataError;
using nlohmann::json;

namespace {

class Files {
 public:
  Files(const std::string& truth, const std::string& results) {
    folder_.write("truth.json", truth);
    folder_.write("results.json", results);
  }
  CocoInput read(bool masks) const {
    CocoInput input = read_coco_truth(folder_.path("truth.json"), masks);
    read_coco_results(folder_.path("results.json"), folder_.path("truth.json"), input);
    return input;
  }
  /// What reading them says, without the folder.
  std::string error(bool masks) const {
    QString text = QString::fromStdString(sentence_of<DataError>([&] { read(masks); }));
    return text.remove(QString::fromStdString(folder_.path())).toStdString();
  }

 private:
  DataFolder folder_;
};

/// Made by pycocotools; see make_coco_segm.py.
const json& fixture() {
  static const json all = [] {
    std::ifstream file(BATCHSCOPE_FIXTURES "/engine/coco_segm/evaluations.json");
    return json::parse(file);
  }();
  return all;
}

bool near(double found, const json& expected) {
  return std::abs(found - expected.get<double>()) <= 1e-12;
}

constexpr const char* kTruth = R"({"images": [{"id": 1, "height": 6, "width": 8}, {"id": 2}],
 "annotations": [
  {"id": 5, "image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 3], "area": 6, "iscrowd": 0,
   "segmentation": [[1, 1, 3, 1, 3, 4, 1, 4]]},
  {"id": 6, "image_id": 1, "category_id": 3, "bbox": [0, 0, 8, 6], "iscrowd": 1,
   "segmentation": {"size": [6, 8], "counts": [0, 48]}}],
 "categories": [{"id": 3, "name": "cat"}]})";
constexpr const char* kResults = R"([{"image_id": 1, "category_id": 3, "score": 0.5,
  "bbox": [1, 1, 2, 3], "segmentation": {"size": [6, 8], "counts": "7330m0"}}])";

}  // namespace

class TestCocoFiles : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void equals_pycocotools_data() {
    QTest::addColumn<int>("row");
    QVERIFY(fixture().size() >= 18);
    for (std::size_t i = 0; i < fixture().size(); ++i) {
      QTest::newRow(fixture()[i]["name"].get<std::string>().c_str()) << static_cast<int>(i);
    }
  }
  void equals_pycocotools() {
    QFETCH(int, row);
    const json& one = fixture()[static_cast<std::size_t>(row)];
    const Files files(one["truth"].dump(), one["results"].dump());
    const CocoInput input = files.read(one["type"] == "segm");
    const CocoFigures figures = coco_metrics(input.set, {.threads = 2, .curves = true});
    QCOMPARE(figures.metrics.size(), std::size_t{12});
    for (const auto& [name, expected] : one["figures"].items()) {
      QVERIFY2(near(figures.metrics.at(name), expected), name.c_str());
    }
    QCOMPARE(figures.categories.size(), one["categories"].size());
    for (std::size_t c = 0; c < figures.categories.size(); ++c) {
      const CategoryFigures& found = figures.categories[c];
      const json& expected = one["categories"][c];
      QCOMPARE(found.category, expected["id"].get<std::int64_t>());
      QVERIFY(near(found.metrics.at("AP"), expected["AP"]));
      QVERIFY(near(found.metrics.at("AP50"), expected["AP50"]));
      QVERIFY(near(found.metrics.at("AR100"), expected["AR100"]));
      if (expected.contains("precision") && expected["AP"] != -1) {
        same_curve(found, expected, 0, 0);
        same_curve(found, expected, 1, 5);
      }
    }
  }

  void masks_of_all_forms() {
    const CocoInput input = Files(kTruth, kResults).read(true);
    QCOMPARE(input.set.truth_masks.size(), std::size_t{2});
    QCOMPARE(rle_area(input.set.truth_masks[0]), std::uint64_t{6});
    QCOMPARE(rle_area(input.set.truth_masks[1]), std::uint64_t{48});
    QCOMPARE(input.set.truth[1].area, 48.0);  // not said
    QVERIFY(input.set.truth[1].crowd);
    QVERIFY(input.set.detection_masks[0] == input.set.truth_masks[0]);
    QCOMPARE(coco_metrics(input.set).metrics.at("AP"), 1.0);
    QCOMPARE(input.names.at(3), std::string("cat"));
  }

  void no_results_are_results() {
    const CocoInput input = Files(kTruth, "[]").read(false);
    QCOMPARE(coco_metrics(input.set).metrics.at("AP"), 0.0);
    QCOMPARE(coco_metrics(input.set).metrics.at("APl"), -1.0);
  }

  void a_diverged_model_has_scores_too() {
    const CocoInput input = Files(kTruth, replaced(kResults, "0.5", "NaN")).read(false);
    QCOMPARE(coco_metrics(input.set).metrics.at("AP"), 1.0);
  }

  void warnings() {
    QVERIFY(Files(kTruth, kResults).read(false).warnings.empty());
    const auto zero = Files(replaced(kTruth, "\"id\": 5", "\"id\": 0"), kResults).read(false);
    QVERIFY(zero.warnings.at(0).find("the id 0") != std::string::npos);
    const auto other =
        Files(kTruth, replaced(kResults, "\"category_id\": 3", "\"category_id\": 4")).read(false);
    QVERIFY(other.warnings.at(0).find("1 detections of categories") == 0);
    QVERIFY(other.set.detections.empty());
  }

  /// As in pycocotools the first entry decides what an area is.
  void areas_of_boxes_under_masks_are_said() {
    const auto boxed = Files(kTruth, kResults).read(true);
    QCOMPARE(boxed.warnings.size(), std::size_t{1});
    QVERIFY2(boxed.warnings[0].find("has a bbox") != std::string::npos, boxed.warnings[0].c_str());
    QCOMPARE(boxed.set.detections[0].area, -1.0);  // w · h
    const auto masks = Files(kTruth, replaced(kResults, "\"bbox\": [1, 1, 2, 3],", "")).read(true);
    QVERIFY(masks.warnings.empty());
    QCOMPARE(masks.set.detections[0].area, 6.0);
  }

  /// pycocotools overwrites an annotation's "ignore" by its iscrowd. Two objects, of which the
  /// first is found: precision is 1 up to recall 1/2, at 51 of 101 points. Were it ignored, its
  /// detection would be too, and nothing found of the other one.
  void ignore_is_iscrowd() {
    const std::string truth = R"({"images": [{"id": 1}], "categories": [{"id": 3}],
 "annotations": [
  {"id": 5, "image_id": 1, "category_id": 3, "bbox": [1, 1, 20, 30], "area": 600, "ignore": 1},
  {"id": 6, "image_id": 1, "category_id": 3, "bbox": [50, 50, 20, 30], "area": 600,
   "iscrowd": 0, "ignore": 1}]})";
    const std::string found =
        R"([{"image_id": 1, "category_id": 3, "score": 0.5, "bbox": [1, 1, 20, 30]}])";
    const auto figures = coco_metrics(Files(truth, found).read(false).set).metrics;
    QVERIFY(near(figures.at("AP"), 51.0 / 101));
    QVERIFY(near(figures.at("AR100"), 0.5));
    // A crowd that says it is not ignored is: the other object is all there is, and found.
    const std::string crowd = replaced(replaced(truth, "\"iscrowd\": 0", "\"iscrowd\": 1"),
                                       "\"iscrowd\": 1, \"ignore\": 1",
                                       "\"iscrowd\": 1, \"ignore\": 0");
    QVERIFY(near(coco_metrics(Files(crowd, found).read(false).set).metrics.at("AP"), 1.0));
  }

  void errors_in_the_truth_data() {
    const DamageRows row;
    row("a list",
        R"({"images")",
        "[",
        "expected an object with images, annotations and categories");
    row("no images", "\"images\"", "\"other\"", "has no list 'images'");
    row("no id", "\"id\": 1, ", "", "line 1, column 37 (byte 37): images[0]: no id");
    row("text id", "\"id\": 1,", "\"id\": \"1\",", "images[0].id: expected a whole number");
    row("half a category",
        "\"category_id\": 3",
        "\"category_id\": 3.5",
        "annotations[0].category_id: expected a whole number");
    row("no image", "\"image_id\": 1, ", "", "annotations[0]: no image_id");
    row("no mask", "\"segmentation\": [[", "\"other\": [[", "annotations[0]: no segmentation");
    row("an entry is a number",
        "{\"id\": 3, \"name\": \"cat\"}",
        "3",
        "categories[0]: expected an object");
    row("no corners",
        "[[1, 1, 3, 1, 3, 4, 1, 4]]",
        "[]",
        "annotations[0].segmentation: expected at least one polygon");
    row("a line", "[[1, 1, 3, 1, 3, 4, 1, 4]]", "[[1, 1, 3, 1]]", "[0]: a polygon of 4 numbers");
    row("odd", "[[1, 1, 3, 1, 3, 4, 1, 4]]", "[[1, 1, 3, 1, 3, 4, 1]]", "a polygon of 7 numbers");
    row("far",
        "[[1, 1, 3, 1",
        "[[1, 1, 3, 1e300",
        "annotations[0]: segmentation: a corner that is");
    row("text corner",
        "[[1, 1, 3, 1",
        "[[1, \"1\", 3, 1",
        "annotations[0].segmentation[0][1]: expected a number");
    row("a text",
        "[[1, 1, 3, 1, 3, 4, 1, 4]]",
        "\"x\"",
        "annotations[0].segmentation: expected a list of polygons, or an object");
    row("unknown size",
        "\"id\": 1, \"height\": 6, \"width\": 8",
        "\"id\": 1",
        "annotations[0]: segmentation: polygons, but the truth does not say the picture's size");
    row("sum",
        "[0, 48]",
        "[0, 47]",
        "annotations[1].segmentation: the runs sum to 47 pixels; expected 6 x 8 = 48");
    row("negative run",
        "[0, 48]",
        "[-1, 49]",
        "annotations[1].segmentation.counts[0]: expected a run length");
    row("other size",
        "\"size\": [6, 8]",
        "\"size\": [8, 6]",
        "a mask of 8 x 6 (height x width) for a picture of 6 x 8");
    row("three sizes", "\"size\": [6, 8]", "\"size\": [6, 8, 1]", "expected two sizes");
    row("no size", "\"size\": [6, 8], ", "", "annotations[1].segmentation: no size");
    row("huge", "\"size\": [6, 8]", "\"size\": [4000000000, 4000000000]", "at most 2147483648");
    row("id twice",
        "\"id\": 6",
        "\"id\": 5",
        "annotations[1].id: 5 is that of annotations[0] already");
    row("cut off",
        "\"categories\": [{\"id\": 3, \"name\": \"cat\"}]}",
        "",
        "unexpected end of input");
  }
  void errors_in_the_truth() {
    const Damage damage = Damage::fetch();
    const std::string error = Files(damage.in(kTruth), kResults).error(true);
    QVERIFY2(contains(error, damage.said), error.c_str());
    QVERIFY2(error.starts_with("The truth file 'truth.json'"), error.c_str());
  }

  void errors_in_the_results_data() {
    const DamageRows row;
    row("an object", "[{", "{\"a\": {", "expected a list of results");
    row("no score", "\"score\": 0.5,", "", "[0]: no score");
    row("text score", "0.5", "\"high\"", "[0].score: expected a number");
    row("other picture",
        "\"image_id\": 1",
        "\"image_id\": 7",
        "[0]: image_id 7 is no picture of 'truth.json'");
    row("three numbers", "[1, 1, 2, 3]", "[1, 1, 2]", "[0].bbox: expected four numbers");
    row("text box", "[1, 1, 2, 3]", "[1, 1, 2, \"3\"]", "[0].bbox[3]: expected four numbers");
    row("endless box", "[1, 1, 2, 3]", "[1, 1, 2, NaN]", "[0].bbox[3]: expected a finite number");
    row("neither box nor mask",
        "\"segmentation\"",
        "\"bbox\": [], \"other\"",
        "[0]: no segmentation");
    row("bad runs", "7330m0", "7330\\u007f", "[0].segmentation: a character that no");
    row("other size", "[6, 8]", "[6, 9]", "[0].segmentation: the runs sum to 48");
    row("text follows", "\"7330m0\"}}]", "\"7330m0\"}}] x", "something follows");
    row("a second without box",
        "\"7330m0\"}}]",
        "\"7330m0\"}}, {\"image_id\": 1, \"category_id\": 3, \"score\": 1}]",
        "[1]: no bbox, which the first entry has");
  }
  void errors_in_the_results() {
    const Damage damage = Damage::fetch();
    const std::string error = Files(kTruth, damage.in(kResults)).error(true);
    QVERIFY2(contains(error, damage.said), error.c_str());
    QVERIFY2(error.starts_with("The results file 'results.json'"), error.c_str());
  }
  void no_such_file() {
    QVERIFY_THROWS_EXCEPTION(DataError, read_coco_truth("/nowhere/a.json", false));
  }

 private:
  static void same_curve(const CategoryFigures& found,
                         const json& expected,
                         std::size_t row,
                         std::size_t threshold) {
    for (std::size_t r = 0; r < kRecalls; ++r) {
      QVERIFY(near(found.precision.at(threshold)[r], expected["precision"][row][r]));
      QVERIFY(near(found.score.at(threshold)[r], expected["score"][row][r]));
    }
  }
};

BATCHSCOPE_TEST(TestCocoFiles)
#include "tst_coco_files.moc"
