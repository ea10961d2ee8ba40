// The window while the engine is being built by another process.
#include "tests/support/test_program.h"
#include "tests/ui/fake_build.h"
#include "tests/ui/views_fixture.h"
#include "ui/session/playhead.h"
#include "ui/views/engine_build_card.h"
#include "ui/views/fan_dialog.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/launch_dialog.h"
#include "ui/views/log_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_view.h"
#include "ui/views/spec_form_view.h"
#include "ui/views/theme.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;
using State = session::EngineBuild::State;

namespace {

constexpr int kPatienceMs = 30000;
const auto kHalf = QStringLiteral("The engine is being built: 165 of 330 steps.");

void click(QWidget* widget) {
  QTest::mouseClick(widget, Qt::LeftButton);
}

/// Calls `act` with the dialog of this class once it has come up in an exec().
template <class Dialog>
void whenOpened(const std::function<void(Dialog*)>& act) {
  auto* timer = new QTimer(qApp);
  QObject::connect(timer, &QTimer::timeout, timer, [timer, act] {
    if (auto* dialog = qobject_cast<Dialog*>(QApplication::activeModalWidget())) {
      timer->stop();
      timer->deleteLater();
      act(dialog);
      dialog->reject();
    }
  });
  timer->start(20);
}

/// For looking at them; not a test.
void takePictures(QWidget* widget, const QString& name) {
  const QString folder = qEnvironmentVariable("BATCHSCOPE_PICTURES");
  if (folder.isEmpty()) {
    return;
  }
  for (const ThemeMode mode : {ThemeMode::kDark, ThemeMode::kLight}) {
    Theme::instance().apply(mode);
    QTest::qWait(200);
    widget->grab().save(
        QStringLiteral("%1/%2_%3.png")
            .arg(folder,
                 name,
                 mode == ThemeMode::kDark ? QStringLiteral("dark") : QStringLiteral("light")));
  }
}

QString textOfChecks(const LaunchDialog& dialog) {
  QStringList texts;
  for (const QLabel* label : dialog.findChildren<QLabel*>()) {
    if (label->isVisible()) {
      texts.append(label->text());
    }
  }
  return texts.join(QLatin1Char('\n'));
}

}  // namespace

class TestViewsBuild : public QObject {
  Q_OBJECT
 private:
  QTemporaryDir home_;
  QString library_;
  std::unique_ptr<test::SampleRun> run_;
  std::unique_ptr<QTemporaryDir> folder_;
  std::unique_ptr<test::FakeBuild> build_;

  std::unique_ptr<MainWindow> makeWindow() {
    WindowOptions options{library_, {}, false, build_->file()};
    auto window = std::make_unique<MainWindow>(options);
    window->engineBuild()->setPace(20, 20);
    window->resize(1300, 900);
    window->show();
    return window;
  }
  static EngineBuildCard* cardOf(const std::unique_ptr<MainWindow>& window) {
    return window->welcomePage()->buildCard();
  }

 private Q_SLOTS:
  void initTestCase() {
    QSettings::setPath(
        QSettings::IniFormat, QSettings::UserScope, home_.filePath(QStringLiteral("config")));
    Theme::instance().apply(ThemeMode::kLight);
    library_ = home_.filePath(QStringLiteral("library"));
    run_ = std::make_unique<test::SampleRun>(library_.toStdString(), "aaaaaaaaaaaa", "stopped run");
    run_->write();
    run_->finish(contract::RunState::kStopped);
  }
  void cleanupTestCase() { run_.reset(); }
  void init() {
    openSettings()->clear();
    folder_ = std::make_unique<QTemporaryDir>();
    build_ = std::make_unique<test::FakeBuild>(folder_->path());
  }
  void cleanup() {
    build_.reset();
    folder_.reset();
  }

  void nothingIsShownWithoutABuild() {
    {
      const auto window = makeWindow();
      QVERIFY(!cardOf(window)->isVisible());
    }
    QVERIFY(build_->link());
    QVERIFY(build_->say("ready"));
    const auto window = makeWindow();
    QVERIFY(!cardOf(window)->isVisible());
    QCOMPARE(window->launcher()->enginePath(), build_->engine());
  }

  void theWindowIsUsableMeanwhile() {
    QVERIFY(build_->say("fetching", 140, 560));
    const auto window = makeWindow();
    EngineBuildCard* card = cardOf(window);
    QVERIFY(card->isVisible());
    QCOMPARE(card->text(), QStringLiteral("LibTorch is being fetched: 140 of 560 MB."));
    QVERIFY(card->progressBar()->isVisible());
    QCOMPARE(card->progressBar()->value(), card->progressBar()->maximum() / 4);
    QVERIFY(!card->buildButton()->isVisible());
    QVERIFY(build_->say("configuring"));
    QTRY_COMPARE_WITH_TIMEOUT(card->progressBar()->maximum(), 0, kPatienceMs);  // busy
    takePictures(window.get(), QStringLiteral("welcome_configuring"));
    QVERIFY(build_->say("building", 165, 330));
    QTRY_COMPARE_WITH_TIMEOUT(card->text(), kHalf, kPatienceMs);
    QCOMPARE(card->accessibleName(), kHalf);
    takePictures(window.get(), QStringLiteral("welcome_building"));
    // The demo run opens and plays.
    click(window->welcomePage()->demoButton());
    session::RunSession* run = window->currentRun();
    QVERIFY(run != nullptr);
    QTRY_COMPARE_WITH_TIMEOUT(run->state(), session::RunSession::State::kStored, kPatienceMs);
    QTRY_VERIFY_WITH_TIMEOUT(run->playhead()->duration() > 0, kPatienceMs);
    ReplayBar* bar = window->runView()->replayBar();
    QTRY_VERIFY_WITH_TIMEOUT(bar->isEnabled(), kPatienceMs);
    bar->timeline()->setValue(0);
    const double before = run->playhead()->position();
    bar->togglePlay();
    QTRY_VERIFY_WITH_TIMEOUT(run->playhead()->position() > before, kPatienceMs);
    QVERIFY(window->addToCompare(run_->path()));
    window->actions()["close_run"]->trigger();
    QCOMPARE(card->text(), kHalf);
  }

  void becomesReadyByItself() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    EngineBuildCard* card = cardOf(window);
    QCOMPARE(card->text(), kHalf);
    QVERIFY(window->launcher()->enginePath().isEmpty());
    QVERIFY(build_->link());
    QVERIFY(build_->say("ready", 330, 330));
    QTRY_COMPARE_WITH_TIMEOUT(card->text(), QStringLiteral("The engine is ready."), kPatienceMs);
    QVERIFY(card->isVisible());
    takePictures(window.get(), QStringLiteral("welcome_ready"));
    QVERIFY(!card->progressBar()->isVisible() && !card->logButton()->isVisible());
    QVERIFY(!card->buildButton()->isVisible());
    QCOMPARE(window->launcher()->enginePath(), build_->engine());
    // It is said once.
    window->openRun(run_->path());
    window->actions()["close_run"]->trigger();
    QVERIFY(window->welcomePage()->isVisible() && !card->isVisible());
  }

  void failureHasItsReasonAndItsLog() {
    QVERIFY(build_->addToLog(QStringLiteral("compiling optim")));
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    EngineBuildCard* card = cardOf(window);
    QVERIFY(build_->say("failed", 165, 330, QStringLiteral("the disk is <b>full</b>")));
    QTRY_COMPARE_WITH_TIMEOUT(card->text(),
                              QStringLiteral("The engine's build failed: the disk is <b>full</b>."),
                              kPatienceMs);
    QVERIFY(!card->progressBar()->isVisible());
    QVERIFY(card->buildButton()->isVisible() && card->buildButton()->isEnabled());
    takePictures(window.get(), QStringLiteral("welcome_failed"));
    click(card->logButton());
    QPointer<LogDialog> log = card->logDialog();
    QVERIFY(log && log->isVisible());
    QVERIFY(log->text()->toPlainText().contains(QStringLiteral("compiling optim")));
    for (int i = 0; i < 200; ++i) {
      QVERIFY(build_->addToLog(QStringLiteral("line %1").arg(i)));
    }
    QTRY_VERIFY_WITH_TIMEOUT(log->text()->toPlainText().contains(QStringLiteral("line 199")),
                             kPatienceMs);
    QScrollBar* bar = log->text()->verticalScrollBar();
    QVERIFY(bar->maximum() > 0);
    QTRY_COMPARE_WITH_TIMEOUT(bar->value(), bar->maximum(), kPatienceMs);
    // Who reads further up is left there.
    bar->setValue(0);
    QVERIFY(build_->addToLog(QStringLiteral("the last line")));
    QTRY_VERIFY_WITH_TIMEOUT(log->text()->toPlainText().contains(QStringLiteral("the last line")),
                             kPatienceMs);
    QCOMPARE(bar->value(), 0);
    takePictures(log, QStringLiteral("log"));
    click(log->copyButton());
    QVERIFY(QApplication::clipboard()->text().endsWith(QStringLiteral("the last line\n")));
    click(card->logButton());  // no second one
    QCOMPARE(card->findChildren<LogDialog*>().size(), 1);
    QTest::keyClick(log, Qt::Key_Escape);
    QTRY_VERIFY_WITH_TIMEOUT(log.isNull(), kPatienceMs);
  }

  void killedAndBuiltAgain() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    EngineBuildCard* card = cardOf(window);
    build_->kill();
    QTRY_COMPARE_WITH_TIMEOUT(
        card->text(),
        QStringLiteral("The engine's build was interrupted at 165 of 330 steps."),
        kPatienceMs);
    QVERIFY(window->launcher()->engineFault().contains(QStringLiteral("interrupted")));
    // A double click is a click, and then these.
    click(card->buildButton());
    QTest::mouseDClick(card->buildButton(), Qt::LeftButton);
    QTest::mouseRelease(card->buildButton(), Qt::LeftButton);
    QVERIFY(!card->buildButton()->isVisible());
    QTRY_COMPARE_WITH_TIMEOUT(
        card->text(), QStringLiteral("The engine is being built: 5 of 330 steps."), kPatienceMs);
    build_->letFinish();
    QTRY_COMPARE_WITH_TIMEOUT(card->text(), QStringLiteral("The engine is ready."), kPatienceMs);
    QCOMPARE(build_->timesStartedAgain(), 1);
  }

  void theKeyboardReachesIt() {
    QVERIFY(build_->addToLog(QStringLiteral("a line")));
    QVERIFY(build_->say("stopped", 0, 0, QStringLiteral("it was asked to.")));
    const auto window = makeWindow();
    EngineBuildCard* card = cardOf(window);
    window->activateWindow();
    card->logButton()->setFocus();
    QTest::keyClick(card->logButton(), Qt::Key_Tab);
    QTRY_VERIFY(card->buildButton()->hasFocus());
    QTest::keyClick(card->buildButton(), Qt::Key_Space);
    QTRY_COMPARE_WITH_TIMEOUT(
        card->text(), QStringLiteral("The engine is being built: 5 of 330 steps."), kPatienceMs);
    build_->letFinish();
    QTRY_COMPARE_WITH_TIMEOUT(card->text(), QStringLiteral("The engine is ready."), kPatienceMs);
  }

  void twoWindowsSeeTheSame() {
    QVERIFY(build_->say("building", 165, 330));
    const auto first = makeWindow();
    const auto second = makeWindow();
    QCOMPARE(cardOf(second)->text(), kHalf);
    build_->kill();
    for (const auto* window : {&first, &second}) {
      QTRY_VERIFY_WITH_TIMEOUT(cardOf(*window)->buildButton()->isVisible(), kPatienceMs);
    }
    click(cardOf(first)->buildButton());
    QTRY_COMPARE_WITH_TIMEOUT(cardOf(second)->text(),
                              QStringLiteral("The engine is being built: 5 of 330 steps."),
                              kPatienceMs);
    QVERIFY(!cardOf(second)->buildButton()->isVisible());
    build_->letFinish();
    for (const auto* window : {&first, &second}) {
      QTRY_COMPARE_WITH_TIMEOUT((*window)->launcher()->enginePath(), build_->engine(), kPatienceMs);
    }
    QCOMPARE(build_->timesStartedAgain(), 1);
  }

  void garbageIsPassedOver() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    for (const QByteArray& bytes :
         {QByteArray("{\"state\": \"bui"), QByteArray(1'000'000, '\xfe'), QByteArray()}) {
      QVERIFY(test::FakeBuild::write(build_->file(), bytes));
      window->engineBuild()->look();
      QCOMPARE(cardOf(window)->text(), kHalf);
    }
    build_->kill();
    QVERIFY(QFile::remove(build_->file()));
    QTRY_VERIFY_WITH_TIMEOUT(!cardOf(window)->isVisible(), kPatienceMs);
    QVERIFY(window->launcher()->engineFault().contains(QStringLiteral("was not found")));
  }

  void theLaunchDialogWaitsAndKeepsWhatWasTyped() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    bool opened = false;
    whenOpened<LaunchDialog>([&](LaunchDialog* dialog) {
      opened = true;
      QVERIFY(!dialog->startButton()->isEnabled());
      QCOMPARE(dialog->startButton()->toolTip(), kHalf);
      takePictures(dialog, QStringLiteral("launch_building"));
      QTRY_COMPARE(textOfChecks(*dialog).count(kHalf), 2);  // in its row, and beside Start
      auto* micro =
          qobject_cast<QLineEdit*>(dialog->mainForm()->editor(QStringLiteral("batch.micro")));
      micro->setFocus();
      micro->selectAll();
      QTest::keyClicks(micro, QStringLiteral("3"));
      QVERIFY(build_->say("building", 166, 330));
      QTRY_VERIFY_WITH_TIMEOUT(textOfChecks(*dialog).contains(QStringLiteral("166 of 330")),
                               kPatienceMs);
      QTest::keyClicks(micro, QStringLiteral("2"));
      QVERIFY(!dialog->startButton()->isEnabled());
      QVERIFY(build_->link());
      QVERIFY(build_->say("ready", 330, 330));
      QTRY_VERIFY_WITH_TIMEOUT(dialog->startButton()->isEnabled(), kPatienceMs);
      QVERIFY(dialog->isVisible());
      QCOMPARE(micro->text(), QStringLiteral("32"));
      QCOMPARE(dialog->request().spec.batch.micro, 32);
      QVERIFY(dialog->startButton()->toolTip().isEmpty());
      QTRY_VERIFY(textOfChecks(*dialog).contains(build_->engine()));
    });
    click(window->welcomePage()->startButton());
    QVERIFY(opened);
  }

  void everyOtherPlaceSaysIt() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    session::RunSession* run = window->openRun(run_->path());
    QTRY_COMPARE_WITH_TIMEOUT(run->status().state, contract::RunState::kStopped, kPatienceMs);
    const Actions& actions = window->actions();
    for (const char* id : {"continue_run", "fan"}) {
      QVERIFY(!actions[id]->isEnabled());
      QCOMPARE(actions[id]->statusTip(), kHalf);
    }
    ForkDialog fork(run, window->launcher());
    fork.show();
    QCOMPARE(fork.fault(), kHalf);
    QVERIFY(!fork.startButton()->isEnabled());
    FanDialog fan(run, window->launcher(), library_);
    static_cast<QDialog&>(fan).show();
    QVERIFY(!fan.startButton()->isEnabled());
    QCOMPARE(fan.startButton()->toolTip(), kHalf);
    takePictures(&fork, QStringLiteral("fork_building"));
    takePictures(&fan, QStringLiteral("fan_building"));
    QVERIFY(build_->link());
    QVERIFY(build_->say("ready"));
    QTRY_VERIFY_WITH_TIMEOUT(fork.startButton()->isEnabled(), kPatienceMs);
    QVERIFY(fan.startButton()->isEnabled());
    for (const char* id : {"continue_run", "fan"}) {
      QVERIFY(actions[id]->isEnabled());
      QVERIFY(actions[id]->statusTip().startsWith(QStringLiteral("Start the engine")) ||
              actions[id]->statusTip().startsWith(QStringLiteral("Try learning rates")));
    }
  }

  void continuingARunSaysWhyItCannot() {
    QVERIFY(build_->say("building", 165, 330));
    const auto window = makeWindow();
    QString said;
    whenOpened<QMessageBox>([&](QMessageBox* box) { said = box->text(); });
    Q_EMIT window->runListPanel()->resumeWanted(run_->path());
    QTRY_COMPARE_WITH_TIMEOUT(said, kHalf, kPatienceMs);
  }
};

BATCHSCOPE_GUI_TEST(TestViewsBuild)
#include "tst_views_build.moc"
