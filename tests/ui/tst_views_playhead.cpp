// What dock and status bar say: of the playhead, of now, of a preview; and that it can be seen.
#include "tests/ui/shown_window.h"
#include "ui/session/command_log.h"
#include "ui/session/playhead.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/preview_dialog.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_status_line.h"
#include "ui/views/run_view.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestPlayhead : public UserTest {
  Q_OBJECT
 private:
  /// Clicks on the timeline where a row of the record stands.
  static void clickRow(MainWindow& window, int row, int rows) {
    TimelineStrip* strip = window.runView()->replayBar()->timeline();
    const double share = (row - 1.0) / (rows - 1.0);
    QTest::mouseClick(strip,
                      Qt::LeftButton,
                      {},
                      QPoint(static_cast<int>(std::lround(9 + share * (strip->width() - 18))),
                             strip->height() / 2));
  }
  static bool says(const QWidget* widget, const QString& text) {
    return textsOf(widget).contains(text);
  }

 private Q_SLOTS:
  void initTestCase() { makeHome(); }
  void init() { openSettings()->clear(); }

  void cardAndStatusBarAreOfThePlayhead() {
    const auto written = emptyRun("story");
    written->write();
    written->finish();
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(window->isSettled());
    QWidget* dock = window->optimizerPanel();
    QWidget* bar = window->findChild<RunStatusLine*>();
    QTRY_VERIFY(says(dock, QStringLiteral("SGD + AGVM")));
    QVERIFY(says(bar, QStringLiteral("Step 400 of 400")));
    constexpr int kRows = 440;  // 240, and from 201 on after the undo
    for (const auto& [row, method] : {std::pair{140, "SGD"},
                                      std::pair{225, "LAMB"},
                                      std::pair{255, "SGD"},
                                      std::pair{400, "SGD + AGVM"}}) {
      clickRow(*window, row, kRows);
      const auto step = run->playheadSample().step;
      QVERIFY(step > 100 && step < 400);
      QTRY_VERIFY2(
          says(dock, QLatin1String(method)),
          qPrintable(QStringLiteral("%1: %2").arg(step).arg(textsOf(dock).join(QLatin1Char('|')))));
      QVERIFY(says(dock, QStringLiteral("In force at step %1").arg(step)));
      QTRY_VERIFY2(says(bar, QStringLiteral("At step %1 of 400").arg(step)),
                   qPrintable(textsOf(bar).join(QLatin1Char('|'))));
      // One step everywhere: on the timeline too.
      bool told = false;
      for (const QString& text : textsOf(window->runView()->replayBar())) {
        told = told || text.endsWith(QStringLiteral("step %1").arg(step));
      }
      QVERIFY(told);
    }
    // The rates of that place: the base that the switch gave, and the one that was recorded.
    clickRow(*window, 225, kRows);
    const auto step = run->playheadSample().step;
    QTRY_VERIFY(run->sampleAtPlayhead(QStringLiteral("lr")).valid);
    const auto rate = run->sampleAtPlayhead(QStringLiteral("lr"));
    QCOMPARE(rate.step, step);
    const QString rates = QStringLiteral("lr %1 in use, base 0.02\nbatch 8 × 16 × 1 = 128")
                              .arg(formatNumber(rate.value));
    QTRY_VERIFY2(says(dock, rates), qPrintable(textsOf(dock).join(QLatin1Char('|'))));
    clickOn(buttonOf<QToolButton>(window->runView()->replayBar(), QStringLiteral("End")));
    QTRY_VERIFY(says(dock, QStringLiteral("SGD + AGVM")));
    QVERIFY(says(dock, QStringLiteral("In force")));
    QTRY_VERIFY(says(bar, QStringLiteral("Step 400 of 400")));
  }

  void theRateShownIsTheRateInUse() {
    const auto written = liveRun();
    written->setInUse(0.25);
    QList<double> rates;
    test::FakeEngine engine(*written, [&](const contract::Command& command) {
      rates.append(std::get<contract::LrCommand>(command.body).value);
      written->setLr(rates.last());
      return done();
    });
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    QWidget* dock = window->optimizerPanel();
    QTRY_VERIFY2(says(dock, QStringLiteral("lr 0.0125 in use, base 0.05\nbatch 8 × 16 × 1 = 128")),
                 qPrintable(textsOf(dock).join(QLatin1Char('|'))));
    QVERIFY(says(dock, QStringLiteral("base now 0.05, in use 0.0125")));
    auto* twice = buttonOf<QPushButton>(dock, QStringLiteral("× 2"));
    QVERIFY(twice->toolTip().contains(QStringLiteral("base")));
    window->optimizerPanel()->ensureWidgetVisible(twice);
    clickOn(twice);
    QTRY_COMPARE(rates, (QList<double>{0.1}));
    QTRY_VERIFY(says(dock, QStringLiteral("base now 0.1, in use 0.025")));
    // At the playhead the card tells of there, the rates to change of now.
    run->seekToStep(20);
    QTRY_VERIFY(says(dock, QStringLiteral("In force at step 20")));
    QVERIFY(says(dock, QStringLiteral("base now 0.1, in use 0.025")));
    QVERIFY(says(dock, QStringLiteral("A change acts on the training of now, at step 50.")));
  }

  void oneStepNumber() {
    const auto written = liveRun(60);
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(); });
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    // The engine is some steps ahead of what can be read.
    contract::StatusReport ahead = written->report(contract::RunState::kRunning);
    ahead.step = 64;
    engine.say(contract::StateNotice{ahead});
    QTRY_COMPARE(run->status().step, 64);
    QWidget* bar = window->findChild<RunStatusLine*>();
    session::RunListModel* list = window->runListModel();
    QTRY_VERIFY(list->rowOf(run->info().id) >= 0);
    const auto listed = [&] {
      return list->index(list->rowOf(run->info().id), session::RunListModel::kStepColumn)
          .data()
          .toString();
    };
    for (const int step : {60, 75}) {
      if (step > 60) {
        written->rows(61, step);
      }
      QTRY_COMPARE(run->playheadSample().step, step);
      QTRY_VERIFY2(says(bar, QStringLiteral("Step %1 of 400").arg(step)),
                   qPrintable(textsOf(bar).join(QLatin1Char('|'))));
      QTRY_COMPARE(listed(), QStringLiteral("%1 / 400").arg(step));
      list->refresh();
      QSignalSpy scanned(list, &session::RunListModel::refreshed);
      QTRY_VERIFY(!scanned.isEmpty());
      QCOMPARE(listed(), QStringLiteral("%1 / 400").arg(step));
    }
  }

  void aPreviewIsNotApplied() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) {
      contract::Reply reply = done(50);
      reply.detail =
          "optimizer                sgd              -> lamb\n"
          "learning rate            0.05             -> 0.02\n"
          "state: carry, learning rate: match_update, decay: match, agvm: off\n"
          "First update, with the mean recent gradient standing in for the next one\n"
          "module          update       new     ratio        lr       new     start\n"
          "backbone          0.12     0.011     0.092      0.05      0.02         1\n"
          "<neck>            0.34     0.031     0.091      0.05      0.02         1\n";
      return reply;
    });
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    OptimizerPanel* panel = window->optimizerPanel();
    panel->methodBox()->setFocus();
    QTest::keyClicks(panel->methodBox(), QStringLiteral("LAMB"));
    auto* preview = buttonOf<QPushButton>(panel, QStringLiteral("Preview"));
    QTRY_VERIFY(preview->isEnabled());
    panel->ensureWidgetVisible(preview);
    clickOn(preview);
    PreviewDialog* dialog = nullptr;
    QTRY_VERIFY((dialog = window->findChild<PreviewDialog*>()) && dialog->isVisible());
    QVERIFY(!dialog->isModal());
    QVERIFY2(panel->stateText().startsWith(QStringLiteral("Preview only, nothing has changed")),
             qPrintable(panel->stateText()));
    QCOMPARE(run->commandLog()->index(0, session::CommandLog::kStateColumn).data().toString(),
             QStringLiteral("preview only"));
    QVERIFY(run->undoTarget().id == 0);
    // Columns are cells, and each "new" tells of what.
    const auto* body = dialog->findChild<QTextBrowser*>();
    QCOMPARE(body->toHtml().count(QStringLiteral("<table")), 2);
    for (const char* word : {"new update", "new lr", "0.092", "<neck>", "match_update"}) {
      QVERIFY2(body->toPlainText().contains(QLatin1String(word)), word);
    }
    // The answers go on coming in while it is open, and the choice stays to be applied.
    written->setLr(0.07);
    engine.say(contract::StateNotice{written->report(contract::RunState::kRunning)});
    QTRY_COMPARE(run->status().lr, 0.07);
    QVERIFY(dialog->isVisible());
    QTRY_VERIFY(panel->applyButton()->isEnabled());
    QTest::keyClick(dialog, Qt::Key_Escape);
    QTRY_VERIFY(window->findChild<PreviewDialog*>() == nullptr);
  }

  void theFormIsOfThePlayheadWhereNothingCanBeChanged() {
    const auto written = emptyRun("story");
    written->write();
    written->finish();
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    OptimizerPanel* panel = window->optimizerPanel();
    QTRY_VERIFY(panel->agvmBox()->isChecked());
    run->seekToStep(140);
    QTRY_VERIFY(!panel->agvmBox()->isChecked());
    QCOMPARE(panel->changeText(), QStringLiteral("Nothing is changed yet."));
    run->playhead()->followLive();
    QTRY_VERIFY(panel->agvmBox()->isChecked());
    QCOMPARE(panel->changeText(), QStringLiteral("Nothing is changed yet."));
  }

  void theListOfChangesShowsItsSteps() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(123456); });
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    auto* list = window->optimizerPanel()->findChild<QTableView*>();
    run->sendCommand(contract::LrCommand{0.0125});
    QTRY_COMPARE(run->commandLog()->latest().state, session::CommandLog::State::kApplied);
    const QModelIndex state = run->commandLog()->index(0, session::CommandLog::kStateColumn);
    QCOMPARE(state.data().toString(), QStringLiteral("applied at step 123456"));
    const auto fits = [&] {
      const QRect cell = list->visualRect(state);
      const QRect words = list->fontMetrics().boundingRect(
          QRect(0, 0, cell.width() - 6, 1000), Qt::TextWordWrap, state.data().toString());
      return words.width() <= cell.width() && words.height() <= cell.height();
    };
    QTRY_VERIFY(fits());
  }

  void withoutARunTheDockPromisesNothing() {
    OptimizerPanel panel;
    panel.show();
    const QString all = textsOf(&panel).join(QLatin1Char('|'));
    QVERIFY2(all.contains(QStringLiteral("Open a live run to control it.")), qPrintable(all));
    for (const char* word : {"lr 0", "0 × 0", "→", "restore point"}) {
      QVERIFY2(!all.contains(QLatin1String(word)), qPrintable(all));
    }
  }

  void messagesOfTheStatusBarAreSeen_data() {
    QTest::addColumn<int>("width");
    QTest::newRow("wide") << 1500;
    QTest::newRow("narrow") << 900;
  }
  void messagesOfTheStatusBarAreSeen() {
    QFETCH(int, width);
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(); });
    const auto window = showWindow({width, 800});
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    QTRY_VERIFY(window->isSettled());
    QStatusBar* bar = window->statusBar();
    const auto pixels = [&] { return bar->grab().toImage(); };
    const auto changed = [&](const QImage& a, const QImage& b) {
      int count = 0;
      for (int y = 0; y < a.height(); ++y) {
        for (int x = 0; x < a.width(); ++x) {
          count += a.pixel(x, y) != b.pixel(x, y);
        }
      }
      return count;
    };
    bar->clearMessage();
    const QImage before = pixels();
    bar->showMessage(QStringLiteral("Attached to “live”, which is still training."));
    QVERIFY2(changed(before, pixels()) > 300,
             qPrintable(QString::number(changed(before, pixels()))));
    bar->clearMessage();
    QCOMPARE(changed(before, pixels()), 0);
    // Another text is another picture: it is the words that are painted.
    bar->showMessage(QStringLiteral("Run 0123 has started."));
    const QImage one = pixels();
    bar->showMessage(QStringLiteral("Another run is being started."));
    QVERIFY(changed(one, pixels()) > 100);
    bar->clearMessage();
    // The tip of a menu's entry, as a person sees it.
    QMenu* file = nullptr;
    for (QMenu* menu : window->menuBar()->findChildren<QMenu*>()) {
      file = menu->title() == QStringLiteral("&File") ? menu : file;
    }
    file->popup(window->mapToGlobal(QPoint(40, 40)));
    QTRY_VERIFY(file->isVisible());
    QTest::keyClick(file, Qt::Key_Down);
    QTRY_VERIFY(!bar->currentMessage().isEmpty());
    QVERIFY(changed(before, pixels()) > 300);
    file->close();
  }

  void theCostOfDiagnosticsIsShown() {
    const auto written = liveRun();
    const auto window = showWindow();
    window->openRun(written->path());
    QWidget* bar = window->findChild<RunStatusLine*>();
    QTRY_VERIFY2(says(bar, QStringLiteral("diagnostics 1.4 %")),
                 qPrintable(textsOf(bar).join(QLatin1Char('|'))));
  }
};

BATCHSCOPE_GUI_TEST(TestPlayhead)
#include "tst_views_playhead.moc"
