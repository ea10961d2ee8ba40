// Closing the window beside trainings that go on.
#include "tests/ui/shown_window.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestClosing : public UserTest {
  Q_OBJECT
 private:
  /// Text of the message boxes that come up, each answered by the button of that text.
  class Answers : public QTimer {
   public:
    explicit Answers(QStringList buttons) : buttons_(std::move(buttons)) {
      connect(this, &QTimer::timeout, this, [this] {
        auto* box = qobject_cast<QMessageBox*>(QApplication::activeModalWidget());
        for (QAbstractButton* each : box ? box->buttons() : QList<QAbstractButton*>()) {
          if (!buttons_.isEmpty() && each->text().remove(QLatin1Char('&')) == buttons_.first()) {
            texts.append(box->text());
            buttons_.removeFirst();
            each->click();
            return;
          }
        }
      });
      start(20);
    }
    QStringList texts;

   private:
    QStringList buttons_;
  };

 private Q_SLOTS:
  void initTestCase() { makeHome(); }
  void init() { openSettings()->clear(); }

  void anEngineThatIsNotReachedIsSaid() {
    const auto written = liveRun();  // no engine answers
    const auto window = showWindow();
    window->setStopPatience(500);
    session::RunSession* run = window->openRun(written->path());
    QTRY_COMPARE(run->state(), session::RunSession::State::kLive);
    Answers stay({QStringLiteral("Stop and save"), QStringLiteral("Cancel")});
    QVERIFY(!window->close());
    QCOMPARE(stay.texts.size(), 2);
    QVERIFY2(stay.texts.last().contains(QStringLiteral("“live” was not stopped")),
             qPrintable(stay.texts.last()));
    QVERIFY(window->isVisible());
    Answers leave({QStringLiteral("Stop and save"), QStringLiteral("Close")});
    QVERIFY(window->close());
  }

  void anEngineThatComesLateIsStillStopped() {
    const auto written = liveRun();
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_COMPARE(run->state(), session::RunSession::State::kLive);
    std::unique_ptr<test::FakeEngine> engine;
    Answers answers({QStringLiteral("Stop and save")});
    QTimer late;
    late.setSingleShot(true);
    connect(&late, &QTimer::timeout, this, [&] {
      engine = std::make_unique<test::FakeEngine>(*written,
                                                  [](const contract::Command&) { return done(); });
    });
    late.start(300);
    QVERIFY(window->close());
    QVERIFY(engine != nullptr);
    QCOMPARE(engine->commands.size(), 1);
    QVERIFY(std::holds_alternative<contract::StopCommand>(engine->commands.first().body));
    QCOMPARE(answers.texts.size(), 1);
  }

  void theRunCannotBeClosedWhileItIsWaitedFor() {
    const auto written = liveRun();
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_COMPARE(run->state(), session::RunSession::State::kLive);
    Answers answers({QStringLiteral("Stop and save"), QStringLiteral("Cancel")});
    bool pressed = false;
    QTimer keys;
    connect(&keys, &QTimer::timeout, this, [&] {
      if (auto* wait = qobject_cast<QProgressDialog*>(QApplication::activeModalWidget())) {
        QTest::keyClick(wait, Qt::Key_W, Qt::ControlModifier);
        QTest::keyClick(window.get(), Qt::Key_W, Qt::ControlModifier);
        pressed = true;
        keys.stop();
        clickOn(wait->findChild<QPushButton*>());
      }
    });
    keys.start(50);
    QVERIFY(!window->close());
    QVERIFY(pressed);
    QCOMPARE(window->currentRun(), run);
    QCOMPARE(answers.texts.size(), 2);
  }

  void aRememberedAnswerCanBeTakenBack() {
    const auto written = liveRun();
    test::FakeEngine engine(*written, [](const contract::Command&) { return done(); });
    const auto window = showWindow();
    session::RunSession* run = window->openRun(written->path());
    QTRY_VERIFY(run->canControl());
    const QAction* again = window->actions()["ask_closing"];
    QVERIFY(!again->isEnabled());
    answerNextBox(QStringLiteral("Stop and save"), true);
    QVERIFY(window->close());
    QTRY_COMPARE(engine.commands.size(), 1);
    QVERIFY(again->isEnabled());
    // As a person finds it: Edit, and its last entry.
    window->show();
    QMenu* edit = nullptr;
    for (QMenu* menu : window->menuBar()->findChildren<QMenu*>()) {
      edit = menu->title() == QStringLiteral("&Edit") ? menu : edit;
    }
    edit->popup(window->mapToGlobal(QPoint(40, 40)));
    QTest::keyClick(edit, Qt::Key_Up);
    QCOMPARE(edit->activeAction(), again);
    QTest::keyClick(edit, Qt::Key_Return);
    QVERIFY(!again->isEnabled());
    answerNextBox(QStringLiteral("Cancel"));
    QVERIFY(!window->close());
    QCOMPARE(engine.commands.size(), 1);
    answerNextBox(QStringLiteral("Keep running"));
    QVERIFY(window->close());
  }
};

BATCHSCOPE_GUI_TEST(TestClosing)
#include "tst_views_closing.moc"
