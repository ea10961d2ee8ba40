// The window with a real engine: launch, watch, switch, undo, close, attach again, stop, replay.
#include "tests/support/test_program.h"
#include "ui/session/command_log.h"
#include "ui/session/playhead.h"
#include "ui/views/curve_chart.h"
#include "ui/views/launch_dialog.h"
#include "ui/views/main_window.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_view.h"
#include "ui/views/theme.h"
#include "ui/views/widgets.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;

namespace {

constexpr int kPatienceMs = 60000;

CurveChart* chartOf(QWidget* parent, const QString& title) {
  for (CurveChart* chart : parent->findChildren<CurveChart*>()) {
    if (chart->title().startsWith(title)) {
      return chart;
    }
  }
  return nullptr;
}

/// Presses the button of the message box that comes up.
void answerBoxes(QObject* life, const QString& wanted) {
  auto* timer = new QTimer(life);
  QObject::connect(timer, &QTimer::timeout, timer, [wanted] {
    for (QWidget* widget : QApplication::topLevelWidgets()) {
      auto* box = qobject_cast<QMessageBox*>(widget);
      if (box == nullptr || !box->isVisible()) {
        continue;
      }
      for (QAbstractButton* button : box->buttons()) {
        if (button->text().remove(QLatin1Char('&')) == wanted) {
          button->click();
        }
      }
    }
  });
  timer->start(20);
}

}  // namespace

class TestEngine : public QObject {
  Q_OBJECT
 private:
  QTemporaryDir home_;
  QString engine_ = QStringLiteral(BATCHSCOPE_BIN_DIR "/batchscope-engine");
  QString folder_;

  std::unique_ptr<MainWindow> makeWindow(bool reattach) {
    auto window = std::make_unique<MainWindow>(
        WindowOptions{home_.filePath(QStringLiteral("library")), engine_, reattach});
    window->resize(1500, 1000);
    window->show();
    return window;
  }

  /// A window that found the running training again and may control it; null if it did not.
  std::unique_ptr<MainWindow> attachedWindow() {
    auto window = makeWindow(true);
    const bool found = QTest::qWaitFor(
        [&] { return window->currentRun() != nullptr && window->currentRun()->canControl(); },
        kPatienceMs);
    return found ? std::move(window) : nullptr;
  }

 private Q_SLOTS:
  void initTestCase() {
    QVERIFY2(QFileInfo(engine_).isExecutable(), "batchscope-engine is not built");
    QVERIFY(home_.isValid());
    QSettings::setPath(
        QSettings::IniFormat, QSettings::UserScope, home_.filePath(QStringLiteral("config")));
    openSettings()->setValue(QStringLiteral("close"), QStringLiteral("keep"));
    Theme::instance().apply(ThemeMode::kLight);
  }

  void launchShowsTheFirstCurve() {
    const auto window = makeWindow(false);
    LaunchDialog dialog(home_.filePath(QStringLiteral("library")), engine_);
    // Long enough that no slow machine finishes it before the switch.
    QVERIFY(dialog.loadToml(
        QStringLiteral("[run]\nname = \"from the window\"\n"
                       "[data]\ntrain_pictures = 256\nval_pictures = 16\n"
                       "[schedule]\nsteps = 200000\nwarmup = { kind = \"ramp\", steps = 4 }\n"
                       "[eval]\nat_end = false\n"
                       "[optim]\nlr = 0.002\n[optim.agvm]\nstart = 5\ninterval = 2\n"
                       "[precision]\nthreads = 1\n")));
    QVERIFY2(dialog.startButton()->isEnabled(), "preflight refused");
    window->start(dialog.request());
    QTRY_VERIFY_WITH_TIMEOUT(window->currentRun() != nullptr, kPatienceMs);
    folder_ = window->currentRun()->path();
    QTRY_VERIFY_WITH_TIMEOUT(window->currentRun()->canControl(), kPatienceMs);
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY_WITH_TIMEOUT(!loss->isEmpty(), kPatienceMs);
    QCOMPARE(window->currentRun()->info().name, QStringLiteral("from the window"));
    // Closing leaves it: the answer was remembered.
    QVERIFY(window->close());
  }

  void switchIsAppliedAndUndone() {
    QVERIFY2(!folder_.isEmpty(), "nothing was launched");
    const auto window = attachedWindow();
    QVERIFY(window != nullptr);
    session::RunSession* run = window->currentRun();
    QCOMPARE(QFileInfo(run->path()).fileName(), QFileInfo(folder_).fileName());
    QTRY_VERIFY_WITH_TIMEOUT(run->status().step > 20, kPatienceMs);
    // A second window on the same run sees what the first one does, and may take it back.
    const auto second = attachedWindow();
    QVERIFY(second != nullptr);
    QCOMPARE(second->currentRun()->path(), run->path());
    OptimizerPanel* panel = window->optimizerPanel();
    panel->chooseMethod(QStringLiteral("pmd_lamb"));
    panel->agvmBox()->setChecked(true);
    QVERIFY(panel->applyButton()->isEnabled());
    panel->applyButton()->click();
    QTRY_VERIFY2_WITH_TIMEOUT(panel->stateText().startsWith(QStringLiteral("Applied at step")),
                              qPrintable(panel->stateText()),
                              kPatienceMs);
    const qint64 step = run->commandLog()->latest().step;
    QTRY_COMPARE_WITH_TIMEOUT(run->status().optimizer.section(QLatin1Char(' '), 0, 0),
                              QStringLiteral("pmd_lamb"),
                              kPatienceMs);
    QVERIFY(run->status().agvm);
    QTRY_VERIFY_WITH_TIMEOUT(
        second->currentRun()->status().optimizer.startsWith(QStringLiteral("pmd_lamb")),
        kPatienceMs);
    // The change stands on the charts at the step that the engine named.
    const auto marked = [&] {
      CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
      for (const EventMark& mark : loss->plot()->marks()) {
        if (mark.kind == EventMark::Kind::kChange && std::llround(mark.x) == step) {
          return true;
        }
      }
      return false;
    };
    QTRY_VERIFY_WITH_TIMEOUT(marked(), kPatienceMs);

    QPushButton* undo = second->optimizerPanel()->undoButton();
    QTRY_VERIFY_WITH_TIMEOUT(undo->isEnabled(), kPatienceMs);
    answerBoxes(second.get(), QStringLiteral("Yes"));
    undo->click();
    QTRY_COMPARE_WITH_TIMEOUT(run->status().optimizer, QStringLiteral("sgd"), kPatienceMs);
    const auto abandoned = [&] {
      CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
      return std::any_of(loss->plot()->curves().cbegin(),
                         loss->plot()->curves().cend(),
                         [](const Curve& curve) { return curve.abandoned; });
    };
    QTRY_VERIFY_WITH_TIMEOUT(abandoned(), kPatienceMs);
    QVERIFY(second->close());
    QVERIFY(run->canControl());
    QVERIFY(window->close());
  }

  void stopEndsItAndReplayShowsIt() {
    QVERIFY2(!folder_.isEmpty(), "nothing was launched");
    const auto window = attachedWindow();
    QVERIFY(window != nullptr);
    session::RunSession* run = window->currentRun();
    QTRY_VERIFY_WITH_TIMEOUT(window->actions()["stop_save"]->isEnabled(), kPatienceMs);
    window->actions()["stop_save"]->trigger();
    QTRY_COMPARE_WITH_TIMEOUT(run->status().state, contract::RunState::kStopped, kPatienceMs);
    QTRY_VERIFY_WITH_TIMEOUT(!run->isLive(), kPatienceMs);
    QVERIFY(!window->actions()["stop_save"]->isEnabled());
    ReplayBar* bar = window->runView()->replayBar();
    bar->timeline()->setValue(TimelineStrip::kSteps / 2);
    const auto half = run->playheadSample().step;
    QVERIFY(half > 0 && half < run->status().step);
    bar->speedBox()->setCurrentIndex(bar->speedBox()->findData(1000.0));
    bar->togglePlay();
    QTRY_COMPARE_WITH_TIMEOUT(run->playheadSample().step, run->status().step, kPatienceMs);
  }

  void cleanupTestCase() {
    // A failed test must not leave a training behind.
    if (!folder_.isEmpty()) {
      QProcess::execute(
          engine_,
          {QStringLiteral("control"), folder_, QStringLiteral("stop"), QStringLiteral("--now")});
    }
  }
};

BATCHSCOPE_GUI_TEST(TestEngine)
#include "tst_views_engine.moc"
