#include "app/weights_eps.h"
#include "tests/support/test_program.h"

#include <QDir>
#include <QFile>
#include <QTemporaryDir>
#include <QtTest>

using namespace batchscope;
using app::weights_eps;
using contract::ModelSection;

namespace {

ModelSection frozen(const std::string& weights) {
  ModelSection model;
  model.norm = "frozen";
  model.weights = weights;
  return model;
}

void write(const QString& path, const QByteArray& text) {
  QFile file(path);
  QVERIFY(file.open(QIODevice::WriteOnly));
  file.write(text);
}

}  // namespace

class TestWeightsEps : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  /// torchvision's file names: COCO_V1 were trained with eps 0, the others with torch's own.
  void namesOfFiles_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("zero");
    const auto row = [](const char* name, bool zero) {
      QTest::newRow(name) << QString::fromLatin1(name) << zero;
    };
    row("fasterrcnn_resnet50_fpn_coco-258fb6c6.pth", true);
    row("maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth", true);
    row("retinanet_resnet50_fpn_coco-eeacb38b.pth", true);
    row("fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth", false);
    row("maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth", false);
    row("retinanet_resnet50_fpn_v2_coco-5905b1c5.pth", false);
    row("resnet50-0676ba61.pth", false);
    row("mine.pth", false);
  }
  void namesOfFiles() {
    QFETCH(QString, name);
    QFETCH(bool, zero);
    ModelSection model = frozen("/somewhere/" + name.toStdString());
    QCOMPARE(weights_eps(model).has_value(), zero);
    QCOMPARE(weights_eps(model).value_or(0), 0.0);
    model.norm_eps = 1e-3;  // what the spec says counts
    QCOMPARE(weights_eps(model).value(), 1e-3);
    for (const char* norm : {"gn", "bn", "syncbn"}) {
      model = frozen(model.weights);
      model.norm = norm;
      QVERIFY(!weights_eps(model).has_value());
    }
  }

  void theRunOfACheckpointKnows() {
    const QTemporaryDir folder;
    QVERIFY(QDir(folder.path()).mkdir(QStringLiteral("checkpoints")));
    const QString spec = folder.filePath(QStringLiteral("spec.toml"));
    const ModelSection model =
        frozen(folder.filePath(QStringLiteral("checkpoints/step-1.ckpt")).toStdString());
    QVERIFY(!weights_eps(model).has_value());
    write(spec, "[model]\nnorm_eps = 0.0\n");
    QCOMPARE(weights_eps(model).value(), 0.0);
    write(spec, "[model]\nnorm = \"frozen\"\n");
    QVERIFY(!weights_eps(model).has_value());
  }
};

BATCHSCOPE_TEST(TestWeightsEps)
#include "tst_weights_eps.moc"
