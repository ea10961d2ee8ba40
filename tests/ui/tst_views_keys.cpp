// Mouse and keys on the shown window: what a button or a key does to a training.
#include "tests/ui/shown_window.h"
#include "ui/views/optimizer_panel.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestKeys : public UserTest {
  Q_OBJECT
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

  void whatChangesATrainingHasItsOwnGlyph() {
    const auto window = showWindow();
    const Actions& actions = window->actions();
    QHash<QString, QStringList> users;
    for (const QAction* action : actions.all()) {
      const QImage glyph = action->icon().pixmap(QSize(48, 48)).toImage();
      if (!action->icon().isNull()) {
        const QByteArrayView bits(glyph.constBits(), glyph.sizeInBytes());
        users[QString::fromLatin1(
                  QCryptographicHash::hash(bits, QCryptographicHash::Sha1).toHex())]
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
};

BATCHSCOPE_GUI_TEST(TestKeys)
#include "tst_views_keys.moc"
