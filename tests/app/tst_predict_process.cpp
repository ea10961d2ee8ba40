#include "tests/app/engine_runner.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QtEndian>

using namespace batchscope;

namespace {

QString checkpoint_of(const Training& training) {
  const QString folder = training.folder + QStringLiteral("/checkpoints/");
  const QStringList saved = QDir(folder).entryList({QStringLiteral("step-*")}, QDir::Files);
  return saved.isEmpty() ? QString() : folder + saved.last();
}

/// Of a PNG, from its header.
QSize size_of(const QString& file) {
  QFile png(file);
  const QByteArray head = png.open(QIODevice::ReadOnly) ? png.read(24) : QByteArray();
  return head.size() < 24 ? QSize()
                          : QSize(qFromBigEndian<qint32>(head.constData() + 16),
                                  qFromBigEndian<qint32>(head.constData() + 20));
}

QStringList settings(const char* model) {
  return {QStringLiteral("schedule.steps=2"),
          QStringLiteral("eval.at_end=false"),
          QStringLiteral("data.val_pictures=4"),
          QStringLiteral("data.train_pictures=16"),
          QStringLiteral("batch.micro=2"),
          QStringLiteral("data.size=64"),
          QStringLiteral("model.name=") + QString::fromLatin1(model)};
}

}  // namespace

/// `predict` as a person uses it, with what a training left.
class TestPredictProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    pictures_ = folder_.filePath(QStringLiteral("pictures"));
    QVERIFY(QDir().mkpath(pictures_));
    const QString fixtures = QStringLiteral(BATCHSCOPE_FIXTURES "/engine/pictures/");
    QVERIFY(
        QFile::copy(fixtures + QStringLiteral("rgb.png"), pictures_ + QStringLiteral("/b.png")));
    QVERIFY(
        QFile::copy(fixtures + QStringLiteral("rgb.jpg"), pictures_ + QStringLiteral("/a.JPG")));
    QFile note(pictures_ + QStringLiteral("/note.txt"));
    QVERIFY(note.open(QIODevice::WriteOnly) && note.write("no picture") > 0);
  }

  /// Three classes, as the weights say; ids count the sorted names; masks of the picture's size.
  void masksOfATraining() {
    Training training(settings("tiny_mask_rcnn"));
    QCOMPARE(training.wait(), 0);
    const QString weights = checkpoint_of(training);
    const Result result =
        predict("tiny_mask_rcnn", weights, {QStringLiteral("--draw"), path("drawn")});
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
    QCOMPARE(size_of(path("drawn/a.png")), QSize(21, 14));
    QCOMPARE(size_of(path("drawn/b.png")), QSize(21, 14));

    const Result none = predict(
        "tiny_mask_rcnn", weights, {QStringLiteral("--score-threshold"), QStringLiteral("1.01")});
    QCOMPARE(none.code, 0);
    QVERIFY(results().isEmpty());
    const Result maps =
        predict("tiny_mask_rcnn", weights, {QStringLiteral("--maps"), path("maps")});
    QCOMPARE(maps.code, 3);
    QVERIFY2(maps.err.contains(QStringLiteral("labels no pixels")), qPrintable(maps.err));
    const Result other = predict("tiny_retinanet", weights, {});
    QCOMPARE(other.code, 3);
    QVERIFY2(other.err.contains(QStringLiteral("not all of model tiny_retinanet")),
             qPrintable(other.err));
  }

  void mapsOfASemanticModel() {
    Training training(settings("tiny_semantic_fpn"));
    QCOMPARE(training.wait(), 0);
    const Result result = predict(
        "tiny_semantic_fpn", checkpoint_of(training), {QStringLiteral("--maps"), path("labels")});
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QCOMPARE(size_of(path("labels/b.png")), QSize(21, 14));
    const QString labels = path("labels");
    const Result same = run_engine({QStringLiteral("metrics"),
                                    QStringLiteral("--type"),
                                    QStringLiteral("semantic"),
                                    QStringLiteral("--gt"),
                                    labels,
                                    QStringLiteral("--dt"),
                                    labels,
                                    QStringLiteral("--json")});
    QVERIFY2(same.code == 0, qPrintable(same.err));
    QCOMPARE(QJsonDocument::fromJson(same.out.toUtf8()).object()[QStringLiteral("mIoU")].toDouble(),
             1.0);
    QVERIFY(results().isEmpty());
  }

  void endsInOneSentence() {
    const Result nowhere = run_engine({QStringLiteral("predict"),
                                       QStringLiteral("--model"),
                                       QStringLiteral("tiny_faster_rcnn"),
                                       QStringLiteral("--weights"),
                                       QStringLiteral("/none.pth"),
                                       QStringLiteral("--images"),
                                       QStringLiteral("/nowhere"),
                                       QStringLiteral("--out"),
                                       path("x.json")});
    QCOMPARE(nowhere.code, 3);
    QVERIFY2(nowhere.err.contains(QStringLiteral("'/nowhere' cannot be read")),
             qPrintable(nowhere.err));
    const Result weights = predict("tiny_faster_rcnn", QStringLiteral("/none.pth"), {});
    QCOMPARE(weights.code, 3);
    QVERIFY2(weights.err.trimmed().count(QLatin1Char('\n')) == 0, qPrintable(weights.err));
    QVERIFY(!QFile::exists(path("out.json.part")));
  }

 private:
  QString path(const char* name) const { return folder_.filePath(QString::fromLatin1(name)); }
  Result predict(const char* model, const QString& weights, const QStringList& rest) const {
    return run_engine(QStringList{QStringLiteral("predict"),
                                  QStringLiteral("--model"),
                                  QString::fromLatin1(model),
                                  QStringLiteral("--weights"),
                                  weights,
                                  QStringLiteral("--images"),
                                  pictures_,
                                  QStringLiteral("--out"),
                                  path("out.json")} +
                      rest);
  }
  QJsonArray results() const {
    QFile file(path("out.json"));
    return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()).array()
                                          : QJsonArray({1});
  }
  QTemporaryDir folder_;
  QString pictures_;
};

QTEST_GUILESS_MAIN(TestPredictProcess)
#include "tst_predict_process.moc"
