// What a person is at stays as it is while the window goes on reading: lines, places, zoom.
#include "tests/ui/shown_window.h"
#include "ui/views/event_panel.h"
#include "ui/views/log_view.h"
#include "ui/views/run_view.h"
#include "ui/views/welcome_page.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

class TestStaying : public UserTest {
  Q_OBJECT
 private:
  std::unique_ptr<test::SampleRun> first_, second_;

  static void write(const QString& path, const QByteArray& text, QIODevice::OpenMode mode) {
    QFile file(path);
    QVERIFY(file.open(mode));
    file.write(text);
  }

 private Q_SLOTS:
  void initTestCase() {
    makeHome();
    first_ = emptyRun("first");
    second_ = emptyRun("second", 300);
    for (test::SampleRun* run : {first_.get(), second_.get()}) {
      run->write();
      run->finish();
    }
  }
  void init() { openSettings()->clear(); }

  void recentRunsKeepFocusAndClick() {
    const auto window = showWindow();
    session::RunListModel* model = window->runListModel();
    QTRY_COMPARE(model->rowCount(), 2);
    const auto line = [&]() -> QPushButton* {
      for (auto* button : window->welcomePage()->findChildren<QPushButton*>()) {
        if (button->text().startsWith(QStringLiteral("second"))) {
          return button;
        }
      }
      return nullptr;
    };
    QTRY_VERIFY(line() != nullptr);
    const QPointer<QPushButton> recent = line();
    const auto scan = [&] {
      QSignalSpy scanned(model, &session::RunListModel::refreshed);
      model->refresh();
      QTRY_VERIFY(!scanned.isEmpty());
    };
    recent->setFocus();
    scan();
    scan();
    QVERIFY(recent != nullptr);
    QCOMPARE(QApplication::focusWidget(), recent.data());
    // Between press and release the list is read again.
    QTest::mousePress(recent, Qt::LeftButton, {}, recent->rect().center());
    scan();
    QVERIFY(recent != nullptr);
    QTest::mouseRelease(recent, Qt::LeftButton, {}, recent->rect().center());
    QTRY_VERIFY(window->currentRun() != nullptr);
    QTRY_COMPARE(window->currentRun()->info().name, QStringLiteral("second"));
  }

  void theLogStaysWhereItIsRead() {
    const QString path = first_->path() + QStringLiteral("/logs/rank0.log");
    QByteArray lines;
    for (int i = 0; i < 400; ++i) {
      lines += "line " + QByteArray::number(i) + '\n';
    }
    write(path, lines, QIODevice::WriteOnly);
    const auto window = showWindow();
    window->openRun(first_->path());
    auto* dock = window->findChild<QDockWidget*>(QStringLiteral("log"));
    dock->show();
    dock->raise();
    LogView* log = window->findChild<LogPanel*>()->view();
    QTRY_VERIFY(log->toPlainText().contains(QStringLiteral("line 399")));
    // At its end it follows.
    QScrollBar* bar = log->verticalScrollBar();
    QTRY_VERIFY(bar->maximum() > 20 && bar->value() == bar->maximum());
    write(path, "line 400\n", QIODevice::Append);
    QTRY_VERIFY(log->toPlainText().contains(QStringLiteral("line 400")));
    QCOMPARE(bar->value(), bar->maximum());
    // Scrolled up, with words selected by the mouse, it stays.
    bar->setValue(100);
    const QRect view = log->viewport()->rect();
    QTest::mousePress(log->viewport(), Qt::LeftButton, {}, QPoint(4, view.height() / 2));
    QTest::mouseMove(log->viewport(), QPoint(60, view.height() / 2));
    QTest::mouseRelease(log->viewport(), Qt::LeftButton, {}, QPoint(60, view.height() / 2));
    const QString selected = log->textCursor().selectedText();
    QVERIFY(!selected.isEmpty());
    const int place = bar->value();
    for (int i = 0; i < 3; ++i) {
      write(path, "more " + QByteArray::number(i) + "\n", QIODevice::Append);
      QTRY_VERIFY(log->toPlainText().contains(QStringLiteral("more %1").arg(i)));
      QCOMPARE(bar->value(), place);
      QCOMPARE(log->textCursor().selectedText(), selected);
    }
  }

  void zoomBelongsToItsPages() {
    const auto window = showWindow();
    window->openRun(first_->path());
    window->addToCompare(first_->path());
    window->addToCompare(second_->path());
    window->showPage(QStringLiteral("overview"));
    QTRY_VERIFY(window->isSettled());
    RunView* view = window->runView();
    CurveChart* loss = chartOf(view->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(!loss->isEmpty());
    clickOn(loss->plot()->viewport());
    QTRY_VERIFY(loss->hasFocus());
    press(window.get(), Qt::Key_Plus);
    press(window.get(), Qt::Key_Plus);
    const auto zoom = view->link()->range();
    QVERIFY(zoom.has_value());
    // The pages of a run look at one place of it.
    press(window.get(), Qt::Key_2, Qt::ControlModifier);
    QTRY_VERIFY(window->isSettled());
    QCOMPARE(view->link()->range(), zoom);
    CurveChart* d = chartOf(view->page(), QStringLiteral("Noise fraction"));
    QTRY_COMPARE(d->plot()->xRange(), *zoom);
    // A chart that is first seen while zoomed can be zoomed out of.
    clickOn(d->plot()->viewport());
    QTRY_VERIFY(d->hasFocus());
    press(window.get(), Qt::Key_Minus);
    QTRY_VERIFY(d->plot()->xRange().span() > 1.5 * zoom->span());
    press(window.get(), Qt::Key_Z, Qt::ControlModifier);
    QTRY_COMPARE(d->plot()->xRange(), *zoom);
    // The comparison has its own, and its own way back.
    press(window.get(), Qt::Key_5, Qt::ControlModifier);
    QTRY_VERIFY(window->isSettled());
    QVERIFY(!view->link()->range().has_value());
    press(window.get(), Qt::Key_Z, Qt::ControlModifier);
    QVERIFY(!view->link()->range().has_value());
    press(window.get(), Qt::Key_1, Qt::ControlModifier);
    QCOMPARE(view->link()->range(), zoom);
    // Another run: neither its zoom nor the way back to it.
    window->openRun(second_->path());
    QTRY_VERIFY(window->isSettled());
    QVERIFY(!view->link()->range().has_value());
    press(window.get(), Qt::Key_Z, Qt::ControlModifier);
    QVERIFY(!view->link()->range().has_value());
    // Axis and smoothing are those of all pages.
    view->link()->setKind(session::XKind::kImages);
    view->link()->setSmoothing(0.5);
    window->showPage(QStringLiteral("compare"));
    QCOMPARE(view->link()->kind(), session::XKind::kImages);
    QCOMPARE(view->link()->smoothing(), 0.5);
  }
};

BATCHSCOPE_GUI_TEST(TestStaying)
#include "tst_views_staying.moc"
