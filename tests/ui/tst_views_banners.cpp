// What stands above a run: why it failed, what hinders it, and what is left to go on from.
#include "tests/ui/shown_window.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_view.h"

using namespace batchscope;
using namespace batchscope::views;

class TestBanners : public test::UserTest {
  Q_OBJECT
  static QString textOf(MainWindow* window) {
    return test::textsOf(window->runView()).join(QLatin1Char('\n'));
  }
  static void save(test::SampleRun& run, int step, const char* kind = "checkpoint") {
    contract::CheckpointRecord record;
    record.step = step;
    record.kind = kind;
    record.file = "checkpoints/step-" + std::to_string(step) + ".state";
    QDir().mkpath(run.path() + QStringLiteral("/checkpoints"));
    QFile file(run.path() + QLatin1Char('/') + QString::fromStdString(record.file));
    QVERIFY(file.open(QIODevice::WriteOnly));
    run.writer().checkpoint(record);
  }
  /// As the engine leaves a training that diverged at step 60, abnormal from 51 on.
  std::unique_ptr<test::SampleRun> diverged(const QList<int>& saved) {
    auto run = emptyRun("hot", 300, 0.32);
    run->rows(1, 60);
    for (const int step : saved) {
      save(*run, step);
    }
    const std::map<std::string, std::string> args = {{"first_step", "51"}, {"module", "neck"}};
    run->event("abnormal", 51, "The first abnormal update was 51, first in neck.", args);
    run->event("diverged",
               60,
               "The training diverged at step 60: the loss is not finite; it began at step 51.",
               args);
    run->finish(contract::RunState::kFailed);
    return run;
  }
  /// Presses a button of a banner and looks at the fork dialog that it opens.
  static void pressed(MainWindow* window,
                      const QString& button,
                      const std::function<void(ForkDialog*)>& look) {
    auto* wanted = test::buttonOf<QPushButton>(window->runView(), button);
    QVERIFY2(wanted != nullptr, qPrintable(button));
    bool seen = false;
    QTimer timer;
    connect(&timer, &QTimer::timeout, &timer, [&] {
      if (auto* dialog = qobject_cast<ForkDialog*>(QApplication::activeModalWidget())) {
        timer.stop();
        seen = true;
        look(dialog);
        dialog->reject();
      }
    });
    timer.start(20);
    test::clickOn(wanted);
    QTRY_VERIFY(seen);
  }

 private Q_SLOTS:
  void initTestCase() { makeHome(); }

  void aDivergedRunOffersItsRescue() {
    const auto run = diverged({30, 40, 55});
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(textOf(window.get())
                    .contains(QStringLiteral("The newest state saved before that is of step 40")));
    pressed(window.get(), QStringLiteral("lr ½"), [](ForkDialog* dialog) {
      QCOMPARE(dialog->request().fork.step, 40);
      QCOMPARE(dialog->request().fork.children, QStringList(QStringLiteral("optim.lr=0.16")));
      // A ramp from the rate that diverged would diverge again.
      QCOMPARE(dialog->request().fork.lrMapping, QStringLiteral("target_now"));
    });
    pressed(window.get(), QStringLiteral("clip 1.0"), [](ForkDialog* dialog) {
      QCOMPARE(dialog->request().fork.step, 40);
      QCOMPARE(dialog->request().fork.children, QStringList(QStringLiteral("optim.clip_norm=1.0")));
    });
    pressed(window.get(), QStringLiteral("LAMB"), [](ForkDialog* dialog) {
      QCOMPARE(dialog->request().fork.children,
               QStringList(QStringLiteral("optim.name=lamb,optim.lr=0.02")));
    });
    // The same again would end the same.
    QVERIFY(test::buttonOf<QPushButton>(window->runView(), QStringLiteral("Continue this run")) ==
            nullptr);
    test::clickOn(test::buttonOf<QPushButton>(window->runView(), QStringLiteral("Go there")));
    QTRY_COMPARE(window->currentRun()->playheadSample().step, 51);
    const ChartLink* link = window->runView()->link();
    QCOMPARE(link->cursor().value_or(0), 51.0);
    QVERIFY(link->range().has_value());
    QVERIFY(link->range()->low < 51 && link->range()->low >= 20 && link->range()->high > 51);
    for (const auto kind : {session::XKind::kImages, session::XKind::kSeconds}) {
      window->runView()->link()->setKind(kind);
      QVERIFY(!link->cursor().has_value());
      test::clickOn(test::buttonOf<QPushButton>(window->runView(), QStringLiteral("Go there")));
      const session::SampleItem row = window->currentRun()->rowAtStep(51);
      QCOMPARE(link->cursor().value_or(0),
               kind == session::XKind::kImages ? static_cast<double>(row.images) : row.seconds);
      QVERIFY(link->range().has_value());
    }
  }

  void whereNothingWasSavedTheRescueBeginsAgain() {
    const auto run = diverged({55});
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(textOf(window.get()).contains(QStringLiteral("No state was saved before that")));
    QVERIFY(!textOf(window.get()).contains(QStringLiteral("is stored")));
    pressed(window.get(), QStringLiteral("lr ½"), [](ForkDialog* dialog) {
      QCOMPARE(dialog->request().fork.step, 0);
      QVERIFY(test::textsOf(dialog)
                  .join(QLatin1Char(' '))
                  .contains(QStringLiteral("No state is saved up to there")));
    });
  }

  void saysWhereContinueGoesOn() {
    const auto run = emptyRun("killed", 300);
    run->rows(1, 100);
    save(*run, 90);
    save(*run, 95, "restore_point");
    run->event("error", 100, "rank 0 was killed by signal 9.", {});
    run->finish(contract::RunState::kFailed);
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY2(
        textOf(window.get())
            .contains(QStringLiteral("Continue goes on from the state that was saved at step 90.")),
        qPrintable(textOf(window.get())));
    QVERIFY(test::buttonOf<QPushButton>(window->runView(), QStringLiteral("lr ½")) == nullptr);
  }

  void whatHinderedALostRunIsSaid() {
    const auto run = emptyRun("lost", 300);
    run->rows(1, 100);
    run->setTrouble("Rank 1 has been in the data loader for 45 s.");
    run->status(contract::RunState::kRunning);
    run->loseEngine();
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY2(textOf(window.get())
                     .contains(QStringLiteral(
                         "Before it ended: Rank 1 has been in the data loader for 45 s.")),
                 qPrintable(textOf(window.get())));
  }

  void whatWasUndoneIsNoBannerAndGrey() {
    const auto run = emptyRun("undone", 300);
    run->rows(1, 100);
    contract::EventRecord event;
    event.segment = 7;  // of a branch that is not live
    event.step = 90;
    event.time = storage::now_utc();
    event.kind = "diverged";
    event.source = "engine";
    event.text = "The loss passed its limit.";
    run->writer().event(event);
    run->event("warning", 95, "A warning that counts.", {});
    run->finish(contract::RunState::kFailed);
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(
        textOf(window.get()).contains(QStringLiteral("The run failed at step 100: the engine")));
    QVERIFY(!textOf(window.get()).contains(QStringLiteral("The loss passed its limit")));
    const auto flag = [&](const QString& text) {
      for (const auto& each : window->runView()->replayBar()->timeline()->flags()) {
        if (each.tip.contains(text)) {
          return std::optional(each.abandoned);
        }
      }
      return std::optional<bool>();
    };
    QTRY_VERIFY(flag(QStringLiteral("The loss passed its limit")).has_value());
    QCOMPARE(flag(QStringLiteral("The loss passed its limit")), std::optional(true));
    QCOMPARE(flag(QStringLiteral("A warning that counts")), std::optional(false));
  }

  void anUndoGreysWhatStoodThere() {
    const auto run = emptyRun("with an undo");
    run->write();
    run->finish();
    const auto window = showWindow();
    window->openRun(run->path());
    const auto greys = [&] {
      QMap<QString, bool> flags;
      for (const auto& each : window->runView()->replayBar()->timeline()->flags()) {
        flags[each.tip] = each.abandoned;
      }
      return flags;
    };
    QTRY_VERIFY(!greys().isEmpty());
    for (const auto& [tip, grey] : greys().asKeyValueRange()) {
      if (tip.contains(QStringLiteral("Optimizer sgd"))) {
        QVERIFY(grey);
      } else if (tip.contains(QStringLiteral("AGVM was switched on"))) {
        QVERIFY(!grey);
      }
    }
  }

  void whatHindersATrainingIsABanner() {
    const auto run = liveRun();
    test::FakeEngine engine(*run, [](const contract::Command&) { return done(50); });
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(window->currentRun()->canControl());
    run->setTrouble("The disk is full: nothing is recorded since step 40.");
    engine.say(contract::StateNotice{run->report(contract::RunState::kRunning)});
    QTRY_VERIFY(textOf(window.get()).contains(QStringLiteral("The disk is full")));
    run->setTrouble({});
    engine.say(contract::StateNotice{run->report(contract::RunState::kRunning)});
    QTRY_VERIFY(!textOf(window.get()).contains(QStringLiteral("The disk is full")));
  }
};

BATCHSCOPE_GUI_TEST(TestBanners)
#include "tst_views_banners.moc"
