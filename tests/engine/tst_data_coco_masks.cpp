#include "engine/data/transforms.h"
#include "engine/metrics/rle.h"
#include "tests/support/coco_file.h"
#include "tests/support/corners.h"
#include "tests/support/test_program.h"

using namespace batchscope;
using train::CocoDataset;
using train::CocoOptions;

class TestDataCocoMasks : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void masks_of_every_form() {
    // Image 30: a polygon, then objects whose masks do not matter but must be there.
    std::string json = replaced(kSmallCoco, "\"counts\": [3, 2]", "\"counts\": [3, 2, 289]");
    const CocoOptions options{.images = kPictures, .masks = true};
    QVERIFY(error_of(json, options).find("6 of 8 objects of") == 0);
    QVERIFY(error_of(json, options).find("the first in 'rgb.jpg'") != std::string::npos);
    const JsonFile file(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
      "annotations": [
        {"image_id": 1, "category_id": 1, "bbox": [2, 3, 4, 2],
         "segmentation": [[2, 3, 6, 3, 6, 5, 2, 5]]},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2],
         "segmentation": {"size": [14, 21], "counts": [0, 2, 12, 1, 279]}},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1, "segmentation": []}],
      "categories": [{"id": 1, "name": "a"}]})");
    const CocoDataset set({.annotations = file.path(), .images = kPictures, .masks = true});
    const torch::Tensor masks = set.get(0).masks;
    torch::Tensor expected = torch::zeros({2, 14, 21}, torch::kUInt8);
    expected[0].slice(0, 3, 5).slice(1, 2, 6).fill_(1);
    expected[1].slice(0, 0, 2).slice(1, 0, 1).fill_(1);  // two rows of the first column
    expected[1][0][1] = 1;
    QVERIFY(torch::equal(masks, expected));
    const auto truth = set.truth_masks(0);
    QVERIFY(truth && truth->size() == 3);
    QCOMPARE(train::rle_area((*truth)[0]), std::uint64_t{8});
    QCOMPARE(train::rle_area((*truth)[2]), std::uint64_t{14 * 21});
    const CocoDataset boxes({.annotations = file.path(), .images = kPictures});
    QVERIFY(!boxes.get(0).masks.defined() && !boxes.truth_masks(0));
  }

  void mask_of_another_size_is_an_error() {
    const JsonFile file(R"({"images": [{"id": 1, "file_name": "rgb.jpg"}],
      "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 2, 2],
        "segmentation": {"size": [2, 2], "counts": [0, 4]}}],
      "categories": [{"id": 1, "name": "a"}]})");
    const CocoDataset set({.annotations = file.path(), .images = kPictures, .masks = true});
    const std::string said = sentence_of<contract::DataError>([&] { set.get(0); });
    QVERIFY2(contains(said, "object 1 of picture 'rgb.jpg': segmentation: a mask of 2 x 2"),
             said.c_str());
  }

  // A target's masks after resizing and mirroring are those of the picture: a half stays a half.
  void masks_follow_the_picture() {
    train::Sample sample;
    sample.image = torch::zeros({3, 8, 6}, torch::kUInt8);
    sample.boxes = corners({0, 0, 3, 8});
    sample.labels = torch::ones({1}, torch::kInt64);
    sample.masks = torch::zeros({1, 8, 6}, torch::kUInt8);
    sample.masks.slice(2, 0, 3).fill_(1);
    sample.semantic = torch::full({8, 6}, 7, torch::kInt16);
    sample.semantic.slice(1, 0, 3).fill_(2);
    const models::Target target = train::transform_target(sample, 4, 12, /*mirror=*/true);
    torch::Tensor half = torch::zeros({4, 12}, torch::kUInt8);
    half.slice(1, 6, 12).fill_(1);
    QVERIFY(torch::equal(target.masks[0], half));
    QVERIFY(torch::equal(target.semantic, torch::where(half == 1, 2, 7).to(torch::kInt16)));
    QVERIFY(torch::equal(target.boxes, corners({6, 0, 12, 4})));
  }

  // Counts by pycocotools' annToMask.
  void real_masks_data() {
    QTest::addColumn<QString>("split");
    QTest::addColumn<qint64>("pixels");
    QTest::addColumn<qint64>("crowd");
    QTest::newRow("polygons") << QStringLiteral("train") << qint64{5880156} << qint64{0};
    QTest::newRow("run lengths") << QStringLiteral("val") << qint64{6172351} << qint64{134917};
  }
  void real_masks() {
    QFETCH(QString, split);
    QFETCH(qint64, pixels);
    QFETCH(qint64, crowd);
    const std::string folder = shared_data() + "/coco64";
    if (!QFileInfo::exists(QString::fromStdString(folder))) {
      QSKIP("the shared data (bccd, coco64) is not here");
    }
    const CocoDataset set({.annotations = folder + "/instances_" + split.toStdString() + ".json",
                           .images = folder + "/images_" + split.toStdString(),
                           .masks = true});
    std::int64_t inside = 0, in_crowd = 0;
    for (std::int64_t i = 0; i < set.size(); ++i) {
      const auto masks = set.truth_masks(i);
      const auto truth = set.truth(i);
      QVERIFY(masks && masks->size() == truth.size());
      for (std::size_t k = 0; k < truth.size(); ++k) {
        (truth[k].crowd ? in_crowd : inside) += static_cast<std::int64_t>(rle_area((*masks)[k]));
      }
    }
    QCOMPARE(inside, pixels);
    QCOMPARE(in_crowd, crowd);
    const torch::Tensor first = set.get(0).masks;
    QCOMPARE(first.sum().item<std::int64_t>(), split == QLatin1String("train") ? 186522 : 36344);
  }
};

BATCHSCOPE_TEST(TestDataCocoMasks)
#include "tst_data_coco_masks.moc"
