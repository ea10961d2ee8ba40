#include "tests/app/engine_runner.h"
#include "tests/support/sparse_weights.h"
#include "tests/support/test_program.h"

#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>

using namespace batchscope;

namespace {

QString fixture(const char* name) {
  return QStringLiteral(BATCHSCOPE_FIXTURES "/models/weights/") + QString::fromLatin1(name);
}

bool one_sentence(const Result& result) {
  return !result.err.trimmed().isEmpty() && result.err.trimmed().count(QLatin1Char('\n')) == 0;
}

void write(const QString& path, const QByteArray& bytes) {
  QFile file(path);
  QVERIFY(file.open(QIODevice::WriteOnly));
  QCOMPARE(file.write(bytes), bytes.size());
}

QByteArray bytes_of(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

/// Bytes that this process, and those that it has waited for, have read; -1 where /proc does not
/// tell.
qint64 bytes_read() {
  const QList<QByteArray> words =
      bytes_of(QStringLiteral("/proc/self/io")).split('\n')[0].split(' ');
  return words.size() == 2 && words[0] == "rchar:" ? words[1].toLongLong() : -1;
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
    const QString cut = folder_.filePath(QStringLiteral("cut.pth"));
    write(cut, bytes_of(fixture("state_dict.pth")).left(1000));
    for (const char* command : {"inspect", "convert"}) {
      const Result result =
          run_engine(weights({QString::fromLatin1(command), cut}) +
                     (command[0] == 'c' ? QStringList{folder_.filePath(QStringLiteral("x.pth"))}
                                        : QStringList()));
      QCOMPARE(result.code, 3);
      // By the path that was given, and not by a part of it.
      QVERIFY2(one_sentence(result) && result.err.contains(cut), qPrintable(result.err));
    }
    QCOMPARE(run_engine(weights({QStringLiteral("convert"),
                                 fixture("state_dict.pth"),
                                 QStringLiteral("/none/x.pth")}))
                 .code,
             4);
    const Result usage = run_engine(weights(
        {QStringLiteral("convert"), fixture("state_dict.pth"), QStringLiteral("/none/x.onnx")}));
    QCOMPARE(usage.code, 2);
    QVERIFY2(one_sentence(usage) && usage.err.contains(QStringLiteral(".onnx")),
             qPrintable(usage.err));
  }

  void saysWhatIsNoWeightFile_data() {
    QTest::addColumn<QByteArray>("bytes");
    QTest::addColumn<QString>("sentence");
    QTest::newRow("empty") << QByteArray() << QStringLiteral("is empty.");
    QTest::newRow("page") << QByteArray("<!DOCTYPE html>\n<html>")
                          << QStringLiteral("it is a web page, not weights.");
    QTest::newRow("pointer") << QByteArray("version https://git-lfs.github.com/spec/v1\noid …")
                             << QStringLiteral("it is a Git LFS pointer");
  }
  void saysWhatIsNoWeightFile() {
    QFETCH(QByteArray, bytes);
    QFETCH(QString, sentence);
    const QString file = folder_.filePath(QStringLiteral("other.pth"));
    write(file, bytes);
    const Result result = run_engine(weights({QStringLiteral("inspect"), file}));
    QCOMPARE(result.code, 3);
    QVERIFY2(one_sentence(result) && result.err.contains(sentence), qPrintable(result.err));
  }

  /// 1 GiB of tensors that nobody wrote: were they read, this would be seen.
  void inspectsALargeFileByItsIndex_data() {
    QTest::addColumn<QString>("name");
    QTest::newRow("safetensors") << QStringLiteral("large.safetensors");
    QTest::newRow("pth") << QStringLiteral("large.pth");
  }
  void inspectsALargeFileByItsIndex() {
    QFETCH(QString, name);
    constexpr qint64 kGiB = 1 << 30;
    const auto [begin, end] = name.endsWith(QLatin1String(".pth"))
                                  ? testing::pth_around(kGiB)
                                  : testing::safetensors_around(kGiB);
    QFile file(folder_.filePath(name));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(begin.data(), static_cast<qint64>(begin.size()));
    QVERIFY(file.resize(static_cast<qint64>(begin.size()) + kGiB));
    QVERIFY(file.seek(file.size()));
    file.write(end.data(), static_cast<qint64>(end.size()));
    file.close();
    const qint64 before = bytes_read();
    if (before < 0) {
      QSKIP("/proc/self/io does not tell what was read");
    }
    const Result result =
        run_engine(weights({QStringLiteral("inspect"), file.fileName(), QStringLiteral("--json")}));
    const qint64 read = bytes_read() - before;
    file.remove();
    QVERIFY2(result.code == 0, qPrintable(result.err));
    QCOMPARE(
        QJsonDocument::fromJson(result.out.toUtf8()).object()[QStringLiteral("bytes")].toInteger(),
        kGiB);
    QVERIFY2(read < 16 << 20, qPrintable(QString::number(read)));
  }

  void comparesWithAModel() {
    const QString model = QStringLiteral("tiny_faster_rcnn");
    const QStringList of_model = {QStringLiteral("--model"), model};
    const QString file = folder_.filePath(QStringLiteral("part.safetensors"));
    const QByteArray header = R"({"backbone.fpn.inner_blocks.0.0.bias":)"
                              R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                              R"("rpn.head.cls_logits.bias":)"
                              R"({"dtype":"F32","shape":[3],"data_offsets":[4,16]},)"
                              R"("of.another.model":)"
                              R"({"dtype":"F32","shape":[1],"data_offsets":[16,20]}})";
    QByteArray length(8, '\0');
    length[0] = static_cast<char>(header.size());
    write(file, length + header + QByteArray(20, '\0'));
    const Result json =
        run_engine(weights({QStringLiteral("inspect"), file, QStringLiteral("--json")}) + of_model);
    QVERIFY2(json.code == 0, qPrintable(json.err));
    const QJsonObject fit =
        QJsonDocument::fromJson(json.out.toUtf8()).object()[QStringLiteral("fit")].toObject();
    QCOMPARE(fit[QStringLiteral("model")].toString(), model);
    QCOMPARE(fit[QStringLiteral("complete")].toBool(), false);
    QCOMPARE(fit[QStringLiteral("matched")].toArray(),
             QJsonArray{QStringLiteral("rpn.head.cls_logits.bias")});
    QCOMPARE(fit[QStringLiteral("unexpected")].toArray(),
             QJsonArray{QStringLiteral("of.another.model")});
    const QJsonArray wrong = fit[QStringLiteral("wrong_shape")].toArray();
    QCOMPARE(wrong.size(), 1);
    QCOMPARE(wrong[0][QStringLiteral("in_file")].toArray(), QJsonArray{1});
    QVERIFY(fit[QStringLiteral("missing")].toArray().contains(
        QStringLiteral("rpn.head.bbox_pred.bias")));
    const Result text = run_engine(weights({QStringLiteral("inspect"), file}) + of_model);
    QVERIFY2(
        text.out.contains(QStringLiteral("unexpected   of.another.model")) &&
            text.out.contains(QStringLiteral("missing      rpn.head.bbox_pred.bias")) &&
            text.out.contains(QStringLiteral("wrong shape  backbone.fpn.inner_blocks.0.0.bias")) &&
            !text.out.contains(QStringLiteral("matched  ")),
        qPrintable(text.out));
    const Result all =
        run_engine(weights({QStringLiteral("inspect"), file, QStringLiteral("--all")}) + of_model);
    QVERIFY2(all.out.contains(QStringLiteral("matched      rpn.head.cls_logits.bias")),
             qPrintable(all.out));
    QCOMPARE(run_engine(weights({QStringLiteral("inspect"), file, QStringLiteral("--all")})).code,
             2);
    QCOMPARE(run_engine(weights({QStringLiteral("inspect"),
                                 file,
                                 QStringLiteral("--model"),
                                 QStringLiteral("no_such_model")}))
                 .code,
             2);
  }

  /// A checkpoint of one run is where another one starts; the predictor of other classes starts
  /// anew.
  void trainingStartsFromWeights() {
    const QStringList quick = {QStringLiteral("schedule.steps=2"),
                               QStringLiteral("eval.at_end=false"),
                               QStringLiteral("batch.micro=2"),
                               QStringLiteral("data.size=64"),
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
    const QStringList set = words("--set data.val_pictures=8 --set data.size=64");
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
    damagedCheckpoint(first, file);
  }

  /// Three layers of the body train and the frozen norms have eps 0, because of model.weights; that
  /// holds for what goes on from the run, too, wherever the file is then.
  void aRunThatBeganWithTorchvisionsWeightsGoesOn() {
    const QStringList settings = words(
        "model.name=fasterrcnn_resnet50_fpn model.backbone=resnet18 model.norm=frozen "
        "model.box.pool_size=2 data.size=64 data.max_object=40 data.min_size=64 "
        "data.train_pictures=8 batch.micro=1 eval.at_end=false eval.probes=0 optim.lr=0.001");
    const auto steps = [](int count) {
      return QStringList{QStringLiteral("schedule.steps=%1").arg(count)};
    };
    Training made(settings + steps(1));
    QCOMPARE(made.wait(), 0);
    const QString file = folder_.filePath(QStringLiteral("fasterrcnn_resnet50_fpn_coco-1.pth"));
    QCOMPARE(run_engine(
                 weights({QStringLiteral("convert"),
                          made.folder + QStringLiteral("/checkpoints/step-00000001-segment-0.ckpt"),
                          file}))
                 .code,
             0);
    Training first(settings + steps(10000) + QStringList{QStringLiteral("model.weights=") + file});
    QVERIFY(first.reach(1));
    QVERIFY(first.interrupt());
    QCOMPARE(first.wait(), 130);
    const std::int64_t begun = first.summary().step;
    QVERIFY(bytes_of(first.folder + QStringLiteral("/spec.toml")).contains("norm_eps = 0.0"));
    QVERIFY(QFile::remove(file));
    Training rest(first.library(), {}, {QStringLiteral("--resume"), first.id});
    QVERIFY(rest.reach(begun + 1));
    QVERIFY(rest.interrupt());
    QCOMPARE(rest.wait(), 130);
    QVERIFY(rest.summary().step > begun);
    QVERIFY(!bytes_of(made.folder + QStringLiteral("/spec.toml")).contains("norm_eps"));
  }

 private:
  /// A checkpoint that is cut or changed ends eval and --resume in one sentence.
  static void damagedCheckpoint(const Training& run, const QString& file) {
    const QByteArray whole = bytes_of(file);
    QByteArray changed = whole;
    changed[changed.size() / 2] = static_cast<char>(changed[changed.size() / 2] ^ 1);
    for (const QByteArray& damaged : {whole.left(whole.size() / 2), whole.left(100), changed}) {
      write(file, damaged);
      const Result result =
          run_engine({QStringLiteral("eval"), QStringLiteral("--checkpoint"), file});
      QCOMPARE(result.code, 3);
      QVERIFY2(one_sentence(result) && result.err.contains(QFileInfo(file).fileName()),
               qPrintable(result.err));
    }
    Training rest(run.library(), {}, {QStringLiteral("--resume"), run.id});
    QCOMPARE(rest.wait(), 3);
    QVERIFY(rest.process.readAllStandardError().contains("damaged"));
    write(file, whole);
  }

  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestWeightsProcess)
#include "tst_weights_process.moc"
