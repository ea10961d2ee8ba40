// Larger and smaller text by the keys of the window, in what is open at that moment.
#include "tests/ui/shown_window.h"
#include "ui/views/chart_legend.h"
#include "ui/views/event_panel.h"
#include "ui/views/heatmap_view.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/run_view.h"

using namespace batchscope;
using namespace batchscope::views;
using namespace batchscope::test;

namespace {

bool hasWords(const QWidget* widget) {
  const auto* label = qobject_cast<const QLabel*>(widget);
  const auto* button = qobject_cast<const QAbstractButton*>(widget);
  return (label != nullptr && label->pixmap().isNull() && !label->text().isEmpty()) ||
         (button != nullptr && !button->text().isEmpty()) ||
         qobject_cast<const QLineEdit*>(widget) || qobject_cast<const QComboBox*>(widget) ||
         qobject_cast<const QTabBar*>(widget) || qobject_cast<const QMenuBar*>(widget) ||
         qobject_cast<const QAbstractItemView*>(widget) ||
         qobject_cast<const QPlainTextEdit*>(widget) || qobject_cast<const CurvePlot*>(widget) ||
         qobject_cast<const HeatmapView*>(widget);
}

/// Words in use are neither cut in height nor, where they may not be shortened, in width.
QString cutWords(const QWidget* window) {
  for (const QWidget* widget : window->findChildren<QWidget*>()) {
    if (!widget->isVisible() || !hasWords(widget) ||
        (widget->parentWidget() != nullptr &&
         widget->parentWidget()->inherits("QAbstractSpinBox"))) {
      continue;
    }
    const QString who = QStringLiteral("%1 “%2”: %3 x %4, a line has %5")
                            .arg(QLatin1String(widget->metaObject()->className()),
                                 widget->property("text").toString())
                            .arg(widget->width())
                            .arg(widget->height())
                            .arg(widget->fontMetrics().height());
    if (widget->height() < widget->fontMetrics().height() - 1) {
      return who;
    }
    const auto* table = qobject_cast<const QTableView*>(widget);
    if (table != nullptr && table->rowHeight(0) > 0 &&
        table->rowHeight(0) < table->fontMetrics().height()) {
      return who + QStringLiteral(", a row %1").arg(table->rowHeight(0));
    }
    const auto* button = qobject_cast<const QToolButton*>(widget);
    if (button != nullptr && button->property("legend").toBool() &&
        button->width() < button->fontMetrics().horizontalAdvance(button->text())) {
      return who;
    }
  }
  return {};
}

}  // namespace

class TestTextSize : public UserTest {
  Q_OBJECT
 private:
  std::unique_ptr<test::SampleRun> run_;

 private Q_SLOTS:
  void initTestCase() {
    makeHome();
    run_ = emptyRun("finished");
    run_->write();
    run_->finish();
  }
  void init() { openSettings()->clear(); }

  void everyOpenWidgetFollowsAtOnce() {
    const auto window = showWindow();
    window->openRun(run_->path());
    QTRY_VERIFY(window->isSettled());
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(!loss->legend()->series().isEmpty());
    QHash<const QWidget*, double> before;
    for (const QWidget* widget : window->findChildren<QWidget*>()) {
      if (hasWords(widget)) {  // also what lies on the other pages
        before.insert(widget, widget->fontInfo().pointSizeF());
      }
    }
    QVERIFY(before.size() > 150);
    const double left = loss->plot()->plotRect().left(), top = loss->plot()->plotRect().top();
    const int row = window->findChild<EventPanel*>()->view()->rowHeight(0);
    for (int i = 0; i < 5; ++i) {
      press(window.get(), Qt::Key_Plus, Qt::ControlModifier);
    }
    QCoreApplication::processEvents();
    for (auto it = before.cbegin(); it != before.cend(); ++it) {
      if (!window->findChildren<QWidget*>().contains(it.key())) {
        continue;
      }
      const double ratio = it.key()->fontInfo().pointSizeF() / it.value();
      QVERIFY2(std::abs(ratio - 1.5) < 0.08,
               qPrintable(QStringLiteral("%1 “%2” %3")
                              .arg(QLatin1String(it.key()->metaObject()->className()),
                                   it.key()->property("text").toString(),
                                   QString::number(ratio))));
    }
    QVERIFY(loss->plot()->plotRect().left() > 1.3 * left);
    QVERIFY(loss->plot()->plotRect().top() > 1.2 * top);
    QVERIFY(window->findChild<EventPanel*>()->view()->rowHeight(0) > 1.2 * row);
    for (int i = 0; i < 5; ++i) {
      press(window.get(), Qt::Key_Minus, Qt::ControlModifier);
    }
    QCoreApplication::processEvents();
    QVERIFY(std::abs(loss->plot()->plotRect().left() - left) < 1);
    QCOMPARE(window->findChild<EventPanel*>()->view()->rowHeight(0), row);
  }

  void nothingIsCutInAnySize() {
    const auto window = showWindow();
    window->openRun(run_->path());
    window->addToCompare(run_->path());
    for (const int steps : {-2, 10}) {
      for (int i = 0; i < 12; ++i) {
        press(window.get(), Qt::Key_Minus, Qt::ControlModifier);
      }
      for (int i = -2; i < steps; ++i) {
        press(window.get(), Qt::Key_Plus, Qt::ControlModifier);
      }
      QVERIFY(std::abs(Theme::instance().textScale() - (1 + 0.1 * steps)) < 1e-9);
      for (const QString& page : RunView::pageNames()) {
        window->showPage(page);
        QTRY_VERIFY(window->isSettled());
        QTest::qWait(50);
        const QString cut = cutWords(window.get());
        QVERIFY2(cut.isEmpty(),
                 qPrintable(QStringLiteral("%1 at %2: %3").arg(page).arg(steps).arg(cut)));
      }
    }
  }

  void theSizeIsThereAtTheNextStart() {
    {
      const auto window = showWindow();
      for (int i = 0; i < 3; ++i) {
        press(window.get(), Qt::Key_Plus, Qt::ControlModifier);
      }
      window->close();
    }
    QCOMPARE(Theme::instance().textScale(), 1.0);
    const auto window = showWindow();
    QVERIFY(std::abs(Theme::instance().textScale() - 1.3) < 1e-9);
    window->openRun(run_->path());
    QTRY_VERIFY(window->isSettled());
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(!loss->legend()->series().isEmpty());
    QTRY_COMPARE(cutWords(window.get()), QString());
    QVERIFY(loss->legend()->textOf(QStringLiteral("loss")).startsWith(QStringLiteral("total")));
  }
};

BATCHSCOPE_GUI_TEST(TestTextSize)
#include "tst_views_text_size.moc"
