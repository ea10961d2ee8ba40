#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <QJsonDocument>
#include <QJsonObject>

#include <filesystem>

using namespace batchscope;

namespace {

constexpr const char* kTruth = R"({"images": [{"id": 1, "height": 6, "width": 8}],
 "annotations": [{"id": 5, "image_id": 1, "category_id": 3, "bbox": [1, 1, 2, 3], "area": 6,
   "segmentation": {"size": [6, 8], "counts": "7330m0"}}],
 "categories": [{"id": 3, "name": "cat"}]})";
constexpr const char* kResults = R"([{"image_id": 1, "category_id": 3, "score": 0.5,
  "bbox": [1, 1, 2, 3], "segmentation": {"size": [6, 8], "counts": "7330m0"}}])";

}  // namespace

/// Files that commands write, and what a command says for another one that it runs.
class TestOutputProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void initTestCase() {
    write("gt.json", kTruth);
    write("dt.json", kResults);
    write("bad.json", "{");
  }

  void replacesAFileAsAWhole() {
    write("out.json", "what was there");
    QVERIFY(QFile::link(path("out.json"), path("link.json")));
    const Result done = metrics({QStringLiteral("--json"), path("link.json")});
    QVERIFY2(done.code == 0, qPrintable(done.err));
    QCOMPARE(QJsonDocument::fromJson(read("out.json")).object().size(), qsizetype{12});
    QVERIFY(QFileInfo(path("link.json")).isSymLink());
    QVERIFY(!QFile::exists(path("out.json.part")));
  }

  void saysWhyAFileIsNotWritten() {
    const Result full = metrics({QStringLiteral("--json"), QStringLiteral("/dev/full")});
    QCOMPARE(full.code, 4);
    QVERIFY2(full.err.contains(QStringLiteral("'/dev/full': No space left on device.")),
             qPrintable(full.err));
    const Result nowhere = metrics({QStringLiteral("--json"), path("none/out.json")});
    QCOMPARE(nowhere.code, 4);
    QVERIFY2(nowhere.err.contains(path("none/out.json") +
                                  QStringLiteral("': No such file or directory.")),
             qPrintable(nowhere.err));
    const Result curves = metrics({QStringLiteral("--curves"), path("none/curves.csv")});
    QCOMPARE(curves.code, 4);
    QVERIFY2(curves.err.contains(QStringLiteral("No such file or directory.")),
             qPrintable(curves.err));
    const Result device = metrics({QStringLiteral("--json"), QStringLiteral("/dev/null")});
    QCOMPARE(device.code, 0);
    QVERIFY(!QFileInfo(QStringLiteral("/dev/null")).isFile());
  }

  /// A file's name may be any bytes.
  void namesNeedNotBeUnicode() {
    QTemporaryDir folder;
    const std::filesystem::path file = folder.path().toStdString() + "/caf\xe9.pth";
    std::filesystem::copy(BATCHSCOPE_FIXTURES "/models/weights/state_dict.pth", file);
    QProcess shell;
    shell.setWorkingDirectory(folder.path());
    shell.start(QStringLiteral("sh"),
                {QStringLiteral("-c"),
                 QStringLiteral("exec '%1' weights inspect *.pth --json").arg(engine())});
    QVERIFY(shell.waitForFinished(kPatience));
    QCOMPARE(shell.exitCode(), 0);
    QCOMPARE(QJsonDocument::fromJson(shell.readAllStandardOutput())
                 .object()[QStringLiteral("file")]
                 .toString(),
             QStringLiteral("caf\uFFFD.pth"));
    std::filesystem::remove(file);  // Qt could not name it
  }

  void metricsWarnOfAreasOfBoxes() {
    const Result masks = metrics({QStringLiteral("--json")}, "segm");
    QCOMPARE(masks.code, 0);
    QVERIFY2(masks.err.startsWith(QStringLiteral("warning: the first entry of '")),
             qPrintable(masks.err));
    QVERIFY(metrics({QStringLiteral("--json")}).err.isEmpty());
  }

  void benchPassesOnWhatTheCommandSays() {
    const Result result = run_engine({QStringLiteral("bench"),
                                      QStringLiteral("eval"),
                                      QStringLiteral("--gt"),
                                      path("bad.json"),
                                      QStringLiteral("--dt"),
                                      path("dt.json")});
    const Result own = metrics({}, "bbox", "bad.json");
    QCOMPARE(own.code, 3);
    QCOMPARE(result.code, own.code);
    QCOMPARE(result.err, own.err);
    QVERIFY2(result.err.contains(path("bad.json")), qPrintable(result.err));
  }

 private:
  QString path(const char* name) const { return folder_.filePath(QString::fromLatin1(name)); }
  void write(const char* name, const QByteArray& bytes) const {
    QFile file(path(name));
    QVERIFY(file.open(QIODevice::WriteOnly));
    QCOMPARE(file.write(bytes), qint64{bytes.size()});
  }
  QByteArray read(const char* name) const {
    QFile file(path(name));
    return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
  }
  Result metrics(const QStringList& more,
                 const char* type = "bbox",
                 const char* truth = "gt.json") const {
    return run_engine(QStringList{QStringLiteral("metrics"),
                                  QStringLiteral("--type"),
                                  QString::fromLatin1(type),
                                  QStringLiteral("--gt"),
                                  path(truth),
                                  QStringLiteral("--dt"),
                                  path("dt.json")} +
                      more);
  }
  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestOutputProcess)
#include "tst_output_process.moc"
