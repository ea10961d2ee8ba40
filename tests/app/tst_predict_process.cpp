#include "tests/app/png_pixels.h"
#include "tests/app/predict_runner.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <algorithm>
#include <cmath>

using namespace batchscope;

namespace {

QStringList settings(const char* model) {
  return words(
             "schedule.steps=2 eval.at_end=false data.val_pictures=4 data.train_pictures=16 "
             "batch.micro=2 data.size=64 optim.lr=0.001") +
         QStringList{QStringLiteral("model.name=") + QString::fromLatin1(model)};
}

QStringList option(const char* name, const QString& value) {
  return {QString::fromLatin1(name), value};
}

QByteArray bytes_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

}  // namespace

/// `predict` as a person uses it, with what a training left.
class TestPredictProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    pictures_ = path("pictures");
    QVERIFY(QDir().mkpath(pictures_));
    const QString fixtures = QStringLiteral(BATCHSCOPE_FIXTURES "/engine/pictures/");
    QVERIFY(
        QFile::copy(fixtures + QStringLiteral("rgb.png"), pictures_ + QStringLiteral("/b.png")));
    QVERIFY(
        QFile::copy(fixtures + QStringLiteral("rgb.jpg"), pictures_ + QStringLiteral("/a.JPG")));
    folder_.write("pictures/note.txt", "no picture");
    folder_.write("pictures/folder.jpg/x", "no picture either");
    training_ = std::make_unique<Training>(settings("tiny_mask_rcnn"));
    QCOMPARE(training_->wait(), 0);
    masks_ = checkpoint_of(*training_);
    QVERIFY(!masks_.isEmpty());
  }

  /// Three classes, as the weights say; ids count the sorted names; masks of the picture's size.
  void masksOfATraining() {
    const Result result = found();
    QVERIFY2(result.code == 0, qPrintable(result.err));
    const QJsonArray entries = results();
    QVERIFY(!entries.isEmpty());
    for (const auto& value : entries) {
      const QJsonObject entry = value.toObject();
      const bool first = entry[QStringLiteral("image_id")].toInt() == 1;
      QCOMPARE(entry[QStringLiteral("file_name")].toString(),
               first ? QStringLiteral("a.JPG") : QStringLiteral("b.png"));
      const int category = entry[QStringLiteral("category_id")].toInt();
      QVERIFY(category >= 1 && category <= 3);
      QCOMPARE(entry[QStringLiteral("bbox")].toArray().size(), 4);
      const double score = entry[QStringLiteral("score")].toDouble();
      QVERIFY(score >= 0.05 && score <= 1);
      const QJsonArray size =
          entry[QStringLiteral("segmentation")].toObject()[QStringLiteral("size")].toArray();
      QCOMPARE(size, QJsonArray({14, 21}));
    }
    QCOMPARE(found(words("--score-threshold 1.01")).code, 0);
    QVERIFY(results().isEmpty());
  }

  /// The outline of the best box is in the drawn picture, and nothing is where nothing is shown.
  void drawnPictures() {
    folder_.picture("large/c.png", 160, 120);
    Training training(settings("tiny_faster_rcnn"));  // no masks, which would colour the inside
    QCOMPARE(training.wait(), 0);
    const auto draw = [&](const QString& threshold) {
      const QStringList rest =
          option("--draw", path("drawn")) + option("--draw-threshold", threshold);
      const Result result = predict(QStringLiteral("tiny_faster_rcnn"),
                                    checkpoint_of(training),
                                    path("large"),
                                    path("out.json"),
                                    rest);
      return result.code == 0 ? PngPixels(folder_.path("drawn/c.png"), true)
                              : PngPixels("none", true);
    };
    const PngPixels plain(folder_.path("large/c.png"), true);
    QCOMPARE(plain.width, 160);
    QVERIFY(draw(QStringLiteral("1.01")) == plain);

    const QJsonObject best = results().first().toObject();
    const double score = best[QStringLiteral("score")].toDouble();
    const PngPixels drawn = draw(QString::number(score, 'g', 17));
    QCOMPARE(drawn.width, 160);
    QCOMPARE(drawn.height, 120);
    const QJsonArray box = best[QStringLiteral("bbox")].toArray();
    const double x = box[0].toDouble(), y = box[1].toDouble(), w = box[2].toDouble(),
                 h = box[3].toDouble();
    const auto changed = [&](double at_x, double at_y) {
      const int column = std::clamp(static_cast<int>(std::floor(at_x)), 0, 159),
                row = std::clamp(static_cast<int>(std::floor(at_y)), 0, 119);
      return drawn.at(column, row) != plain.at(column, row);
    };
    QVERIFY(changed(x + w / 2, y));
    QVERIFY(changed(x + w / 2, y + h));
    QVERIFY(changed(x, y + h / 2));
    QVERIFY(changed(x + w, y + h / 2));
    QVERIFY(!changed(x + w / 2, y + h / 2));
  }

  /// The others' results are whole, and all that went wrong is said.
  void brokenPictures() {
    folder_.picture("mixed/a.png", 64, 48);
    folder_.write("mixed/b.jpg", "text");
    folder_.write("mixed/d.webp", "RIFF----WEBP");
    folder_.write("mixed/e.bmp", "BM");
    folder_.picture("mixed/sub/f.png", 64, 48);
    folder_.picture("mixed/c.png", 33000, 2);
    const Result bearable = found({}, "mixed");
    QCOMPARE(bearable.code, 0);
    QVERIFY2(bearable.err.contains(QStringLiteral("b.jpg' is neither a JPEG nor a PNG file")),
             qPrintable(bearable.err));
    QVERIFY2(bearable.err.contains(
                 QStringLiteral("2 files that are no JPEG or PNG by name (the first: 'd.webp') and "
                                "1 folder of '%1' are passed over.\n")
                     .arg(path("mixed"))),
             qPrintable(bearable.err));
    const Result result = found(
        option("--draw", path("mixed_drawn")) + words("--json --set data.max_broken=0"), "mixed");
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("b.jpg' is neither a JPEG nor a PNG file")),
             qPrintable(result.err));
    QVERIFY2(result.err.contains(QStringLiteral("of 33000x2 pixels cannot be drawn")),
             qPrintable(result.err));
    QVERIFY2(result.err.contains(QStringLiteral("1 of 3 pictures could not be used")),
             qPrintable(result.err));
    QCOMPARE(result.out.count(QLatin1Char('\n')), 1);
    const QJsonObject summary = object_of(result);
    QCOMPARE(summary[QStringLiteral("pictures")].toInt(), 3);
    QCOMPARE(summary[QStringLiteral("broken")].toInt(), 1);
    QCOMPARE(summary[QStringLiteral("broken_pictures")].toArray(),
             QJsonArray({QStringLiteral("b.jpg")}));
    QCOMPARE(summary[QStringLiteral("not_drawn")].toInt(), 1);
    const QJsonArray entries = results();
    QCOMPARE(summary[QStringLiteral("detections")].toInt(), int(entries.size()));
    QCOMPARE(summary[QStringLiteral("files")].toObject()[QStringLiteral("results")].toString(),
             path("out.json"));
    QVERIFY(!entries.isEmpty());
    for (const auto& entry : entries) {
      QVERIFY(entry[QStringLiteral("image_id")].toInt() != 2);
    }
    QCOMPARE(PngPixels(folder_.path("mixed_drawn/a.png"), true).width, 64);
    QCOMPARE(QDir(path("mixed_drawn")).entryList(QDir::Files).size(), 1);

    QVERIFY(QFile::remove(path("mixed/b.jpg")));
    const Result undrawn = found(option("--draw", path("mixed_drawn")), "mixed");
    QCOMPARE(undrawn.code, 3);
    QVERIFY2(undrawn.err.contains(QStringLiteral("1 of 2 pictures could not be drawn")),
             qPrintable(undrawn.err));
    QVERIFY(!results().isEmpty());
  }

  void nothingIsOverwritten_data() {
    QTest::addColumn<QStringList>("arguments");
    QTest::newRow("drawn") << option("--draw", pictures_);
    QTest::newRow("maps") << option("--maps", pictures_ + QStringLiteral("/"));
    QTest::newRow("another spelling") << option("--draw", path("drawn/../pictures/."));
    QVERIFY(QFile::link(pictures_, path("link")));
    QTest::newRow("a link") << option("--draw", path("link"));
    QTest::newRow("both") << option("--draw", path("one")) + option("--maps", path("one"));
    QTest::newRow("weights") << option("--out", masks_);
    QTest::newRow("a picture") << option("--out", path("pictures/b.png"));
  }
  void nothingIsOverwritten() {
    QFETCH(QStringList, arguments);
    const auto state = [this] {
      QList<QByteArray> files = {bytes_of(masks_)};
      for (const QString& name : QDir(pictures_).entryList(QDir::Files)) {
        files << name.toUtf8() << bytes_of(pictures_ + QLatin1Char('/') + name);
      }
      return files;
    };
    const QList<QByteArray> before = state();
    QFile::remove(path("out.json"));
    QStringList all = words("predict --model tiny_mask_rcnn --weights") + QStringList{masks_} +
                      option("--images", pictures_) + arguments;
    if (!arguments.contains(QStringLiteral("--out"))) {
      all += option("--out", path("out.json"));
    }
    const Result result = run_engine(all);
    QCOMPARE(result.code, 2);
    QCOMPARE(result.err.count(QLatin1Char('\n')), 1);
    QVERIFY2(result.err.contains(arguments[0]), qPrintable(result.err));
    QVERIFY(state() == before);
    QVERIFY(!QFile::exists(path("out.json")) && !QFile::exists(path("one")));
  }

  void picturesOfOneName() {
    folder_.picture("twice/a.png", 32, 32);
    QVERIFY(QFile::copy(pictures_ + QStringLiteral("/a.JPG"), path("twice/a.jpg")));
    const Result result = found(option("--draw", path("twice_drawn")), "twice");
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("'a.jpg' and 'a.png'")), qPrintable(result.err));
    QVERIFY(!QFile::exists(path("twice_drawn")));
    QCOMPARE(found({}, "twice").code, 0);
  }

  void imageIdsOfAFile() {
    folder_.write("ids.json",
                  R"({"images": [{"id": 70, "file_name": "b.png"}, {"file_name": "z.png", "id": 5}],
                      "annotations": [{"id": [1, {}]}], "categories": []})");
    const QStringList ids = option("--image-ids", path("ids.json"));
    Result result = found(ids + words("--json"));
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QVERIFY2(result.err.contains(QStringLiteral("1 pictures are not in '")) &&
                 result.err.contains(QStringLiteral("1 images of '")),
             qPrintable(result.err));
    QCOMPARE(object_of(result)[QStringLiteral("pictures")].toInt(), 1);
    QVERIFY(!results().isEmpty());
    for (const auto& entry : results()) {
      QCOMPARE(entry[QStringLiteral("image_id")].toInt(), 70);
    }
    folder_.write("ids.json", R"({"images": [{"id": 1, "file_name": "x/b.png"}]})");
    result = found(ids);
    QCOMPARE(result.code, 3);
    QVERIFY2(result.err.contains(QStringLiteral("None of the 2 pictures")), qPrintable(result.err));
    folder_.write(
        "ids.json",
        R"({"images": [{"id": 1, "file_name": "b.png"}, {"id": 2, "file_name": "b.png"}]})");
    QCOMPARE(found(ids).code, 3);
  }

  /// Segments' categories are those of the file, matched by name.
  void mapsOfAPanopticModel() {
    Training training(settings("tiny_panoptic_fpn"));
    QCOMPARE(training.wait(), 0);
    folder_.write("panoptic.json",
                  R"([{"id": 90, "name": "ground", "isthing": 0}, {"id": 5, "name": "triangle"},
                      {"id": 8, "name": "square"}, {"id": 13, "name": "disc"}])");
    const QStringList categories = option("--categories", path("panoptic.json"));
    const Result result = predict(QStringLiteral("tiny_panoptic_fpn"),
                                  checkpoint_of(training),
                                  pictures_,
                                  path("out.json"),
                                  option("--maps", path("segments")) + categories);
    QVERIFY2(result.code == 0, qPrintable(result.err));
    const QJsonDocument file = json_of(path("segments.json"));
    const QJsonArray annotations = file[QStringLiteral("annotations")].toArray();
    QCOMPARE(annotations.size(), 2);
    std::set<int> ids;
    for (const auto& annotation : annotations) {
      const QString png = path("segments/") + annotation[QStringLiteral("file_name")].toString();
      QCOMPARE(PngPixels(png.toStdString(), true).width, 21);
      for (const auto& segment : annotation[QStringLiteral("segments_info")].toArray()) {
        ids.insert(segment[QStringLiteral("category_id")].toInt());
      }
    }
    QVERIFY(!ids.empty());
    const std::set<int> known = {5, 8, 13, 90};
    QVERIFY(std::includes(known.begin(), known.end(), ids.begin(), ids.end()));
    QCOMPARE(file[QStringLiteral("categories")].toArray().size(), 4);
    for (const auto& entry : results()) {
      QVERIFY(known.contains(entry[QStringLiteral("category_id")].toInt()));
    }
  }

  void endsInOneSentence() {
    QFile::remove(path("out.json"));
    const QString model = QStringLiteral("tiny_faster_rcnn"), none = QStringLiteral("/none.pth");
    const Result nowhere = predict(model, none, QStringLiteral("/nowhere"), path("x.json"));
    QCOMPARE(nowhere.code, 3);
    QVERIFY2(nowhere.err.contains(QStringLiteral("'/nowhere' cannot be read")),
             qPrintable(nowhere.err));
    const Result weights = predict(model, none, pictures_, path("out.json"));
    QCOMPARE(weights.code, 3);
    QVERIFY2(weights.err.trimmed().count(QLatin1Char('\n')) == 0, qPrintable(weights.err));
    const Result other =
        predict(QStringLiteral("tiny_retinanet"), masks_, pictures_, path("out.json"));
    QCOMPARE(other.code, 3);
    QVERIFY2(
        other.err.contains(QStringLiteral("is of model tiny_mask_rcnn; expected tiny_retinanet")),
        qPrintable(other.err));
    const Result maps = found(option("--maps", path("maps")));
    QCOMPARE(maps.code, 3);
    QVERIFY2(maps.err.contains(QStringLiteral("labels no pixels")), qPrintable(maps.err));
    QVERIFY(!QFile::exists(path("maps")));
    QVERIFY(!QFile::exists(path("out.json")) && !QFile::exists(path("out.json.part")));
  }

 private:
  QString path(const char* name) const { return QString::fromStdString(folder_.path(name)); }
  Result found(const QStringList& rest = {}, const char* images = "pictures") const {
    return predict(QStringLiteral("tiny_mask_rcnn"), masks_, path(images), path("out.json"), rest);
  }
  /// Of the last predict; one entry that is none where there is no file.
  QJsonArray results() const {
    const QJsonDocument json = json_of(path("out.json"));
    return json.isArray() ? json.array() : QJsonArray({1});
  }
  DataFolder folder_;
  QString pictures_, masks_;
  std::unique_ptr<Training> training_;
};

BATCHSCOPE_TEST(TestPredictProcess)
#include "tst_predict_process.moc"
