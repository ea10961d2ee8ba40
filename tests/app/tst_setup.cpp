#include "tests/support/test_program.h"

#include <QDir>
#include <QFile>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QtTest>

#include <csignal>

// ./batchscope in a small tree of its own, with CMake, ninja and the others played by fake_tools:
// which stage does what, what the window is told, and what is left when two start at once or one is
// killed.
class TestSetup : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void init() {
    torch_ = true;
    folder_.reset(new QTemporaryDir);
    QVERIFY(folder_->isValid());
    const QString root = QStringLiteral(BATCHSCOPE_SOURCE_DIR);
    for (const char* name : {"engine",
                             "storage",
                             "models",
                             "optim",
                             "ui",
                             "app",
                             "resources",
                             "tests",
                             "cmake",
                             "fake",
                             "scripts",
                             "home",
                             "engine/contract"}) {
      QVERIFY(QDir(path()).mkpath(QString::fromUtf8(name)));
    }
    for (const char* name : {"batchscope", "CMakePresets.json", "CMakeLists.txt"}) {
      QVERIFY(QFile::copy(root + QLatin1Char('/') + QString::fromUtf8(name), path(name)));
    }
    for (const QString& name : QDir(root + QStringLiteral("/scripts")).entryList(QDir::Files)) {
      QVERIFY(QFile::copy(root + QStringLiteral("/scripts/") + name, path("scripts/") + name));
    }
    for (const char* tool : {"cmake", "ninja", "dpkg-query", "sudo", "id", "python3", "unzip"}) {
      QVERIFY(QFile::copy(root + QStringLiteral("/tests/app/fake_tools/tools.sh"),
                          path("fake/") + QString::fromUtf8(tool)));
    }
  }

  void cleanup() {
    remove("fake/hold");
    remove("fake/hold-download");
    QTRY_VERIFY_WITH_TIMEOUT(!builderLives(), 20000);
  }

  void theWindowComesFirst() {
    write("fake/hold");
    QCOMPARE(run({"resources/demo.bscope"}), QStringLiteral("batchscope resources/demo.bscope\n"));
    QVERIFY(!QFile::exists(path("build/dev/bin/batchscope-engine")));
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("building"), 20000);
    QTRY_COMPARE_WITH_TIMEOUT(told("done"), QStringLiteral("3"), 20000);
    QCOMPARE(told("total"), QStringLiteral("6"));
    QVERIFY(QFile::exists(told("log")));
    QVERIFY(builderLives());
    remove("fake/hold");
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
    QVERIFY(QFile::exists(path("build/dev/bin/batchscope-engine")));
    // The tests, which nobody asked for, were neither configured nor built.
    QVERIFY(!text("fake/calls").contains(QStringLiteral("TESTS=ON")));
    QVERIFY(!text("fake/builds").contains(QStringLiteral("all")));
  }

  void aSecondStartLeavesTheBuildAlone() {
    write("fake/hold");
    run({});
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("building"), 20000);
    const QString builder = told("pid");
    QCOMPARE(run({}), QStringLiteral("batchscope \n"));
    QCOMPARE(told("pid"), builder);
    remove("fake/hold");
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
    QCOMPARE(text("fake/builds").count(QStringLiteral("start batchscope-engine")), 1);
  }

  void twoStartsAtOnce() {
    QProcess one, two;
    start(one, {});
    start(two, {});
    QVERIFY(one.waitForFinished(60000) && two.waitForFinished(60000));
    QCOMPARE(one.exitCode(), 0);
    QCOMPARE(two.exitCode(), 0);
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
    QCOMPARE(text("fake/builds").count(QStringLiteral("start batchscope at")), 1);
    QCOMPARE(text("fake/builds").count(QStringLiteral("start batchscope-engine at")), 1);
  }

  void killedInTheMiddleItGoesOnWhereItWas() {
    write("fake/hold");
    run({});
    QTRY_COMPARE_WITH_TIMEOUT(told("done"), QStringLiteral("3"), 20000);
    const int builder = told("pid").toInt();
    QVERIFY(builder > 1 && ::kill(-builder, SIGKILL) == 0);
    QTRY_VERIFY_WITH_TIMEOUT(!builderLives(), 20000);
    remove("fake/hold");
    QCOMPARE(run({"setup", "--engine", "--background"}), QString());
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
    QVERIFY(text("fake/builds").contains(QStringLiteral("start batchscope-engine at 3")));
  }

  void aFailureIsNamedAndTriedAgain() {
    write("fake/broken");
    QCOMPARE(run({}), QStringLiteral("batchscope \n"));
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("failed"), 20000);
    QVERIFY2(told("message").contains(QStringLiteral("FAILED: models/rpn.o")),
             qPrintable(told("message")));
    QVERIFY(text("build/dev/engine-build.log").contains(QStringLiteral("error: \"broken\"")));
    QTRY_VERIFY_WITH_TIMEOUT(!builderLives(), 20000);
    remove("fake/broken");
    run({"setup", "--engine", "--background"});
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
  }

  void aTerminalThatWantsTheEngineTakesOver() {
    write("fake/hold");
    run({});
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("building"), 20000);
    const QString builder = told("pid");
    QProcess terminal;
    start(terminal, {"engine", "--version"});
    QTRY_VERIFY_WITH_TIMEOUT(told("pid") != builder && told("state") == QStringLiteral("building"),
                             20000);
    remove("fake/hold");
    QVERIFY(terminal.waitForFinished(60000));
    QCOMPARE(QString::fromUtf8(terminal.readAllStandardOutput()),
             QStringLiteral("batchscope-engine --version\n"));
    QCOMPARE(told("state"), QStringLiteral("ready"));
  }

  void anInterruptedTerminalSaysSo() {
    write("fake/hold");
    QProcess terminal;
    start(terminal, {"engine", "--version"});
    QTRY_COMPARE_WITH_TIMEOUT(told("done"), QStringLiteral("3"), 20000);
    QVERIFY(terminal.processId() > 0);  // 0 would be the test's own group
    ::kill(static_cast<pid_t>(terminal.processId()), SIGTERM);
    remove("fake/hold");
    QVERIFY(terminal.waitForFinished(60000));
    QVERIFY(terminal.exitCode() != 0);
    QCOMPARE(told("state"), QStringLiteral("stopped"));
  }

  void theDownloadIsSaid() {
    torch_ = false;
    write("fake/hold-download");
    run({});
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("fetching"), 20000);
    QTRY_VERIFY_WITH_TIMEOUT(told("done").toInt() >= 2, 20000);
    QVERIFY(told("total").toInt() > 100);
    remove("fake/hold-download");
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("ready"), 20000);
  }

  void withoutANetworkTheWindowOpens() {
    torch_ = false;
    write("fake/no-network");
    QCOMPARE(run({}), QStringLiteral("batchscope \n"));
    QTRY_COMPARE_WITH_TIMEOUT(told("state"), QStringLiteral("failed"), 20000);
    QVERIFY(told("message").contains(QStringLiteral("could not be fetched")));
  }

  void stagesBuildNoMoreThanTheyNeed() {
    run({"setup", "--window"});
    QCOMPARE(text("fake/builds"), QStringLiteral("start batchscope at 0\n"));
    QVERIFY(!text("fake/calls").contains(QStringLiteral("ENGINE=ON")));
    run({"setup", "--engine"});
    QVERIFY(text("fake/calls")
                .contains(QStringLiteral("GUI=ON -DBATCHSCOPE_ENGINE=ON -DBATCHSCOPE_TESTS=OFF")));
    QVERIFY(text("fake/builds").endsWith(QStringLiteral("start batchscope-engine at 0\n")));
    run({"setup"});
    QVERIFY(text("fake/builds").endsWith(QStringLiteral("start all at 0\n")));
    QVERIFY(!run({"setup", "--windows"}, 1).contains(QStringLiteral("start")));
  }

  void nothingToDoAsksNobody() {
    run({"engine", "--version"});
    remove("fake/calls");
    QCOMPARE(run({"engine", "doctor"}), QStringLiteral("batchscope-engine doctor\n"));
    QCOMPARE(text("fake/calls"), QString());
    write("models/rpn.cpp");
    QTRY_VERIFY_WITH_TIMEOUT(
        (run({"engine", "x"}), text("fake/calls").contains(QStringLiteral("ninja"))), 5000);
  }

  void withoutRootThePackagesAreNamed() {
    write("fake/missing", "libcairo2-dev\nlld\n");
    QCOMPARE(run({"engine", "x"}), QStringLiteral("batchscope-engine x\n"));
    QVERIFY2(errors_.contains(QStringLiteral(
                 "ask an administrator for:\nbatchscope:   apt-get install libcairo2-dev lld")),
             qPrintable(errors_));
  }

 private:
  QString path(const char* name = "") const { return folder_->filePath(QString::fromUtf8(name)); }
  void write(const char* name, const char* bytes = "") const {
    QFile file(path(name));
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write(bytes);
  }
  void remove(const char* name) const { QFile::remove(path(name)); }
  QString text(const char* name) const {
    QFile file(path(name));
    return file.open(QIODevice::ReadOnly) ? QString::fromUtf8(file.readAll()) : QString();
  }
  /// A value of engine-build.json as text.
  QString told(const char* key) const {
    const QString json = text("build/dev/engine-build.json");
    return QJsonDocument::fromJson(json.toUtf8())
        .object()[QString::fromUtf8(key)]
        .toVariant()
        .toString();
  }
  bool builderLives() const {
    const int pid = told("pid").toInt();
    return pid > 0 && ::kill(pid, 0) == 0 && !text("build/dev/engine-build.json").isEmpty() &&
           told("state") != QStringLiteral("ready") &&
           QFile::exists(QStringLiteral("/proc/%1/exe").arg(pid)) &&
           !QFile::symLinkTarget(QStringLiteral("/proc/%1/exe").arg(pid)).isEmpty();
  }
  void start(QProcess& process, const QStringList& words) const {
    QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
    environment.insert(QStringLiteral("PATH"),
                       path("fake") + QLatin1Char(':') + environment.value(QStringLiteral("PATH")));
    environment.insert(QStringLiteral("FAKE"), path("fake"));
    environment.insert(QStringLiteral("HOME"), path("home"));
    environment.insert(QStringLiteral("QT_QPA_PLATFORM"), QStringLiteral("offscreen"));
    environment.remove(QStringLiteral("XDG_CACHE_HOME"));
    environment.remove(QStringLiteral("BATCHSCOPE_TORCH_DIR"));
    if (torch_) {
      environment.insert(QStringLiteral("BATCHSCOPE_TORCH_DIR"), path("home"));
    }
    process.setProcessEnvironment(environment);
    process.setWorkingDirectory(path());
    process.setStandardInputFile(QProcess::nullDevice());
    process.start(path("batchscope"), QStringList{QStringLiteral("--cpu")} + words);
  }
  /// What ./batchscope printed; its other words are in errors_.
  QString run(const QStringList& words, int code = 0) {
    QProcess process;
    start(process, words);
    const bool ended = process.waitForFinished(60000);
    errors_ = QString::fromUtf8(process.readAllStandardError());
    if (!ended || process.exitCode() != code) {
      QTest::qFail(qPrintable(QStringLiteral("exit %1: %2").arg(process.exitCode()).arg(errors_)),
                   __FILE__,
                   __LINE__);
    }
    return QString::fromUtf8(process.readAllStandardOutput());
  }
  QString run(std::initializer_list<const char*> words, int code = 0) {
    QStringList list;
    for (const char* word : words) {
      list << QString::fromUtf8(word);
    }
    return run(list, code);
  }
  void start(QProcess& process, std::initializer_list<const char*> words) const {
    QStringList list;
    for (const char* word : words) {
      list << QString::fromUtf8(word);
    }
    start(process, list);
  }

  std::unique_ptr<QTemporaryDir> folder_;
  QString errors_;
  bool torch_ = true;
};

BATCHSCOPE_TEST(TestSetup)
#include "tst_setup.moc"
