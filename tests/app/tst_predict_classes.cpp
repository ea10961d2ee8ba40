#include "tests/app/found_truth.h"
#include "tests/app/png_pixels.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <cmath>

using namespace batchscope;

/// Whose classes are whose: `eval` and `predict` with weights, checkpoints and the categories of
/// other files.
class TestPredictClasses : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    for (int i = 0; i < kPictureCount; ++i) {
      const auto left = static_cast<std::size_t>(3 + 9 * i);
      std::vector<std::uint32_t> pixels(64 * 48, 0x202020), labels(64 * 48, 40);
      for (std::size_t y = 10; y < 26; ++y) {
        for (std::size_t x = left; x < left + 16; ++x) {
          pixels[y * 64 + x] = i % 2 == 0 ? 0x30c040 : 0xd02080;
          labels[y * 64 + x] = 7;
        }
      }
      labels[0] = 0;
      folder_.png("images/" + name_of(i).toStdString(), 64, 48, pixels, true);
      folder_.png("labels/" + name_of(i).toStdString(), 64, 48, labels);
    }
  }

  /// Six classes, two categories of ids up to 6: labels are ids, as those of torchvision's weights.
  void labelsAreCategoryIds() {
    write_training_json();
    Training training(settings("tiny_mask_rcnn coco", "train.json"));
    QVERIFY2(training.wait() == 0, training.process.readAllStandardError().constData());
    const QString pth = converted(training);
    const QString model = QStringLiteral("tiny_mask_rcnn");
    const QStringList limit = words("--set model.max_detections=30 --set model.nms_threshold=0.05");
    QCOMPARE(predict(model, pth, path("images"), path("all.json"), limit).code, 0);
    const QJsonArray all = json_of(path("all.json")).array();
    QMap<int, int> counts;
    for (const auto& entry : all) {
      ++counts[entry[QStringLiteral("category_id")].toInt()];
    }
    QCOMPARE(all.size(), 30 * kPictureCount);  // the limit bound
    int other = 1;
    for (int id = 2; id < 6; ++id) {
      other = counts[id] > counts[other] ? id : other;
    }
    const auto id_of = [other](int id) { return id == other || id == 6 ? id : 0; };

    write_json(
        path("gapped.json"),
        truth_of(all,
                 {category(6, QStringLiteral("six")), category(other, QStringLiteral("other"))},
                 id_of));
    const QStringList gapped = {QStringLiteral("--categories"),
                                path("gapped.json"),
                                QStringLiteral("--image-ids"),
                                path("gapped.json")};
    const Result found = predict(model, pth, path("images"), path("found.json"), limit + gapped);
    QVERIFY2(found.code == 0, qPrintable(found.err));
    QVERIFY2(found.err.contains(QStringLiteral("has 6 classes, '")) &&
                 found.err.contains(QStringLiteral("labels are taken as category ids")),
             qPrintable(found.err));
    const QJsonArray kept = json_of(path("found.json")).array();
    QVERIFY(!kept.isEmpty() && kept.size() < all.size());
    QCOMPARE(lines_of(kept, same_id), lines_of(all, id_of));
    QCOMPARE(kept.first()[QStringLiteral("image_id")].toInt(), 104);

    const QStringList weights = {
        QStringLiteral("--model"), model, QStringLiteral("--weights"), pth};
    const Result figures = evaluate("gapped.json", weights + limit);
    QVERIFY2(figures.code == 0, qPrintable(figures.err));
    QVERIFY(figures.err.contains(QStringLiteral("labels are taken as category ids")));
    QCOMPARE(figures.out.count(QLatin1Char('\n')), 1);
    compare(object_of(figures), "gapped.json", "found.json", "bbox", QString());
    compare(object_of(figures), "gapped.json", "found.json", "segm", QStringLiteral("segm_"));

    write_json(path("five.json"),
               truth_of(all, {category(5, QStringLiteral("five"))}, [](int) { return 0; }));
    const Result refused = evaluate("five.json", weights);
    QCOMPARE(refused.code, 3);
    QVERIFY2(refused.err.contains(QStringLiteral(" has 6, '")) &&
                 refused.err.contains(QStringLiteral("' 1 (largest id 5).")),
             qPrintable(refused.err));
  }

  /// The run's own annotations are gone, and the categories have other ids and another order.
  void aCheckpointKnowsItsClassesAndItsSpec() {
    for (int i = 0; i < kPictureCount; ++i) {
      folder_.write("xml/" + name_of(i).toStdString().substr(0, 1) + ".xml",
                    std::string("<annotation><object><name>") + (i % 2 == 0 ? "square" : "disc") +
                        "</name><bndbox><xmin>4</xmin><ymin>11</ymin><xmax>19</xmax>"
                        "<ymax>26</ymax></bndbox></object></annotation>");
    }
    const QStringList own =
        words("data.min_size=96 model.max_detections=7 model.score_threshold=0.1");
    Training training(settings("tiny_faster_rcnn voc", "xml") + own);
    QVERIFY2(training.wait() == 0, training.process.readAllStandardError().constData());
    QVERIFY(QDir(path("xml")).removeRecursively());
    const QString checkpoint = checkpoint_of(training), pth = converted(training);
    const QString model = QStringLiteral("tiny_faster_rcnn");
    const auto found = [&](const QString& weights, const QStringList& rest) {
      const Result result = predict(model, weights, path("images"), path("found.json"), rest);
      return result.code == 0 ? json_of(path("found.json")).array() : QJsonArray();
    };
    // The stored spec, and settings over it.
    const QJsonArray all = found(checkpoint, {});
    QStringList sets;
    for (const QString& text : own) {
      sets << QStringLiteral("--set") << text;
    }
    QVERIFY(!all.isEmpty() && all.size() <= 7 * kPictureCount);
    QCOMPARE(found(pth, sets), all);
    QVERIFY(found(pth, {}) != all);
    QCOMPARE(found(checkpoint, words("--set model.max_detections=1")).size(), kPictureCount);

    const auto id_of = [](int label) { return label == 1 ? 9 : 5; };
    const auto truth = [&](const char* disc) {
      return truth_of(
          all,
          {category(9, QString::fromLatin1(disc)), category(5, QStringLiteral("square"))},
          id_of);
    };
    write_json(path("coco.json"), truth("disc"));
    const QStringList coco = {QStringLiteral("--categories"),
                              path("coco.json"),
                              QStringLiteral("--image-ids"),
                              path("coco.json")};
    QCOMPARE(lines_of(found(checkpoint, coco), same_id), lines_of(all, id_of));
    const QStringList of_run = {QStringLiteral("--checkpoint"), checkpoint};
    const Result figures = evaluate("coco.json", of_run);
    QVERIFY2(figures.code == 0, qPrintable(figures.err));
    compare(object_of(figures), "coco.json", "found.json", "bbox", QString());

    write_json(path("other.json"), truth("disk"));
    const Result refused = evaluate("other.json", of_run);
    QCOMPARE(refused.code, 3);
    QVERIFY2(refused.err.contains(QStringLiteral("The category 9 of '")) &&
                 refused.err.contains(QStringLiteral("'disk', is no class of the checkpoint")) &&
                 refused.err.contains(QStringLiteral("expected disc, square.")),
             qPrintable(refused.err));
    QCOMPARE(found(checkpoint, {QStringLiteral("--categories"), path("other.json")}), QJsonArray());
  }

  /// PNGs of the categories' ids: the same figure as that of the run's evaluation.
  void mapsHaveCategoryIds() {
    folder_.write("classes.json", R"([{"id": 40, "name": "wall"}, {"id": 7, "name": "door"}])");
    Training training(settings("tiny_semantic_fpn ade20k", "labels") +
                      QStringList{QStringLiteral("data.classes=") + path("classes.json"),
                                  QStringLiteral("data.val_annotations=") + path("labels")});
    QVERIFY2(training.wait() == 0, training.process.readAllStandardError().constData());
    const QString checkpoint = checkpoint_of(training), pth = converted(training);
    const Result own = run_engine(words("eval --json --batch 1 --checkpoint") << checkpoint);
    QVERIFY2(own.code == 0, qPrintable(own.err));
    const double figure = object_of(own)[QStringLiteral("mIoU")].toDouble();
    QVERIFY(figure > 0);
    const auto maps = [&](const QString& weights, const QStringList& rest) {
      return predict(QStringLiteral("tiny_semantic_fpn"),
                     weights,
                     path("images"),
                     path("none.json"),
                     QStringList{QStringLiteral("--maps"), path("maps")} + rest);
    };
    const auto values = [&] {
      std::set<int> all;
      for (int i = 0; i < kPictureCount; ++i) {
        all.merge(PngPixels(folder_.path("maps/" + name_of(i).toStdString()), false).all());
      }
      return all;
    };
    const QStringList classes = {QStringLiteral("--categories"), path("classes.json")};
    for (const QString& weights : {checkpoint, pth}) {
      const Result result = maps(weights, classes);
      QVERIFY2(result.code == 0, qPrintable(result.err));
      const Result measured = run_engine(words("metrics --type semantic --json --ignore 0 --gt") +
                                         QStringList{path("labels"), QStringLiteral("--dt")} +
                                         QStringList{path("maps")} + classes);
      QVERIFY2(measured.code == 0, qPrintable(measured.err));
      QVERIFY(std::abs(object_of(measured)[QStringLiteral("mIoU")].toDouble() - figure) < 1e-12);
    }
    const std::set<int> ids = values();
    QVERIFY(ids == (std::set<int>{7, 40}) || ids == std::set<int>{7} || ids == std::set<int>{40});

    // A list of names counts from 1, or from 0 where another value is ignored.
    folder_.write("names.txt", "door\nwall\n");
    const QStringList names = {QStringLiteral("--categories"), path("names.txt")};
    QCOMPARE(maps(pth, names).code, 0);
    const std::set<int> numbered = values();
    QCOMPARE(numbered.contains(1), ids.contains(7));
    QCOMPARE(numbered.contains(2), ids.contains(40));
    QCOMPARE(maps(pth, names + words("--set data.ignored_label=255")).code, 0);
    QCOMPARE(*values().begin(), *numbered.begin() - 1);
    folder_.write("names.txt", "door\n");
    const Result refused = maps(pth, names);
    QCOMPARE(refused.code, 3);
    QVERIFY2(refused.err.contains(QStringLiteral(" has 2, '")), qPrintable(refused.err));
    QVERIFY(json_of(path("none.json")).array().isEmpty());
  }

  /// A file that cannot be written is told before anything else is looked at.
  void figuresToAFile() {
    const Result result =
        run_engine(words("eval --checkpoint /none.ckpt --json /none/figures.json"));
    QCOMPARE(result.code, 4);
    QVERIFY2(result.err.contains(QStringLiteral("'/none/figures.json' of --json cannot")),
             qPrintable(result.err));
    QCOMPARE(run_engine(words("eval --checkpoint /none.ckpt --json") << path("f.json")).code, 3);
    QVERIFY(!QFile::exists(path("f.json")));
  }

 private:
  QString path(const char* name) const { return QString::fromStdString(folder_.path(name)); }

  /// Of a short training. kind: "MODEL KIND".
  QStringList settings(const char* kind, const char* annotations) const {
    const QStringList both = words(kind);
    return words("schedule.steps=2 eval.at_end=false batch.micro=2 optim.lr=0.001") +
           QStringList{QStringLiteral("model.name=") + both[0],
                       QStringLiteral("data.kind=") + both[1],
                       QStringLiteral("data.annotations=") + path(annotations),
                       QStringLiteral("data.images=") + path("images")};
  }

  /// One box and polygon of each of six classes in every picture.
  void write_training_json() const {
    QJsonArray images, annotations, categories;
    for (int i = 0; i < kPictureCount; ++i) {
      images.append(
          QJsonObject{{QStringLiteral("id"), i + 1}, {QStringLiteral("file_name"), name_of(i)}});
    }
    for (int k = 0; k < 6 * kPictureCount; ++k) {
      const int x = 3 + 9 * (k / 6), y = 2 + 5 * (k % 6);
      QJsonArray polygons;  // appended: what QJsonArray{one array} is, compilers do not agree on
      polygons.append(QJsonArray{x, y, x + 16, y, x + 16, y + 16, x, y + 16});
      annotations.append(QJsonObject{{QStringLiteral("id"), k + 1},
                                     {QStringLiteral("image_id"), k / 6 + 1},
                                     {QStringLiteral("category_id"), k % 6 + 1},
                                     {QStringLiteral("bbox"), QJsonArray{x, y, 16, 16}},
                                     {QStringLiteral("segmentation"), polygons}});
    }
    for (int id = 1; id <= 6; ++id) {
      categories.append(category(id, QStringLiteral("c%1").arg(id)));
    }
    write_json(path("train.json"),
               QJsonDocument(QJsonObject{{QStringLiteral("images"), images},
                                         {QStringLiteral("annotations"), annotations},
                                         {QStringLiteral("categories"), categories}}));
  }

  /// The run's weights without anything else.
  QString converted(const Training& training) const {
    const QString pth = path("weights.pth");
    run_engine(words("weights convert") + QStringList{checkpoint_of(training), pth});
    return pth;
  }

  Result evaluate(const char* truth, const QStringList& rest) const {
    return run_engine(
        words("eval --json --batch 1") + rest +
        QStringList{
            QStringLiteral("--data"), path(truth), QStringLiteral("--images"), path("images")});
  }

  /// `metrics` of a results file against the figures of `eval`. Where masks are measured, the areas
  /// of results are those of their boxes, so that figures by size differ.
  void compare(const QJsonObject& figures,
               const char* truth,
               const char* results,
               const char* type,
               const QString& prefix) const {
    const Result result =
        run_engine(words("metrics --json --type") + QStringList{QString::fromLatin1(type),
                                                                QStringLiteral("--gt"),
                                                                path(truth),
                                                                QStringLiteral("--dt"),
                                                                path(results)});
    QVERIFY2(result.code == 0, qPrintable(result.err));
    const QJsonObject measured = object_of(result);
    QVERIFY(measured[QStringLiteral("AP")].toDouble() > 0.1);
    for (const QString& key : measured.keys()) {
      const bool by_size = !prefix.isEmpty() && QStringLiteral("sml").contains(key.back());
      const double difference = measured[key].toDouble() - figures[prefix + key].toDouble(-9);
      QVERIFY2(by_size || std::abs(difference) < 1e-12,
               qPrintable(prefix + key + QStringLiteral(": %1").arg(difference)));
    }
  }

  DataFolder folder_;
};

BATCHSCOPE_TEST(TestPredictClasses)
#include "tst_predict_classes.moc"
