#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

using namespace batchscope;

namespace {

const QString kFixtures = QStringLiteral(BATCHSCOPE_FIXTURES "/engine");
const QString kPanoptic = kFixtures + QStringLiteral("/panoptic");

QJsonDocument read_json(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? QJsonDocument::fromJson(file.readAll()) : QJsonDocument();
}

QJsonObject object_of(const Result& result) {
  return QJsonDocument::fromJson(result.out.toUtf8()).object();
}

bool near(const QJsonValue& found, const QJsonValue& expected) {
  return found.isDouble() && std::abs(found.toDouble() - expected.toDouble()) <= 1e-12;
}

}  // namespace

/// `batchscope-engine metrics` and `bench eval` as a script sees them.
class TestMetricsProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    // One evaluation with masks and one with boxes, as files.
    const QJsonArray cases =
        read_json(kFixtures + QStringLiteral("/coco_segm/evaluations.json")).array();
    for (const QJsonValue& one : cases) {
      const QString type = one[QStringLiteral("type")].toString();
      if (!figures_.contains(type)) {
        figures_[type] = one[QStringLiteral("figures")].toObject();
        write(type + QStringLiteral("_gt.json"), one[QStringLiteral("truth")].toObject());
        write(type + QStringLiteral("_dt.json"), one[QStringLiteral("results")].toArray());
      }
    }
    QVERIFY(figures_.contains(QStringLiteral("segm")) && figures_.contains(QStringLiteral("bbox")));
  }

  void coco_json_has_the_twelve_figures() {
    for (const char* type : {"bbox", "segm"}) {
      const Result done = coco(type, words("--json"));
      QVERIFY2(done.code == 0, qPrintable(done.err));
      const QJsonObject found = object_of(done), expected = figures_[QString::fromLatin1(type)];
      QCOMPARE(found.keys(), expected.keys());
      QCOMPARE(found.size(), 12);
      for (const QString& key : expected.keys()) {
        QVERIFY2(near(found[key], expected[key]), qPrintable(key));
      }
    }
  }

  void coco_to_a_file_with_a_table() {
    const QString out = path(QStringLiteral("out.json")), csv = path(QStringLiteral("curves.csv"));
    const Result done = coco("segm",
                             {QStringLiteral("--json"),
                              out,
                              QStringLiteral("--per-class"),
                              QStringLiteral("--curves"),
                              csv});
    QVERIFY2(done.code == 0, qPrintable(done.err));
    QVERIFY(done.out.startsWith(QLatin1String("AP     0.1")));
    QVERIFY(done.out.contains(QLatin1String("category")));
    const QJsonObject found = read_json(out).object();
    QCOMPARE(found.size(), 13);
    const QJsonArray classes = found[QStringLiteral("per_class")].toArray();
    QCOMPARE(classes.size(), 3);
    QVERIFY(!classes[0][QStringLiteral("name")].toString().isEmpty());
    QFile curves(csv);
    QVERIFY(curves.open(QIODevice::ReadOnly));
    const QList<QByteArray> lines = curves.readAll().trimmed().split('\n');
    QCOMPARE(lines[0], QByteArray("category_id,category,overlap,recall,precision,score"));
    QCOMPARE(lines.size(), 1 + 3 * 10 * 101);
    double sum = 0;
    for (qsizetype i = 1; i < lines.size(); ++i) {
      sum += lines[i].split(',')[4].toDouble();
    }
    QVERIFY(std::abs(sum / (3 * 10 * 101) - found[QStringLiteral("AP")].toDouble()) < 1e-12);
  }

  /// What makes figures low without a word in them.
  void what_does_not_count_is_told() {
    QJsonArray truth, found;
    for (int i = 1; i <= 12; ++i) {
      const QJsonArray box{i * 10, 0, 8, 8};
      truth.append(QJsonObject{{QStringLiteral("id"), i},
                               {QStringLiteral("image_id"), i == 12 ? 7 : 3},
                               {QStringLiteral("category_id"), 1},
                               {QStringLiteral("bbox"), box}});
      if (i < 12) {
        found.append(QJsonObject{{QStringLiteral("image_id"), 3},
                                 {QStringLiteral("category_id"), 1},
                                 {QStringLiteral("bbox"), box},
                                 {QStringLiteral("score"), 0.5}});
      }
    }
    const auto image = [](int id) { return QJsonObject{{QStringLiteral("id"), id}}; };
    write(QStringLiteral("dense_gt.json"),
          QJsonObject{{QStringLiteral("images"), QJsonArray{image(3), image(7)}},
                      {QStringLiteral("annotations"), truth},
                      {QStringLiteral("categories"), QJsonArray{image(1)}}});
    write(QStringLiteral("dense_dt.json"), found);
    const auto run = [&](const char* more) {
      return metrics("bbox",
                     QStringList{QStringLiteral("--gt"),
                                 path(QStringLiteral("dense_gt.json")),
                                 QStringLiteral("--dt"),
                                 path(QStringLiteral("dense_dt.json"))} +
                         words(more));
    };
    const Result whole = run("");
    QCOMPARE(whole.code, 0);
    QCOMPARE(whole.err,
             QStringLiteral("note: 1 of 2 pictures with objects has no detection, the first of id "
                            "7: all in them counts as missed.\n"));
    const Result few = run("--max-detections 4");
    QVERIFY2(few.err.contains(QStringLiteral(
                 "note: 1 picture has more than 4 objects of a class (11), and no more detections "
                 "of it count: --max-detections sets how many.\n")),
             qPrintable(few.err));
    QVERIFY2(few.out.contains(QStringLiteral("AR4    0.3333  4 detections")), qPrintable(few.out));
    QCOMPARE(run("--max-detections 0").code, 2);
  }

  void panoptic() {
    const QStringList files = {QStringLiteral("--gt"),
                               kPanoptic + QStringLiteral("/truth.json"),
                               QStringLiteral("--dt"),
                               kPanoptic + QStringLiteral("/found.json")};
    const Result done = metrics("panoptic", files + words("--json --per-class"));
    QVERIFY2(done.code == 0, qPrintable(done.err));
    const QJsonObject found = object_of(done);
    const QJsonObject expected = read_json(kPanoptic + QStringLiteral("/expected.json"))
                                     .object()[QStringLiteral("panoptic")]
                                     .toObject();
    QCOMPARE(found.keys(), expected.keys());
    for (const char* key :
         {"PQ", "SQ", "RQ", "PQ_th", "SQ_th", "RQ_th", "PQ_st", "SQ_st", "RQ_st"}) {
      QVERIFY2(near(found[QLatin1String(key)], expected[QLatin1String(key)]), key);
    }
    const Result table = metrics("panoptic",
                                 files + QStringList{QStringLiteral("--gt-images"),
                                                     kPanoptic + QStringLiteral("/truth"),
                                                     QStringLiteral("--dt-images"),
                                                     kPanoptic + QStringLiteral("/found")});
    QVERIFY(table.out.contains(QLatin1String("things")));
    QVERIFY(table.out.contains(QLatin1String("0.4216")));
  }

  void semantic() {
    const QStringList folders = {QStringLiteral("--gt"),
                                 kPanoptic + QStringLiteral("/semantic_truth"),
                                 QStringLiteral("--dt"),
                                 kPanoptic + QStringLiteral("/semantic_found")};
    const QJsonArray expected = read_json(kPanoptic + QStringLiteral("/expected.json"))
                                    .object()[QStringLiteral("semantic")]
                                    .toArray();
    const Result all = metrics("semantic", folders + words("--json"));
    QVERIFY2(all.code == 0, qPrintable(all.err));
    QVERIFY(near(object_of(all)[QStringLiteral("mIoU")], expected[0][QStringLiteral("mIoU")]));
    const Result some = metrics("semantic", folders + words("--ignore 0 3 --json --per-class"));
    const QJsonObject found = object_of(some);
    QVERIFY(near(found[QStringLiteral("mIoU")], expected[2][QStringLiteral("mIoU")]));
    QVERIFY(near(found[QStringLiteral("pixel_accuracy")],
                 expected[2][QStringLiteral("pixel_accuracy")]));
    QCOMPARE(found[QStringLiteral("per_class")].toArray().size(),
             expected[2][QStringLiteral("classes")].toArray().size());
    // The panoptic categories lack some of these labels.
    const Result known = metrics("semantic",
                                 folders + QStringList{QStringLiteral("--categories"),
                                                       kPanoptic + QStringLiteral("/truth.json")});
    QCOMPARE(known.code, 3);
    QVERIFY(known.err.contains(QLatin1String("neither a category nor ignored")));
  }

  void bad_usage_and_damaged_files() {
    const auto code = [](const char* type, const char* options) {
      return metrics(type, words(options)).code;
    };
    QCOMPARE(code("boxes", "--gt a --dt b"), 2);
    QCOMPARE(code("bbox", "--gt a"), 2);
    QCOMPARE(coco("bbox", words("--ignore 0")).code, 2);
    QCOMPARE(coco("segm", words("--gt-images x")).code, 2);
    QCOMPARE(code("semantic", "--gt a --dt b --curves c"), 2);
    QCOMPARE(code("bbox", "--gt /nowhere/a.json --dt /nowhere/b.json"), 3);
    QCOMPARE(code("semantic", "--gt /nowhere --dt /nowhere"), 3);
    QCOMPARE(coco("bbox", words("--curves /nowhere/c.csv")).code, 4);
    const Result swapped = metrics("bbox",
                                   {QStringLiteral("--gt"),
                                    path(QStringLiteral("bbox_dt.json")),
                                    QStringLiteral("--dt"),
                                    path(QStringLiteral("bbox_gt.json"))});
    QCOMPARE(swapped.code, 3);
    QVERIFY(swapped.err.contains(QLatin1String("expected an object with images, annotations")));
    QCOMPARE(swapped.err.trimmed().count(QLatin1Char('\n')), 0);
  }

  void bench_eval() {
    const Result done = run_engine(
        words("bench eval --images 40 --classes 5 --rounds 1 --threads 2 --json --keep") +
        QStringList{folder_.path()});
    QVERIFY2(done.code == 0, qPrintable(done.err));
    const QJsonObject found = object_of(done);
    QCOMPARE(found[QStringLiteral("detections")].toInt(), 40 * 36);
    QVERIFY(found[QStringLiteral("seconds")].toDouble() > 0);
    QVERIFY(found[QStringLiteral("peak_mib")].toDouble() > 1);
    const double ap = found[QStringLiteral("metrics")][QStringLiteral("AP")].toDouble();
    QVERIFY(ap > 0.02 && ap < 0.9);
    const Result again = metrics("bbox",
                                 {QStringLiteral("--gt"),
                                  path(QStringLiteral("gt.json")),
                                  QStringLiteral("--dt"),
                                  path(QStringLiteral("dt.json")),
                                  QStringLiteral("--json")});
    QVERIFY(near(object_of(again)[QStringLiteral("AP")], ap));
    QCOMPARE(run_engine(words("bench eval --gt x")).code, 2);
  }

 private:
  QString path(const QString& name) const { return folder_.filePath(name); }
  template <typename Json>
  void write(const QString& name, const Json& json) const {
    QFile file(path(name));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(QJsonDocument(json).toJson());
  }
  static Result metrics(const char* type, const QStringList& arguments) {
    return run_engine(QStringList{QStringLiteral("metrics"),
                                  QStringLiteral("--type"),
                                  QString::fromLatin1(type)} +
                      arguments);
  }
  Result coco(const char* type, const QStringList& arguments) const {
    const QString start = QString::fromLatin1(type);
    return metrics(type,
                   QStringList{QStringLiteral("--gt"),
                               path(start + QStringLiteral("_gt.json")),
                               QStringLiteral("--dt"),
                               path(start + QStringLiteral("_dt.json"))} +
                       arguments);
  }

  QTemporaryDir folder_;
  QMap<QString, QJsonObject> figures_;
};

BATCHSCOPE_TEST(TestMetricsProcess)
#include "tst_metrics_process.moc"
