// Mouse and keys on the shown window: what a button or a key does to a training.
#include "tests/ui/shown_window.h"
#include "ui/session/playhead.h"
#include "ui/views/chart_legend.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_view.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestKeys : public UserTest {
  Q_OBJECT
  std::unique_ptr<test::SampleRun> finished_;

  std::unique_ptr<MainWindow> showRun() {
    if (!finished_) {
      finished_ = emptyRun("finished");
      finished_->write();
      finished_->finish();
    }
    auto window = showWindow();
    window->openRun(finished_->path());
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    (void)QTest::qWaitFor([&] { return window->isSettled() && !loss->isEmpty(); }, 60000);
    return window;
  }

  static bool tabTo(QWidget* window, const std::function<bool(QWidget*)>& there) {
    for (int i = 0; i < 60; ++i) {
      if (there(QApplication::focusWidget())) {
        return true;
      }
      press(window, Qt::Key_Tab);
    }
    return false;
  }

 private Q_SLOTS:
  void initTestCase() { makeHome(); }
  void init() { openSettings()->clear(); }

  void toolbarButtonsThatChangeATrainingHaveWords() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(); });
    const auto window = showWindow();
    window->openRun(written->path());
    QTRY_VERIFY(window->currentRun()->canControl());
    auto* bar = window->findChild<QToolBar*>(QStringLiteral("tools"));
    int wordless = 0;
    for (auto* button : bar->findChildren<QToolButton*>()) {
      const QAction* action = button->defaultAction();
      if (action == nullptr || !button->isVisible()) {
        continue;
      }
      if (button->toolButtonStyle() == Qt::ToolButtonTextBesideIcon) {
        QVERIFY2(!button->text().isEmpty(), qPrintable(action->objectName()));
        continue;
      }
      ++wordless;
      QTimer closer;  // of what a button without words may open
      connect(&closer, &QTimer::timeout, this, [] {
        if (QWidget* dialog = QApplication::activeModalWidget()) {
          dialog->close();
        }
      });
      closer.start(20);
      clickOn(button);
      QTest::qWait(60);
      QVERIFY2(engine.commands.isEmpty(), qPrintable(action->objectName()));
    }
    QVERIFY(wordless > 0);
    clickOn(buttonOf<QToolButton>(bar, QStringLiteral("Pause")));
    QTRY_COMPARE(engine.commands.size(), 1);
    QVERIFY(std::holds_alternative<contract::PauseCommand>(engine.commands.first().body));
  }

  void whatDoesNotFitTheToolbarIsBehindItsLastButton() {
    const auto window = showWindow({700, 700});
    window->openRun(liveRun()->path());
    auto* bar = window->findChild<QToolBar*>(QStringLiteral("tools"));
    auto* more = bar->findChild<QToolButton*>(QStringLiteral("qt_toolbar_ext_button"));
    QTRY_VERIFY(more->isVisible());
    // It is seen.
    const QImage picture = more->grab().toImage();
    QSet<QRgb> colours;
    for (int y = 0; y < picture.height(); ++y) {
      for (int x = 0; x < picture.width(); ++x) {
        colours.insert(picture.pixel(x, y));
      }
    }
    QVERIFY(colours.size() > 3);
    // A name never stands without its input.
    for (QWidget* input : bar->findChildren<QWidget*>()) {
      if (input->accessibleName() == QStringLiteral("Smoothing") ||
          input->accessibleName() == QStringLiteral("X axis")) {
        const QLabel* name = input->parentWidget()->findChild<QLabel*>();
        QVERIFY(name != nullptr);
        QCOMPARE(name->isVisible(), input->isVisible());
      }
    }
  }

  void diagnoseClosesWithEscape() {
    const auto window = showWindow();
    bool shown = false;
    QTimer keys;
    connect(&keys, &QTimer::timeout, this, [&] {
      if (auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget())) {
        shown = true;
        QTest::keyClick(box, Qt::Key_Escape);
      }
    });
    keys.start(20);
    window->actions()["diagnose"]->trigger();  // returns only when it is closed
    QVERIFY(shown);
  }

  void theFirstWindowFitsTheScreen() {
    const MainWindow window(WindowOptions{library_, {}, false});
    const QSize room = window.screen()->availableSize();
    QVERIFY(window.width() < room.width() && window.height() <= room.height() - 40);
  }

  void whatChangesATrainingHasItsOwnGlyph() {
    const auto window = showWindow();
    const Actions& actions = window->actions();
    QHash<QString, QStringList> users;
    for (const QAction* action : actions.all()) {
      const QImage glyph = action->icon().pixmap(QSize(48, 48)).toImage();
      if (!action->icon().isNull()) {
        const QByteArrayView bits(glyph.constBits(), glyph.sizeInBytes());
        users[QString::fromLatin1(QCryptographicHash::hash(bits, QCryptographicHash::Sha1).toHex())]
            .append(action->objectName());
      }
    }
    for (const QStringList& ids : std::as_const(users)) {
      for (const char* id : {"resume",
                             "pause",
                             "stop_save",
                             "stop_now",
                             "checkpoint",
                             "lr_half",
                             "lr_double",
                             "accumulation",
                             "end_step",
                             "undo_change",
                             "fork",
                             "fan"}) {
        QVERIFY2(!ids.contains(QLatin1String(id)) || ids.size() == 1,
                 qPrintable(ids.join(QLatin1Char(' '))));
      }
    }
  }

  void toggleAgvmTogglesAgvm() {
    const auto written = liveRun();
    const auto window = showWindow();
    window->openRun(written->path());
    OptimizerPanel* panel = window->optimizerPanel();
    QTRY_VERIFY(panel->isVisible());
    auto* all = buttonOf<QCheckBox>(panel, QStringLiteral("All parameters"));
    QVERIFY(!all->isChecked() && !panel->agvmBox()->isChecked());
    press(window.get(), Qt::Key_G, Qt::ControlModifier);
    QVERIFY(panel->agvmBox()->isChecked());
    QVERIFY(!all->isChecked());
    press(window.get(), Qt::Key_G, Qt::ControlModifier);
    QVERIFY(!panel->agvmBox()->isChecked());
    // Also from a closed dock: what changed must be seen.
    window->findChild<QDockWidget*>(QStringLiteral("optimizer"))->hide();
    press(window.get(), Qt::Key_G, Qt::ControlModifier);
    QVERIFY(panel->isVisible() && panel->agvmBox()->isChecked());
    press(window.get(), Qt::Key_T, Qt::ControlModifier);
    QTRY_COMPARE(QApplication::focusWidget()->accessibleName(), QStringLiteral("Method"));
  }

  void spacePressesTheButtonThatHasTheFocus() {
    const auto window = showRun();
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    clickOn(loss->plot()->viewport());
    QTRY_VERIFY(loss->hasFocus());
    // In the chart itself Space plays.
    session::Playhead* head = window->currentRun()->playhead();
    press(window.get(), Qt::Key_Space);
    QVERIFY(head->isPlaying());
    press(window.get(), Qt::Key_Space);
    QVERIFY(!head->isPlaying());
    auto* log = loss->findChild<QToolButton*>();
    QVERIFY(tabTo(window.get(), [&](QWidget* w) { return w == log; }));
    press(window.get(), Qt::Key_Space);
    QVERIFY(!head->isPlaying());
    QVERIFY(loss->plot()->isLog());
    auto* entry = loss->legend()->findChild<QToolButton*>(QStringLiteral("legendEntry"));
    QVERIFY(tabTo(window.get(), [&](QWidget* w) { return w == entry; }));
    press(window.get(), Qt::Key_Space);
    QVERIFY(!head->isPlaying());
    QVERIFY(loss->plot()->hidden().contains(QStringLiteral("loss")));
  }

  void arrowsWalkTheTableThatHasTheFocus() {
    const auto window = showRun();
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    clickOn(loss->plot()->viewport());
    QTRY_VERIFY(loss->hasFocus());
    press(window.get(), Qt::Key_T);
    QVERIFY(loss->isTableShown());
    auto* table = loss->findChild<QTableView*>();
    QTRY_VERIFY(table->model()->rowCount() > 100);
    QVERIFY(tabTo(window.get(), [&](QWidget* w) { return w == table; }));
    press(window.get(), Qt::Key_Down);
    press(window.get(), Qt::Key_Down);
    press(window.get(), Qt::Key_Right);
    QVERIFY(table->currentIndex().row() >= 1);
    QCOMPARE(table->currentIndex().column(), 1);
    QVERIFY(!window->runView()->link()->cursor().has_value());
    press(window.get(), Qt::Key_L);
    QVERIFY(!loss->plot()->isLog());
  }

  void lettersAreKeysOfChartsOnly() {
    const auto window = showRun();
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    ChartLink* link = window->runView()->link();
    for (QWidget* other : std::initializer_list<QWidget*>{window->runListPanel()->view(),
                                                          window->optimizerPanel()->methodBox()}) {
      other->setFocus();
      QTRY_VERIFY(other->hasFocus());
      for (const Qt::Key key : {Qt::Key_L, Qt::Key_X, Qt::Key_F, Qt::Key_T, Qt::Key_C}) {
        press(window.get(), key);
      }
      QVERIFY(!loss->plot()->isLog() && !loss->isTableShown());
      QCOMPARE(link->kind(), session::XKind::kStep);
      QCOMPARE(window->compare()->count(), 0);
      QVERIFY(QApplication::activeModalWidget() == nullptr);
    }
    clickOn(loss->plot()->viewport());
    QTRY_VERIFY(loss->hasFocus());
    press(window.get(), Qt::Key_L);
    QVERIFY(loss->plot()->isLog());
  }

  void theMenuBarKeepsTheChart() {
    const auto window = showRun();
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    clickOn(loss->plot()->viewport());
    QTRY_VERIFY(loss->hasFocus());
    QApplication::clipboard()->clear();
    // Alt alone: the bar has the focus, and a letter of a chart is one of its menus.
    QTest::keyClick(loss, Qt::Key_Alt);
    QTRY_VERIFY(window->menuBar()->hasFocus());
    QVERIFY(window->actions()["chart_csv"]->isEnabled());
    QTest::keyClick(window->menuBar(), Qt::Key_F);
    QMenu* edit = nullptr;
    QTRY_VERIFY((edit = qobject_cast<QMenu*>(QApplication::activePopupWidget())) != nullptr);
    QCOMPARE(edit->title(), QStringLiteral("&File"));
    QTest::keyClick(edit, Qt::Key_Right);
    QTRY_VERIFY((edit = qobject_cast<QMenu*>(QApplication::activePopupWidget())) != nullptr);
    QCOMPARE(edit->title(), QStringLiteral("&Edit"));
    for (int i = 0; i < 12 && edit->activeAction() != window->actions()["chart_csv"]; ++i) {
      QTest::keyClick(edit, Qt::Key_Down);
    }
    QCOMPARE(edit->activeAction(), window->actions()["chart_csv"]);
    QTest::keyClick(edit, Qt::Key_Return);
    QTRY_VERIFY2(QApplication::clipboard()->text().startsWith(QStringLiteral("step,loss")),
                 qPrintable(QApplication::clipboard()->text().left(40)));
    QTRY_VERIFY(loss->hasFocus());
  }

  void altLettersOfTheMenusAreTheirsAlone() {
    const auto window = showRun();
    window->addToCompare(finished_->path());
    QString menus;
    const auto letterOf = [](const QString& text) {
      const QString sequence = QKeySequence::mnemonic(text).toString();
      return sequence.isEmpty() ? QString() : sequence.right(1).toUpper();
    };
    for (const QAction* action : window->menuBar()->actions()) {
      const QString letter = letterOf(action->text());
      QVERIFY2(letter.size() == 1 && !menus.contains(letter), qPrintable(action->text()));
      menus += letter;
    }
    QStringList clashes;
    for (const QWidget* widget : window->findChildren<QWidget*>()) {
      const auto* label = qobject_cast<const QLabel*>(widget);
      if ((label != nullptr && label->buddy() != nullptr) ||
          qobject_cast<const QAbstractButton*>(widget)) {
        const QString text = widget->property("text").toString(), letter = letterOf(text);
        if (!letter.isEmpty() && menus.contains(letter)) {
          clashes.append(text);
        }
      }
    }
    QCOMPARE(clashes, QStringList());
  }

  void f6GoesFromPaneToPane() {
    const auto window = showRun();
    window->runListPanel()->filter()->setFocus();
    QTRY_VERIFY(window->runListPanel()->filter()->hasFocus());
    press(window.get(), Qt::Key_F6);
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QCOMPARE(QApplication::focusWidget(), loss);
    press(window.get(), Qt::Key_L);
    QVERIFY(loss->plot()->isLog());
    press(window.get(), Qt::Key_F6);
    QCOMPARE(QApplication::focusWidget(), window->optimizerPanel()->methodBox());
    press(window.get(), Qt::Key_F6, Qt::ShiftModifier);
    QCOMPARE(QApplication::focusWidget(), loss);
    // And so on every page.
    for (const QString& page : {QStringLiteral("variance"), QStringLiteral("moments")}) {
      window->showPage(page);
      window->runListPanel()->filter()->setFocus();
      press(window.get(), Qt::Key_F6);
      auto* chart = qobject_cast<CurveChart*>(QApplication::focusWidget());
      QVERIFY2(chart != nullptr && chart->isVisible(), qPrintable(page));
    }
    // Tab goes through the charts as they lie.
    window->showPage(QStringLiteral("overview"));
    loss->setFocus();
    QStringList order;
    for (int i = 0; i < 60 && order.size() < 3; ++i) {
      press(window.get(), Qt::Key_Tab);
      if (auto* chart = qobject_cast<CurveChart*>(QApplication::focusWidget())) {
        order.append(chart->title());
      }
    }
    QCOMPARE(order,
             (QStringList{QStringLiteral("Evaluations"),
                          QStringLiteral("Learning rate"),
                          QStringLiteral("Pictures per second")}));
  }
};

BATCHSCOPE_GUI_TEST(TestKeys)
#include "tst_views_keys.moc"
