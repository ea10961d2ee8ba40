#include "tests/app/engine_runner.h"
#include "tests/support/data_folder.h"
#include "tests/support/test_program.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

using namespace batchscope;

namespace {

QJsonObject object_of(const Result& result) {
  return QJsonDocument::fromJson(result.out.toUtf8()).object();
}

/// The sentence that a command ended with, without the program's name.
QString sentence_of(const Result& result) {
  return result.err.section(QStringLiteral("batchscope-engine: "), -1).trimmed();
}

}  // namespace

/// `spec check --deep` refuses what `train` refuses, with the same words.
class TestSpecProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void deep_refuses_what_the_start_refuses_data() {
    QTest::addColumn<QStringList>("sets");
    QTest::addColumn<QString>("field");
    QTest::newRow("unknown model")
        << QStringList{QStringLiteral("model.name=yolov8")} << QStringLiteral("model.name");
    QTest::newRow("not COCO") << coco("{\"hello\": 1}") << QString();
    QTest::newRow("pictures that are not there")
        << coco(R"({"images": [{"id": 1, "file_name": "gone.png", "width": 8, "height": 8}],
             "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 1, 4, 4]}],
             "categories": [{"id": 3, "name": "square"}]})")
        << QString();
    QTest::newRow("weights that are none")
        << QStringList{QStringLiteral("model.weights=") + file("some text", "weights.pth")}
        << QString();
    QTest::newRow("precision that the model has not")
        << QStringList{QStringLiteral("precision.mode=bf16")} << QStringLiteral("precision.mode");
  }
  void deep_refuses_what_the_start_refuses() {
    QFETCH(QStringList, sets);
    QFETCH(QString, field);
    QStringList words;
    for (const QString& set : sets) {
      words << QStringLiteral("--set") << set;
    }
    QTemporaryDir library;
    const Result train = run_engine(QStringList{QStringLiteral("train"),
                                                QStringLiteral("demo"),
                                                QStringLiteral("--library"),
                                                library.path()} +
                                    words);
    QVERIFY(train.code > 0);
    const Result check = run_engine(QStringList{QStringLiteral("spec"),
                                                QStringLiteral("check"),
                                                QStringLiteral("demo"),
                                                QStringLiteral("--deep"),
                                                QStringLiteral("--json")} +
                                    words);
    QCOMPARE(check.code, train.code);
    QCOMPARE(sentence_of(check), sentence_of(train));
    const QJsonObject object = object_of(check);
    QCOMPARE(object[QStringLiteral("ok")].toBool(true), false);
    QCOMPARE(object[QStringLiteral("error")].toString(), sentence_of(train));
    QCOMPARE(object[QStringLiteral("field")].toString(), field);
  }

  void deep_counts_what_the_start_opens() {
    const Result result = run_engine({QStringLiteral("spec"),
                                      QStringLiteral("check"),
                                      QStringLiteral("demo"),
                                      QStringLiteral("--deep"),
                                      QStringLiteral("--json"),
                                      QStringLiteral("--set"),
                                      QStringLiteral("batch.micro=65536")});
    QVERIFY2(result.code == 0, qPrintable(result.err));
    const QJsonObject object = object_of(result);
    QVERIFY(object[QStringLiteral("ok")].toBool());
    QVERIFY(object[QStringLiteral("training")][QStringLiteral("pictures")].toInt() > 0);
    QVERIFY(object[QStringLiteral("training")][QStringLiteral("things")].toInt() > 0);
    QVERIFY(object[QStringLiteral("validation")][QStringLiteral("pictures")].toInt() > 0);
    QVERIFY(object[QStringLiteral("parameters")].toInt() > 0);
    const QString warning = object[QStringLiteral("warnings")].toArray().first().toString();
    QVERIFY2(warning.contains(QStringLiteral("65536")), qPrintable(result.out));
  }

 private:
  QString file(const char* text, const char* name) {
    folder_.write(name, text);
    return QString::fromStdString(folder_.path(name));
  }
  QStringList coco(const char* text) {
    const QString name = QStringLiteral("set%1.json").arg(++number_);
    return {QStringLiteral("data.kind=coco"),
            QStringLiteral("data.annotations=") + file(text, qPrintable(name)),
            QStringLiteral("data.images=") + QString::fromStdString(folder_.path(""))};
  }
  DataFolder folder_;
  int number_ = 0;
};

BATCHSCOPE_TEST(TestSpecProcess)
#include "tst_spec_process.moc"
