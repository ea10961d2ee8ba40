#include "tests/support/test_program.h"
#include "tests/ui/views_fixture.h"
#include "ui/session/playhead.h"
#include "ui/views/chart_legend.h"
#include "ui/views/command_palette.h"
#include "ui/views/compare_page.h"
#include "ui/views/curve_chart.h"
#include "ui/views/heatmap_view.h"
#include "ui/views/main_window.h"
#include "ui/views/moments_page.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/overview_page.h"
#include "ui/views/pixel_overlay.h"
#include "ui/views/probe_view.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_banners.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_status_line.h"
#include "ui/views/run_view.h"
#include "ui/views/samples_page.h"
#include "ui/views/theme.h"
#include "ui/views/variance_page.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QtTest>
#include <QtWidgets>

using namespace batchscope;
using namespace batchscope::views;

namespace {

/// Presses the button of the message box that comes up, by its text.
void answerNextBox(const QString& button, bool remember = false) {
  auto* timer = new QTimer(qApp);
  QObject::connect(timer, &QTimer::timeout, timer, [timer, button, remember] {
    for (QWidget* widget : QApplication::topLevelWidgets()) {
      auto* box = qobject_cast<QMessageBox*>(widget);
      if (box == nullptr || !box->isVisible()) {
        continue;
      }
      if (remember && box->checkBox() != nullptr) {
        box->checkBox()->setChecked(true);
      }
      for (QAbstractButton* each : box->buttons()) {
        if (each->text().remove(QLatin1Char('&')) == button) {
          timer->deleteLater();
          each->click();
          return;
        }
      }
    }
  });
  timer->start(20);
}

CurveChart* chartOf(QWidget* parent, const QString& title) {
  for (CurveChart* chart : parent->findChildren<CurveChart*>()) {
    if (chart->title().startsWith(title)) {
      return chart;
    }
  }
  return nullptr;
}

QComboBox* comboOf(QWidget* parent, const QString& name) {
  for (QComboBox* box : parent->findChildren<QComboBox*>()) {
    if (box->accessibleName() == name) {
      return box;
    }
  }
  return nullptr;
}

bool needsName(const QWidget* widget) {
  return qobject_cast<const QAbstractButton*>(widget) || qobject_cast<const QLineEdit*>(widget) ||
         qobject_cast<const QComboBox*>(widget) || qobject_cast<const QAbstractSpinBox*>(widget) ||
         qobject_cast<const QAbstractSlider*>(widget) ||
         qobject_cast<const QAbstractItemView*>(widget) ||
         qobject_cast<const QPlainTextEdit*>(widget) || qobject_cast<const CurveChart*>(widget);
}

/// Parts that Qt makes inside its own widgets.
bool isInternal(const QWidget* widget) {
  if (widget->objectName().startsWith(QLatin1String("qt_")) ||
      qobject_cast<const QScrollBar*>(widget) || qobject_cast<const QHeaderView*>(widget) ||
      widget->inherits("QDockWidgetTitleButton") || widget->inherits("QTableCornerButton") ||
      widget->inherits("QComboBoxListView") || widget->inherits("QLineEditIconButton")) {
    return true;
  }
  const QWidget* parent = widget->parentWidget();
  return qobject_cast<const QAbstractSpinBox*>(parent) || qobject_cast<const QComboBox*>(parent) ||
         (parent != nullptr &&
          (qobject_cast<const QTabBar*>(parent) || qobject_cast<const QToolBar*>(parent)) &&
          widget->objectName().isEmpty() && qobject_cast<const QToolButton*>(widget) &&
          static_cast<const QToolButton*>(widget)->defaultAction() == nullptr);
}

}  // namespace

class TestWindow : public QObject {
  Q_OBJECT
 private:
  QTemporaryDir home_;
  QString library_;
  std::unique_ptr<test::SampleRun> first_, second_;

  std::unique_ptr<MainWindow> makeWindow(bool reattach = false) {
    auto window = std::make_unique<MainWindow>(WindowOptions{library_, {}, reattach});
    window->resize(1500, 1000);
    window->show();
    return window;
  }

 private Q_SLOTS:
  void initTestCase() {
    QVERIFY(home_.isValid());
    QSettings::setPath(
        QSettings::IniFormat, QSettings::UserScope, home_.filePath(QStringLiteral("config")));
    Theme::instance().apply(ThemeMode::kLight);
    library_ = home_.filePath(QStringLiteral("library"));
    first_ = std::make_unique<test::SampleRun>(library_.toStdString(), "a1b2c3d4e5f6", "first");
    first_->write();
    first_->finish();
    second_ = std::make_unique<test::SampleRun>(
        library_.toStdString(), "b1b2c3d4e5f6", "second", 300, 0.02);
    second_->write();
    second_->finish();
  }
  void init() { openSettings()->clear(); }

  void everyActionIsDescribedAndUnique() {
    const auto window = makeWindow();
    QHash<QString, QString> keys;
    QSet<QString> texts;
    for (const QAction* action : window->actions().all()) {
      QVERIFY2(!action->text().isEmpty(), qPrintable(action->objectName()));
      QVERIFY2(!action->statusTip().isEmpty() && !action->toolTip().isEmpty(),
               qPrintable(action->objectName()));
      QVERIFY2(!texts.contains(action->text()), qPrintable(action->text()));
      texts.insert(action->text());
      const QString key = action->property("keys").value<QKeySequence>().toString();
      if (!key.isEmpty()) {
        QVERIFY2(!keys.contains(key),
                 qPrintable(key + QLatin1Char(' ') + keys.value(key) + QLatin1Char(' ') +
                            action->objectName()));
        keys.insert(key, action->objectName());
      }
    }
    // The keys that the window promises.
    for (const auto& [key, id] :
         QList<std::pair<const char*, const char*>>{{"Ctrl+N", "new_run"},
                                                    {"Ctrl+O", "open"},
                                                    {"Ctrl+R", "resume"},
                                                    {"Ctrl+P", "pause"},
                                                    {"Ctrl+.", "stop_save"},
                                                    {"Ctrl+T", "switch_optimizer"},
                                                    {"Ctrl+Alt+Z", "undo_change"},
                                                    {"Ctrl+1", "page_overview"},
                                                    {"Ctrl+5", "page_compare"},
                                                    {"Ctrl+F", "filter"},
                                                    {"F6", "next_pane"},
                                                    {"Ctrl+K", "palette"},
                                                    {"?", "shortcuts"},
                                                    {"Space", "replay_toggle"},
                                                    {"L", "chart_log"},
                                                    {"T", "chart_table"},
                                                    {"N", "next_nonfinite"},
                                                    {"X", "cycle_x"},
                                                    {"C", "compare_add"},
                                                    {"F", "fork"},
                                                    {"F11", "full_screen"}}) {
      QCOMPARE(keys.value(QLatin1String(key)), QLatin1String(id));
    }
  }

  void everyActionIsInAMenu() {
    const auto window = makeWindow();
    QSet<QAction*> shown;
    for (const QMenu* menu : window->menuBar()->findChildren<QMenu*>()) {
      for (QAction* action : menu->actions()) {
        shown.insert(action);
      }
    }
    for (QAction* action : window->actions().all()) {
      const bool keyOnly = action->objectName().startsWith(QLatin1String("cursor_")) ||
                           action->objectName().startsWith(QLatin1String("series_"));
      QVERIFY2(shown.contains(action) || keyOnly, qPrintable(action->objectName()));
    }
  }

  void everyInputHasAName() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    QTRY_VERIFY(window->isSettled());
    for (const QString& page : RunView::pageNames()) {
      window->showPage(page);
      QTest::qWait(50);
    }
    int checked = 0;
    for (const QWidget* widget : window->findChildren<QWidget*>()) {
      if (!needsName(widget) || isInternal(widget)) {
        continue;
      }
      ++checked;
      QString name = widget->accessibleName();
      if (const auto* button = qobject_cast<const QAbstractButton*>(widget);
          button != nullptr && name.isEmpty()) {
        name = button->text();
      }
      const QString path = QLatin1String(widget->metaObject()->className()) +
                           QStringLiteral(" in ") +
                           QLatin1String(widget->parentWidget()->metaObject()->className()) +
                           QLatin1Char(' ') + widget->objectName();
      QVERIFY2(!name.isEmpty(), qPrintable(path));
    }
    QVERIFY(checked > 60);
  }

  void welcomeOffersTheWays() {
    const auto window = makeWindow();
    QVERIFY(window->welcomePage()->isVisible());
    window->welcomePage()->setDemo({});
    QVERIFY(!window->welcomePage()->demoButton()->isEnabled());
    QVERIFY(window->welcomePage()->demoButton()->toolTip().contains(QStringLiteral("demo.bscope")));
    window->welcomePage()->setDemo(first_->path());
    QVERIFY(window->welcomePage()->demoButton()->isEnabled());
    QVERIFY(window->welcomePage()->startButton()->isEnabled());
    QVERIFY(!window->optimizerPanel()->isVisible());
  }

  void runListFiltersAndOpens() {
    const auto window = makeWindow();
    QTRY_COMPARE(window->runListModel()->rowCount(), 2);
    QTreeView* view = window->runListPanel()->view();
    QTRY_COMPARE(view->model()->rowCount(), 2);
    window->runListPanel()->filter()->setText(QStringLiteral("second"));
    QCOMPARE(view->model()->rowCount(), 1);
    window->runListPanel()->filter()->setText(QStringLiteral("nothing like it"));
    QCOMPARE(view->model()->rowCount(), 0);
    bool said = false;
    for (const QLabel* label : window->runListPanel()->findChildren<QLabel*>()) {
      said = said || label->text() == QStringLiteral("No run matches “nothing like it”.");
    }
    QVERIFY(said);
    window->runListPanel()->filter()->clear();
    window->runListPanel()->select(QStringLiteral("b1b2c3d4e5f6"));
    QVERIFY(window->runListPanel()->selectedFolder().endsWith(QStringLiteral("b1b2c3d4e5f6")));
    Q_EMIT window->runListPanel()->openWanted(window->runListPanel()->selectedFolder());
    QTRY_COMPARE(window->currentRun()->info().name, QStringLiteral("second"));
  }

  void overviewShowsTheRun() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    QTRY_VERIFY(window->isSettled());
    QWidget* page = window->runView()->page();
    CurveChart* loss = chartOf(page, QStringLiteral("Loss"));
    QTRY_COMPARE(loss->legend()->series().size(), 5);
    QVERIFY(
        loss->legend()->textOf(QStringLiteral("loss")).contains(QStringLiteral("1 non-finite")));
    int abandoned = 0;
    for (const Curve& curve : loss->plot()->curves()) {
      abandoned += curve.abandoned;
      QVERIFY(curve.points.size() <= 2 * loss->plot()->pixels() + 4);
    }
    QCOMPARE(abandoned, 5);
    QStringList marks;
    for (const EventMark& mark : loss->plot()->marks()) {
      marks.append(mark.label);
    }
    QCOMPARE(marks.count(QStringLiteral("SGD + AGVM")), 1);
    QCOMPARE(marks.count(QStringLiteral("LAMB")), 1);
    QCOMPARE(marks.count(QStringLiteral("undo")), 1);
    CurveChart* ap = chartOf(page, QStringLiteral("Evaluations"));
    QTRY_COMPARE(ap->legend()->series().size(), 3);
    QTRY_COMPARE(page->findChildren<ProbeView*>().size(), 4);
  }

  void everyPageDrawsInBothThemes() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    window->addToCompare(second_->path());
    for (const ThemeMode mode : {ThemeMode::kDark, ThemeMode::kLight}) {
      Theme::instance().apply(mode);
      for (const QString& page : RunView::pageNames()) {
        QVERIFY(window->showPage(page));
        QTRY_VERIFY(window->isSettled());
        const QImage image = window->runView()->page()->grab().toImage();
        QSet<QRgb> seen;
        for (int i = 0; i < 4000; ++i) {
          seen.insert(image.pixel((i * 7919) % image.width(), (i * 104729) % image.height()));
        }
        QVERIFY2(seen.size() > 8, qPrintable(page));
      }
    }
    QVERIFY(!window->showPage(QStringLiteral("no such page")));
  }

  void variancePageHasExpectationAndModules() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    window->showPage(QStringLiteral("variance"));
    QTRY_VERIFY(window->isSettled());
    QWidget* page = window->runView()->page();
    CurveChart* d = chartOf(page, QStringLiteral("Noise fraction"));
    QTRY_COMPARE(d->legend()->series().size(), 5);  // four modules and "expected"
    // d(B) = 2 Bn / (B + 2 Bn): at Bn = B / 2 it is one half.
    QCOMPARE(expectedNoiseFraction(64, 128), 0.5);
    int forecasts = 0;
    for (const Curve& curve : d->plot()->curves()) {
      forecasts += curve.forecast;
    }
    QCOMPARE(forecasts, 4);
    auto* map = page->findChild<HeatmapView*>();
    QTRY_VERIFY(map->valueRange().span() > 0);
    QTest::keyClick(map, Qt::Key_Down);
    QCOMPARE(map->currentRow(), 0);
  }

  void variancePageShowsTheVariance() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    window->showPage(QStringLiteral("variance"));
    QTRY_VERIFY(window->isSettled());
    QWidget* page = window->runView()->page();
    CurveChart* d = chartOf(page, QStringLiteral("Noise fraction"));
    auto* curve = comboOf(page, QStringLiteral("Curve of the gradient noise"));
    auto* of = comboOf(page, QStringLiteral("Gradient of the noise scale"));
    QVERIFY(d && curve && of);
    curve->setCurrentIndex(1);
    QCOMPARE(d->title(), QStringLiteral("Gradient variance (lr·μ)²·d"));
    QTRY_COMPARE(d->legend()->series().size(), 4);  // nothing is expected of it
    for (const Curve& each : d->plot()->curves()) {
      QVERIFY2(each.series.startsWith(QStringLiteral("phi/")), qPrintable(each.series));
    }
    CurveChart* scale = chartOf(page, QStringLiteral("Noise scale"));
    of->setCurrentIndex(1);
    QTRY_VERIFY(!scale->plot()->curves().isEmpty() &&
                scale->plot()->curves().first().series.startsWith(QStringLiteral("noise_pre/")));
  }

  void momentsPageHasHorizonsAndShadows() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    window->showPage(QStringLiteral("moments"));
    QTRY_VERIFY(window->isSettled());
    auto* page = qobject_cast<MomentsPage*>(window->runView()->page());
    QVERIFY(page != nullptr);
    CurveChart* memory = chartOf(page, QStringLiteral("Memory"));
    QTRY_COMPARE(memory->legend()->series().size(), 4);
    QTRY_COMPARE(chartOf(page, QStringLiteral("Moment decay"))->legend()->series().size(), 3);
    page->showShadows(true);
    QTRY_VERIFY(window->isSettled());
    CurveChart* cosine = chartOf(page, QStringLiteral("Cosine"));
    CurveChart* update = chartOf(page, QStringLiteral("Update norm"));
    auto* which = comboOf(page, QStringLiteral("Which shadow or module"));
    QCOMPARE(which->count(), 2 + 4);
    QTRY_COMPARE(cosine->legend()->series().size(), 4);  // a shadow, every module
    which->setCurrentIndex(2);                           // every shadow, one module
    QTRY_COMPARE(cosine->legend()->series().size(), 2);
    QTRY_COMPARE(update->legend()->series().size(), 3);  // with the real one
    QVERIFY(!chartOf(page, QStringLiteral("Time of the shadows"))->isEmpty());
  }

  void samplesFollowTheScore() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    window->showPage(QStringLiteral("samples"));
    auto* page = qobject_cast<SamplesPage*>(window->runView()->page());
    QTRY_COMPARE(page->views().size(), 4);
    QTRY_COMPARE(page->views().first()->shownPredictions(), 2);
    page->scoreSlider()->setValue(10);
    QCOMPARE(page->views().first()->shownPredictions(), 3);
    page->scoreSlider()->setValue(80);
    QCOMPARE(page->views().first()->shownPredictions(), 1);
  }

  // 4 x 3 pixels: a predicted mask in the first column, a true one in the last.
  void masksAreFilledAndOutlined() {
    session::ProbeItem probe;
    probe.width = 4;
    probe.height = 3;
    probe.truth = {{3, 0, 4, 3, 1, QStringLiteral("a"), 1}};
    probe.predictions = {{0, 0, 1, 3, 2, QStringLiteral("b"), 0.6}};
    probe.truthPixels.masks = {{9, 3}};
    probe.predictionPixels.masks = {{0, 3, 9}};
    const QImage both = pixelOverlay(probe, {0.5, true, true});
    QCOMPARE(both.size(), QSize(4, 3));
    QColor fill = darkPalette().seriesColor(2);
    const QColor drawn = both.pixelColor(0, 1);
    QVERIFY(drawn.alpha() > 0 && std::abs(drawn.hue() - fill.hue()) < 6);
    QCOMPARE(both.pixelColor(1, 1).alpha(), 0);
    QVERIFY(both.pixelColor(2, 1).lightness() > 200);  // where the true mask begins
    QCOMPARE(both.pixelColor(3, 1).alpha(), 0);
    QCOMPARE(pixelOverlay(probe, {0.7, false, true}).pixelColor(0, 1).alpha(), 0);
    QVERIFY(pixelOverlay(probe, {0.7, true, false}).pixelColor(3, 0).alpha() > 0);
    probe.predictionPixels = {{}, {0, 5, 2, 99}};  // classes of pixels; more than there are
    const QImage map = pixelOverlay(probe, {0.7, false, true});
    QCOMPARE(map.pixelColor(0, 1).alpha(), 0);
    QVERIFY(map.pixelColor(1, 1).alpha() > 0 && map.pixelColor(3, 2).alpha() > 0);
  }

  void replayMovesEverything() {
    const auto window = makeWindow();
    session::RunSession* run = window->openRun(first_->path());
    QTRY_VERIFY(window->isSettled());
    ReplayBar* bar = window->runView()->replayBar();
    QTRY_VERIFY(bar->isEnabled());
    QCOMPARE(bar->timeline()->flags().size(), 4);  // NaN, LAMB, undo, AGVM
    QCOMPARE(bar->timeline()->value(), TimelineStrip::kSteps);
    bar->timeline()->setValue(TimelineStrip::kSteps / 4);
    QVERIFY(!run->playhead()->isFollowing());
    QVERIFY(std::abs(run->playhead()->position() / run->playhead()->duration() - 0.25) < 1e-3);
    const auto step = run->playheadSample().step;
    QVERIFY(step > 80 && step < 130);
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(loss->plot()->xRange().high <= static_cast<double>(step) + 1);
    bar->nextEvent();
    QVERIFY(run->playhead()->position() / run->playhead()->duration() > 0.25);
    bar->speedBox()->setCurrentIndex(bar->speedBox()->findData(1000.0));
    QCOMPARE(run->playhead()->speed(), 1000.0);
    bar->togglePlay();
    QTRY_COMPARE(run->playhead()->position(), run->playhead()->duration());
    bar->timeline()->setValue(10);
    bar->followLive();
    QVERIFY(run->playhead()->isFollowing());
    QCOMPARE(bar->timeline()->value(), TimelineStrip::kSteps);
  }

  void comparePageLaysRunsOver() {
    const auto window = makeWindow();
    QVERIFY(window->addToCompare(first_->path()));
    QVERIFY(window->addToCompare(second_->path()));
    QVERIFY(!window->addToCompare(second_->path()));
    QTRY_VERIFY(window->isSettled());
    ComparePage* page = window->runView()->comparePage();
    CurveChart* overlay = chartOf(page, QStringLiteral("Runs over"));
    QTRY_COMPARE(overlay->legend()->series().size(), 2);
    QTRY_COMPARE(page->targetTable()->rowCount(), 2);
    QCOMPARE(page->targetTable()->item(0, 0)->text(), QStringLiteral("first"));
    QVERIFY(page->targetTable()->item(0, 1)->text() != QStringLiteral("not reached"));
    bool lr = false;
    const QAbstractItemModel* settings = window->compare()->settings();
    for (int row = 0; row < settings->rowCount(); ++row) {
      lr = lr || settings->index(row, 0).data().toString() == QLatin1String("optim.lr");
    }
    QVERIFY(lr);
    window->runView()->link()->setKind(session::XKind::kImages);
    QTRY_COMPARE(overlay->plot()->xRange().high, 400.0 * 128);
    window->compare()->clear();
    QTRY_COMPARE(page->targetTable()->rowCount(), 0);
  }

  // A semantic run beside one with boxes: the figure of each can be chosen and is drawn.
  void comparePageDrawsEveryFigure() {
    test::SampleRun maps(library_.toStdString(), "5e5e5e5e5e5e", "maps", 100);
    maps.task("semantic");
    maps.write();
    maps.finish();
    test::SampleRun both(library_.toStdString(), "6e6e6e6e6e6e", "maps and boxes", 100);
    both.task("panoptic");
    both.write();
    both.finish();
    {
      const auto window = makeWindow();
      QVERIFY(window->addToCompare(both.path()));
      QTRY_VERIFY(window->isSettled());
      ComparePage* page = window->runView()->comparePage();
      QComboBox* metric = comboOf(page, QStringLiteral("Metric of the target"));
      QTRY_COMPARE(metric->currentText(), QStringLiteral("PQ"));
      QVERIFY(window->addToCompare(maps.path()));
      CurveChart* chart = chartOf(page, QStringLiteral("Evaluations"));
      QTRY_COMPARE(chart->plot()->curves().size(), 1);
      QTRY_VERIFY(metric->findText(QStringLiteral("mIoU")) >= 0);
      QTRY_VERIFY(window->isSettled());
      metric->setCurrentText(QStringLiteral("mIoU"));
      QTRY_COMPARE(chart->plot()->curves().size(), 2);
      window->compare()->clear();
    }
    {
      const auto window = makeWindow();
      QVERIFY(window->addToCompare(maps.path()));
      QComboBox* metric =
          comboOf(window->runView()->comparePage(), QStringLiteral("Metric of the target"));
      QTRY_COMPARE(metric->currentText(), QStringLiteral("mIoU"));
      window->compare()->clear();
    }
    for (const test::SampleRun* run : {&maps, &both}) {
      QDir(run->path()).removeRecursively();
    }
  }

  void damagedRunIsSaidInThePage() {
    const QString path = home_.filePath(QStringLiteral("broken.bscope"));
    QFile file(path);
    QVERIFY(file.open(QIODevice::WriteOnly));
    file.write("this is no run");
    file.close();
    const auto window = makeWindow();
    session::RunSession* run = window->openRun(path);
    QTRY_COMPARE(run->state(), session::RunSession::State::kFailed);
    QTRY_COMPARE(window->runView()->findChildren<Banner*>().size(), 1);
    QCOMPARE(window->runView()->findChild<Banner*>()->text(), run->failure());
  }

  void failedRunSaysWhere() {
    test::SampleRun diverged(
        (home_.filePath(QStringLiteral("other"))).toStdString(), "d1b2c3d4e5f6", "diverged", 100);
    diverged.rows(1, 60);
    diverged.event("diverged", 60, "The loss passed 1e4 in roi_head.", {});
    diverged.finish(contract::RunState::kFailed);
    const auto window = makeWindow();
    session::RunSession* run = window->openRun(diverged.path());
    QTRY_COMPARE(run->status().state, contract::RunState::kFailed);
    QTRY_VERIFY(!noticesOf(*run).isEmpty());
    const RunNotice notice = noticesOf(*run).first();
    QCOMPARE(notice.kind, Banner::Kind::kBad);
    QVERIFY2(notice.text.contains(QStringLiteral("roi_head")), qPrintable(notice.text));
    QCOMPARE(notice.step, 60);
    QVERIFY(notice.canContinue);
  }

  void singleKeysNeedAChart() {
    const auto window = makeWindow();
    window->openRun(first_->path());
    QTRY_VERIFY(window->isSettled());
    window->activateWindow();
    window->runListPanel()->filter()->setFocus();
    QTRY_VERIFY(!window->actions()["chart_log"]->isEnabled());
    QVERIFY(window->actions()["cycle_x"]->shortcut().isEmpty());
    CurveChart* loss = chartOf(window->runView()->page(), QStringLiteral("Loss"));
    QTRY_VERIFY(!loss->isEmpty());
    loss->setFocus();
    QTRY_VERIFY(window->actions()["chart_log"]->isEnabled());
    QCOMPARE(window->actions()["cycle_x"]->shortcut(), QKeySequence(Qt::Key_X));
    window->actions()["chart_log"]->trigger();
    QVERIFY(loss->plot()->isLog());
    window->actions()["cycle_x"]->trigger();
    QCOMPARE(window->runView()->link()->kind(), session::XKind::kImages);
    window->actions()["cursor_right"]->trigger();
    QVERIFY(window->runView()->link()->cursor().has_value());
  }

  void paletteFindsCommands() {
    const auto window = makeWindow();
    CommandPalette palette(window->actions());
    palette.search()->setText(QStringLiteral("heat map nothing"));
    QCOMPARE(palette.list()->count(), 0);
    palette.search()->setText(QStringLiteral("full screen"));
    QCOMPARE(palette.list()->count(), 1);
    QTest::keyClick(palette.search(), Qt::Key_Return);
    QCOMPARE(palette.chosen(), window->actions()["full_screen"]);
  }

  void layoutIsRemembered() {
    {
      const auto window = makeWindow();
      window->openRun(first_->path());
      for (QDockWidget* dock : window->findChildren<QDockWidget*>()) {
        dock->setVisible(dock->objectName() != QLatin1String("runs"));
      }
      window->close();
    }
    const auto window = makeWindow();
    window->openRun(first_->path());
    QVERIFY(window->findChild<QDockWidget*>(QStringLiteral("runs"))->isHidden());
    QVERIFY(!window->findChild<QDockWidget*>(QStringLiteral("events"))->isHidden());
  }

  void closingAsksAndLeavesTheTraining() {
    test::SampleRun live(library_.toStdString(), "e1b2c3d4e5f6", "live", 400);
    live.rows(1, 100);
    test::FakeEngine engine(live, [](const contract::Command&) {
      contract::Reply reply;
      reply.ok = true;
      return reply;
    });
    {
      // Starting attaches to what still trains.
      const auto window = makeWindow(true);
      QTRY_VERIFY(window->currentRun() != nullptr && window->currentRun()->canControl());
      QCOMPARE(window->currentRun()->info().name, QStringLiteral("live"));
      answerNextBox(QStringLiteral("Cancel"));
      QVERIFY(!window->close());
      answerNextBox(QStringLiteral("Keep running"));
      QVERIFY(window->close());
      QVERIFY(engine.commands.isEmpty());
    }
    const auto again = makeWindow(true);
    QTRY_VERIFY(again->currentRun() != nullptr && again->currentRun()->canControl());
    answerNextBox(QStringLiteral("Stop and save"), true);
    QVERIFY(again->close());
    QCOMPARE(engine.commands.size(), 1);
    QCOMPARE(std::get<contract::StopCommand>(engine.commands.first().body).mode,
             contract::StopMode::kSave);
    QCOMPARE(openSettings()->value(QStringLiteral("close")).toString(), QStringLiteral("stop"));
  }

  void statusLineFollowsTheRun() {
    const auto window = makeWindow();
    auto* line = window->findChild<RunStatusLine*>();
    QCOMPARE(line->text().trimmed(), QStringLiteral("No run is open."));
    window->openRun(second_->path());
    QTRY_VERIFY2(line->text().contains(QStringLiteral("finished Step 300 of 300")),
                 qPrintable(line->text()));
  }

  void textScalesBothWays() {
    const auto window = makeWindow();
    const double before = QApplication::font().pointSizeF();
    for (int i = 0; i < 20; ++i) {
      window->actions()["text_larger"]->trigger();
    }
    QVERIFY(std::abs(QApplication::font().pointSizeF() / before - 2.0) < 0.05);
    for (int i = 0; i < 40; ++i) {
      window->actions()["text_smaller"]->trigger();
    }
    QVERIFY(std::abs(QApplication::font().pointSizeF() / before - 0.8) < 0.05);
  }

  void rightToLeftDoesNotBreak() {
    QApplication::setLayoutDirection(Qt::RightToLeft);
    const auto window = makeWindow();
    window->openRun(first_->path());
    QTRY_VERIFY(window->isSettled());
    QVERIFY(!window->grab().isNull());
    QApplication::setLayoutDirection(Qt::LeftToRight);
  }
};

BATCHSCOPE_GUI_TEST(TestWindow)
#include "tst_views_window.moc"
