#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

using namespace batchscope;

/// `batchscope-engine optim replay` as a script sees it.
class TestReplayProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void playsAFile() {
    const Result done = play(QStringLiteral("[optim]\nname = \"lamb\"\n"), input());
    QVERIFY2(done.code == 0, qPrintable(done.err));
    QVERIFY2(done.out.contains(QStringLiteral("200 steps of 10 tensors in 5 modules, 1 skipped")),
             qPrintable(done.out));
    QFile out(path(QStringLiteral("out")));
    QVERIFY(out.open(QIODevice::ReadOnly));
    const QByteArray bytes = out.readAll();
    for (const char* name : {"param/200/aux.weight", "trust/1/neck.fpn.bias", "mu/7", "d/200"}) {
      QVERIFY2(bytes.contains(name), name);
    }
  }

  void refuses_data() {
    QTest::addColumn<QString>("spec");
    QTest::addColumn<bool>("good");
    QTest::addColumn<int>("code");
    QTest::addColumn<QString>("said");
    const auto row = [](const char* name, const char* spec, bool good, int code, const char* said) {
      QTest::newRow(name) << QString::fromUtf8(spec) << good << code << QString::fromUtf8(said);
    };
    row("unknown key", "[optim]\nnam = \"lamb\"\n", true, 2, "spec.toml, line 2, column 1");
    row("wrong type", "[optim]\nlr = \"much\"\n", true, 2, "optim.lr");
    row("out of range", "[optim]\n\nbetas = [0.9, 1.5]\n", true, 2, "line 3");
    row("contradiction",
        "[optim]\nmomentum = 0.0\nnesterov = true\n",
        true,
        2,
        "optim.nesterov needs momentum > 0 and dampening 0 (spec.toml, line 3");
    row("found when played",
        "[optim.agvm]\nenabled = true\nstart = 2\n",
        true,
        2,
        "(spec.toml, line 3, column 9)");
    row("no TOML", "[optim\n", true, 2, "not valid TOML");
    row("not a tensor file", "", false, 3, "is empty");
  }
  void refuses() {
    QFETCH(QString, spec);
    QFETCH(bool, good);
    QFETCH(int, code);
    QFETCH(QString, said);
    const Result done = play(spec, good ? input() : path(QStringLiteral("spec.toml")));
    QCOMPARE(done.code, code);
    QVERIFY2(done.err.contains(said), qPrintable(done.err));
    QCOMPARE(done.err.trimmed().count(QLatin1Char('\n')), 0);
    QVERIFY(!QFile::exists(path(QStringLiteral("out"))));
  }

  void saysWhatCannotBeWritten() {
    const Result done = play(QString(), input(), QStringLiteral("no/such/folder/out"));
    QCOMPARE(done.code, 4);
    QVERIFY2(done.err.contains(QStringLiteral("Could not create")), qPrintable(done.err));
  }

  void cleanup() { QFile::remove(path(QStringLiteral("out"))); }

 private:
  QString path(const QString& name) const { return folder_.filePath(name); }
  static QString input() {
    return QString::fromLatin1(BATCHSCOPE_FIXTURES) +
           QStringLiteral("/optim/replay/input.safetensors");
  }
  Result play(const QString& spec, const QString& in, const QString& out = QStringLiteral("out")) {
    QFile file(path(QStringLiteral("spec.toml")));
    if (file.open(QIODevice::WriteOnly)) {
      file.write(spec.toUtf8());
      file.close();
    }
    return run_engine({QStringLiteral("optim"),
                       QStringLiteral("replay"),
                       QStringLiteral("--spec"),
                       file.fileName(),
                       QStringLiteral("--tensors"),
                       in,
                       QStringLiteral("--out"),
                       path(out)});
  }

  QTemporaryDir folder_;
};

BATCHSCOPE_TEST(TestReplayProcess)
#include "tst_replay_process.moc"
