// Saving a page as a person does: through the dialog, to names that can and that cannot be written.
#include "tests/ui/shown_window.h"

using namespace batchscope;
using namespace batchscope::views;

class TestExport : public test::UserTest {
  Q_OBJECT

  /// Ctrl+E, types the name, Save; the text of the message box that comes, if one does.
  static QString save(MainWindow* window, const QString& path) {
    QString said;
    bool typed = false;
    QTimer timer;
    connect(&timer, &QTimer::timeout, &timer, [&] {
      QWidget* dialog = QApplication::activeModalWidget();
      if (auto* files = qobject_cast<QFileDialog*>(dialog); files != nullptr && !typed) {
        auto* line = files->findChild<QLineEdit*>();
        line->setText(path);  // typed letters race with what the dialog completes
        typed = true;
        // Its button waits for a reading of the folder that is not ours to time.
        QMetaObject::invokeMethod(files, "accept", Qt::QueuedConnection);
      } else if (auto* box = qobject_cast<QMessageBox*>(dialog)) {
        said = box->text();
        box->accept();
      }
    });
    timer.start(20);
    window->activateWindow();
    (void)QTest::qWaitForWindowActive(window);
    test::press(window, Qt::Key_E, Qt::ControlModifier);
    return typed ? said : QStringLiteral("no dialog");
  }

 private Q_SLOTS:
  void initTestCase() {
    QCoreApplication::setAttribute(Qt::AA_DontUseNativeDialogs);
    makeHome();
  }

  void anExportSaysWhatItWroteOrWhyNot() {
    const auto run = liveRun();
    const auto window = showWindow();
    window->openRun(run->path());
    QTRY_VERIFY(window->isSettled());
    QTRY_COMPARE(window->currentRun()->status().step, 50);

    const QString good = home_.filePath(QStringLiteral("page.png"));
    QCOMPARE(save(window.get(), good), QString());
    QVERIFY(!QImage(good).isNull());
    QVERIFY2(window->statusBar()->currentMessage().contains(good),
             qPrintable(window->statusBar()->currentMessage()));

    const QString bare = home_.filePath(QStringLiteral("bare"));
    QCOMPARE(save(window.get(), bare), QString());
    QVERIFY(!QImage(bare + QStringLiteral(".png")).isNull());
    QVERIFY(window->statusBar()->currentMessage().contains(bare + QStringLiteral(".png")));

    const QString drawing = home_.filePath(QStringLiteral("drawing.svg"));
    QVERIFY(save(window.get(), drawing).contains(QStringLiteral("svg")));
    QVERIFY(!QFile::exists(drawing));

    const QString nowhere = QStringLiteral("/proc/page.png");
    QVERIFY(save(window.get(), nowhere).contains(nowhere));
  }
};

BATCHSCOPE_GUI_TEST(TestExport)
#include "tst_views_export.moc"
