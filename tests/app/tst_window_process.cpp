// The window's program beside a training, killed at any time: the training never notices.
#include "storage/run_reader.h"
#include "tests/app/engine_runner.h"
#include "tests/support/test_program.h"

#include <QProcess>
#include <QRandomGenerator>
#include <QTemporaryDir>
#include <QtTest>

#include <memory>

using namespace batchscope;

namespace {

QString window_program() {
  return QStringLiteral(BATCHSCOPE_BIN_DIR "/batchscope");
}

std::unique_ptr<QProcess> open_window(const Training& training, const QStringList& more = {}) {
  auto window = std::make_unique<QProcess>();
  QProcessEnvironment environment = QProcessEnvironment::systemEnvironment();
  environment.insert(QStringLiteral("QT_QPA_PLATFORM"), QStringLiteral("offscreen"));
  environment.insert(QStringLiteral("XDG_CONFIG_HOME"), training.library()->path());
  window->setProcessEnvironment(environment);
  window->start(window_program(),
                QStringList{training.folder,
                            QStringLiteral("--library"),
                            training.library()->path(),
                            QStringLiteral("--engine"),
                            engine()} +
                    more);
  return window;
}

}  // namespace

class TestWindowProcess : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void killedAtRandomTimes() {
    Training training({QStringLiteral("schedule.steps=200000")});
    QVERIFY(training.reach(20));
    for (int i = 0; i < 5; ++i) {
      const auto window = open_window(training);
      QVERIFY(window->waitForStarted(kPatience));
      // From before its first paint to well after it has attached itself.
      QTest::qWait(static_cast<int>(QRandomGenerator::global()->bounded(50, 1500)));
      QCOMPARE(window->state(), QProcess::Running);
      window->kill();
      QVERIFY(window->waitForFinished(kPatience));
      QVERIFY(training.reach(training.rows() + 5));
      QCOMPARE(training.summary().state, contract::RunState::kRunning);
    }
    // Two windows on one run, one of them killed: the other and the training go on.
    const auto first = open_window(training), second = open_window(training);
    QVERIFY(first->waitForStarted(kPatience) && second->waitForStarted(kPatience));
    QTest::qWait(1500);
    first->kill();
    QVERIFY(first->waitForFinished(kPatience));
    QCOMPARE(training.control(words("lr 0.01")).code, 0);
    QVERIFY(training.reach(training.rows() + 5));
    QCOMPARE(second->state(), QProcess::Running);
    QCOMPARE(training.control(words("stop")).code, 0);
    QCOMPARE(training.wait(), 0);
    QTest::qWait(300);
    QCOMPARE(second->state(), QProcess::Running);
    second->terminate();
    QVERIFY(second->waitForFinished(kPatience));

    // Nothing is missing in the record, and a new window shows it.
    storage::RunReader reader(training.path());
    storage::RowAxis axis;
    QCOMPARE(reader.read_axis(0, axis), training.rows());
    for (std::size_t i = 0; i < axis.step.size(); ++i) {
      QCOMPARE(axis.step[i], static_cast<std::int64_t>(i) + 1);
    }
    const QString picture = training.library()->filePath(QStringLiteral("after.png"));
    const auto after = open_window(training, {QStringLiteral("--screenshot"), picture});
    QVERIFY(after->waitForFinished(kPatience));
    QCOMPARE(after->exitCode(), 0);
    QVERIFY(QFileInfo(picture).size() > 10000);
  }
};

BATCHSCOPE_TEST(TestWindowProcess)
#include "tst_window_process.moc"
