#include "tests/app/predict_runner.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <cstring>
#include <png.h>

using namespace batchscope;

namespace {

/// Three pictures with a red and a blue square each; `red` and `blue` are their category ids.
QJsonDocument annotations(int red, int blue) {
  QJsonArray images, objects;
  for (int i = 0; i < 3; ++i) {
    images.append(QJsonObject{{QStringLiteral("id"), 10 + i},
                              {QStringLiteral("file_name"), QStringLiteral("p%1.png").arg(i)},
                              {QStringLiteral("width"), 64},
                              {QStringLiteral("height"), 64}});
    for (const int id : {red, blue}) {
      const int x = id == red ? 4 + 4 * i : 36, y = id == red ? 6 : 34 - 4 * i;
      objects.append(QJsonObject{{QStringLiteral("id"), objects.size() + 1},
                                 {QStringLiteral("image_id"), 10 + i},
                                 {QStringLiteral("category_id"), id},
                                 {QStringLiteral("bbox"), QJsonArray{x, y, 20, 20}},
                                 {QStringLiteral("area"), 400},
                                 {QStringLiteral("iscrowd"), 0}});
    }
  }
  return QJsonDocument(
      QJsonObject{{QStringLiteral("images"), images},
                  {QStringLiteral("annotations"), objects},
                  {QStringLiteral("categories"),
                   QJsonArray{QJsonObject{{QStringLiteral("id"), red},
                                          {QStringLiteral("name"), QStringLiteral("red")}},
                              QJsonObject{{QStringLiteral("id"), blue},
                                          {QStringLiteral("name"), QStringLiteral("blue")}}}}});
}

double average_precision(const Result& result) {
  return QJsonDocument::fromJson(result.out.toUtf8())[QStringLiteral("AP")].toDouble(-1);
}

}  // namespace

/// Results carry the ids of the data that a checkpoint was trained on, wherever those begin.
class TestCategoryIds : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    QVERIFY(QDir().mkpath(path("images")));
    for (int i = 0; i < 3; ++i) {
      std::vector<unsigned char> pixels(64 * 64 * 3, 128);
      const auto square = [&](int x, int y, int channel) {
        for (int at = 0; at < 20 * 20; ++at) {
          unsigned char* pixel =
              &pixels[static_cast<std::size_t>(((y + at / 20) * 64 + x + at % 20) * 3)];
          pixel[0] = pixel[1] = pixel[2] = 0;
          pixel[channel] = 255;
        }
      };
      square(4 + 4 * i, 6, 0);
      square(36, 34 - 4 * i, 2);
      png_image image{};
      image.version = PNG_IMAGE_VERSION;
      image.width = image.height = 64;
      image.format = PNG_FORMAT_RGB;
      const QByteArray file = path("images/p%1.png").arg(i).toUtf8();
      QVERIFY(png_image_write_to_file(&image, file.constData(), 0, pixels.data(), 0, nullptr) != 0);
    }
  }

  void idsOfTheData_data() {
    QTest::addColumn<int>("red");
    QTest::addColumn<int>("blue");
    QTest::newRow("2, 3") << 2 << 3;
    QTest::newRow("0, 1") << 0 << 1;
    QTest::newRow("with gaps") << 7 << 90;
  }
  void idsOfTheData() {
    QFETCH(int, red);
    QFETCH(int, blue);
    const QString file = path("train-%1.json").arg(red), out = path("out-%1.json").arg(red);
    write_json(file, annotations(red, blue));
    Training training(
        words("data.kind=coco model.name=lab_faster_rcnn batch.micro=3 schedule.steps=150 "
              "optim.name=adamw optim.lr=0.002 schedule.warmup.kind=none eval.at_end=true "
              "eval.probes=0 data.min_size=64 data.max_size=64") +
        QStringList{QStringLiteral("data.annotations=") + file,
                    QStringLiteral("data.images=") + path("images"),
                    QStringLiteral("data.val_annotations=") + file,
                    QStringLiteral("data.val_images=") + path("images")});
    QCOMPARE(training.wait(), 0);
    const Result predicted = predict(QStringLiteral("lab_faster_rcnn"),
                                     checkpoint_of(training),
                                     path("images"),
                                     out,
                                     {QStringLiteral("--image-ids"), file});
    QVERIFY2(predicted.code == 0, qPrintable(predicted.err));
    QVERIFY2(!predicted.err.contains(QStringLiteral("category ids")), qPrintable(predicted.err));
    const Result measured = run_engine({QStringLiteral("metrics"),
                                        QStringLiteral("--gt"),
                                        file,
                                        QStringLiteral("--dt"),
                                        out,
                                        QStringLiteral("--type"),
                                        QStringLiteral("bbox"),
                                        QStringLiteral("--json")});
    QVERIFY2(measured.code == 0, qPrintable(measured.err));
    const auto evals = storage::RunReader(training.path()).evals(0);
    QVERIFY(!evals.empty());
    const double trained = evals.back().record.metrics.at("AP");
    QVERIFY2(trained > 0.3, qPrintable(QString::number(trained)));
    QVERIFY2(qAbs(average_precision(measured) - trained) < 1e-6, qPrintable(measured.out));
  }

 private:
  QString path(const char* name) const {
    return folder_.path() + QLatin1Char('/') + QString::fromLatin1(name);
  }
  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestCategoryIds)
#include "tst_category_ids.moc"
