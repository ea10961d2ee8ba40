#include "tests/app/engine_runner.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

using namespace batchscope;

namespace {

QString fixture(const char* name) {
  return QStringLiteral(BATCHSCOPE_FIXTURES "/models/weights/") + QString::fromLatin1(name);
}

QStringList weights(const QStringList& rest) {
  return QStringList{QStringLiteral("weights")} + rest;
}

}  // namespace

/// `weights`, and model.weights of a training, as a person uses them.
class TestWeightsProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void inspects() {
    const Result text = run_engine(weights({QStringLiteral("inspect"), fixture("trainer.pth")}));
    QCOMPARE(text.code, 0);
    QVERIFY2(text.out.contains(QStringLiteral("state_dict: model")), qPrintable(text.out));
    QVERIFY2(text.out.contains(QStringLiteral("args: argparse.Namespace")), qPrintable(text.out));
    QVERIFY2(text.out.contains(QStringLiteral("0.weight               float32   [4, 3, 3, 3]")),
             qPrintable(text.out));
    const Result json = run_engine(
        weights({QStringLiteral("inspect"), fixture("old_names.pth"), QStringLiteral("--json")}));
    const QJsonObject object = QJsonDocument::fromJson(json.out.toUtf8()).object();
    QCOMPARE(object[QStringLiteral("format")].toString(), QStringLiteral("pth (zip)"));
    const QJsonArray tensors = object[QStringLiteral("tensors")].toArray();
    QCOMPARE(tensors.size(), 7);
    QCOMPARE(tensors[2].toObject()[QStringLiteral("current_name")].toString(),
             QStringLiteral("rpn.head.conv.0.0.weight"));
    QCOMPARE(object[QStringLiteral("elements")].toInt(), 14);
  }

  void convertsThereAndBack() {
    const QString safe = folder_.filePath(QStringLiteral("w.safetensors"));
    const QString back = folder_.filePath(QStringLiteral("w.pth"));
    const Result there =
        run_engine(weights({QStringLiteral("convert"), fixture("state_dict_legacy.pth"), safe}));
    QVERIFY2(there.code == 0, qPrintable(there.err));
    QVERIFY2(there.out.contains(QStringLiteral("9 tensors")), qPrintable(there.out));
    QCOMPARE(run_engine(weights({QStringLiteral("convert"), safe, back})).code, 0);
    const Result a = run_engine(
        weights({QStringLiteral("inspect"), fixture("state_dict.pth"), QStringLiteral("--json")}));
    const Result b =
        run_engine(weights({QStringLiteral("inspect"), back, QStringLiteral("--json")}));
    const auto bytes = [](const Result& result) {
      return QJsonDocument::fromJson(result.out.toUtf8()).object()[QStringLiteral("bytes")].toInt();
    };
    QCOMPARE(bytes(a), bytes(b));
    QVERIFY(bytes(a) > 500);
  }

  void endsInOneSentence() {
    QFile file(folder_.filePath(QStringLiteral("cut.pth")));
    QVERIFY(file.open(QIODevice::WriteOnly));
    QFile whole(fixture("state_dict.pth"));
    QVERIFY(whole.open(QIODevice::ReadOnly));
    file.write(whole.read(1000));
    file.close();
    for (const char* command : {"inspect", "convert"}) {
      const Result result =
          run_engine(weights({QString::fromLatin1(command), file.fileName()}) +
                     (command[0] == 'c' ? QStringList{folder_.filePath(QStringLiteral("x.pth"))}
                                        : QStringList()));
      QCOMPARE(result.code, 3);
      QVERIFY2(result.err.trimmed().count(QLatin1Char('\n')) == 0 &&
                   result.err.contains(QStringLiteral("cut.pth")),
               qPrintable(result.err));
    }
    QCOMPARE(run_engine(weights({QStringLiteral("convert"),
                                 fixture("state_dict.pth"),
                                 QStringLiteral("/none/x.pth")}))
                 .code,
             4);
  }

  /// A checkpoint of one run is where another one starts; the predictor of other classes starts
  /// anew.
  void trainingStartsFromWeights() {
    const QStringList quick = {QStringLiteral("schedule.steps=2"),
                               QStringLiteral("eval.at_end=false"),
                               QStringLiteral("data.val_pictures=8"),
                               QStringLiteral("model.name=tiny_faster_rcnn")};
    const QString json = QStringLiteral("--json");
    Training first(quick);
    QCOMPARE(first.wait(), 0);
    const QStringList saved = QDir(first.folder + QStringLiteral("/checkpoints"))
                                  .entryList({QStringLiteral("step-*")}, QDir::Files);
    QVERIFY(!saved.isEmpty());
    const QString file = first.folder + QStringLiteral("/checkpoints/") + saved.last();
    const QString pth = folder_.filePath(QStringLiteral("model.pth"));
    QCOMPARE(run_engine(weights({QStringLiteral("convert"), file, pth})).code, 0);
    for (const QString& start : {file, pth}) {
      Training second(quick + QStringList{QStringLiteral("model.weights=") + start});
      QCOMPARE(second.wait(), 0);
      const auto events = second.events("weights");
      QCOMPARE(events.size(), std::size_t{1});
      QCOMPARE(events[0].args.at("missing"), std::string("0"));
      QVERIFY2(second.process.readAllStandardError().contains("Weights: "), "on the terminal");
    }
    // The same figures from the checkpoint and from the weight file alone.
    const QStringList set = {QStringLiteral("--set"), QStringLiteral("data.val_pictures=8")};
    const Result whole =
        run_engine(QStringList{QStringLiteral("eval"), QStringLiteral("--checkpoint"), file, json});
    const Result alone = run_engine(QStringList{QStringLiteral("eval"),
                                                QStringLiteral("--model"),
                                                QStringLiteral("tiny_faster_rcnn"),
                                                QStringLiteral("--weights"),
                                                pth,
                                                json} +
                                    set);
    const auto figures = [](const Result& result) {
      QJsonObject object = QJsonDocument::fromJson(result.out.toUtf8()).object();
      object.remove(QStringLiteral("seconds"));
      return object;
    };
    QVERIFY2(figures(whole).size() == 13, qPrintable(whole.err));
    QCOMPARE(figures(alone), figures(whole));
    Training refused(quick + QStringList{QStringLiteral("model.weights=") + fixture("views.pth")});
    QCOMPARE(refused.wait(), 3);
  }

 private:
  QTemporaryDir folder_;
};

QTEST_GUILESS_MAIN(TestWeightsProcess)
#include "tst_weights_process.moc"
