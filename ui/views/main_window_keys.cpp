// The part of MainWindow that knows what has the focus: keys of the charts, and F6.
#include "ui/views/curve_chart.h"
#include "ui/views/event_panel.h"
#include "ui/views/main_window.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_view.h"
#include "ui/views/welcome_page.h"

#include <QApplication>
#include <QComboBox>
#include <QDockWidget>
#include <QLineEdit>
#include <QMenuBar>
#include <QPushButton>
#include <QSlider>
#include <QStackedWidget>
#include <QStatusBar>
#include <QTableView>

namespace batchscope::views {

namespace {

/// The widget of a page that F6 goes to: its first chart, else the first that takes the focus.
QWidget* entryOf(QWidget* page) {
  QWidget* first = nullptr;
  for (QWidget* next = page->nextInFocusChain(); next != page; next = next->nextInFocusChain()) {
    if (!page->isAncestorOf(next) || !next->isVisible() || !next->isEnabled() ||
        !(next->focusPolicy() & Qt::TabFocus)) {
      continue;
    }
    if (qobject_cast<CurveChart*>(next)) {
      return next;
    }
    first = first ? first : next;
  }
  return first ? first : page;
}

}  // namespace

void MainWindow::connectChartCommands() {
  onChart("chart_zoom_in", [](CurveChart* chart) { chart->zoom(2); });
  onChart("chart_zoom_out", [](CurveChart* chart) { chart->zoom(0.5); });
  onChart("chart_fit", [](CurveChart* chart) { chart->fit(); });
  onChart("chart_log", [](CurveChart* chart) { chart->toggleLog(); });
  onChart("chart_table", [](CurveChart* chart) { chart->toggleTable(); });
  onChart("chart_image", [](CurveChart* chart) { chart->copyImage(); });
  onChart("chart_csv", [](CurveChart* chart) { chart->copyCsv(); });
  onChart("cursor_right", [](CurveChart* chart) { chart->moveCursor(1); });
  onChart("cursor_left", [](CurveChart* chart) { chart->moveCursor(-1); });
  onChart("cursor_right_ten", [](CurveChart* chart) { chart->moveCursor(10); });
  onChart("cursor_left_ten", [](CurveChart* chart) { chart->moveCursor(-10); });
  onChart("cursor_next_event", [](CurveChart* chart) { chart->cursorToMark(1); });
  onChart("cursor_previous_event", [](CurveChart* chart) { chart->cursorToMark(-1); });
  onChart("series_next", [](CurveChart* chart) { chart->selectSeries(1); });
  onChart("series_previous", [](CurveChart* chart) { chart->selectSeries(-1); });
  onChart("next_nonfinite", [](CurveChart* chart) { chart->cursorToNonFinite(); });
  on("cycle_x", [this] { runView_->link()->cycleKind(); });
  on("smooth", [this] { smoothing_->setFocus(Qt::ShortcutFocusReason); });
  actions_->setChartFocus(false, false);
  connect(
      qApp, &QApplication::focusChanged, this, [this](QWidget*, QWidget* now) { takeFocus(now); });
  for (CurveChart* chart : findChildren<CurveChart*>()) {
    connect(chart, &CurveChart::announced, this, [this](const QString& text) {
      statusBar()->showMessage(text, 4000);
    });
  }
}

void MainWindow::takeFocus(QWidget* now) {
  // A dialog or the palette takes the focus for a moment: its command still means the same chart.
  if (now == nullptr || now->window() != this) {
    return;
  }
  if (now == menuBar()) {
    // So does the menu bar, which has letters of its own.
    actions_->setChartFocus(chart_ != nullptr, false);
    return;
  }
  chart_ = nullptr;
  for (QWidget* widget = now; widget != nullptr && !chart_; widget = widget->parentWidget()) {
    chart_ = qobject_cast<CurveChart*>(widget);
  }
  // Its buttons and its table have the keys that are theirs.
  actions_->setChartFocus(chart_ != nullptr, chart_ != nullptr && chart_ == now);
}

void MainWindow::movePane(int direction) {
  QList<std::pair<QWidget*, QWidget*>> panes = {{runs_, runs_->filter()}};
  if (centre_->currentWidget() == runView_) {
    panes.append({runView_, entryOf(runView_->page())});
  } else {
    panes.append({welcome_, welcome_->startButton()});
  }
  if (optimizerDock_->isVisible()) {
    panes.append({optimizer_, optimizer_->methodBox()});
  }
  if (eventsDock_->isVisible()) {
    panes.append({events_, events_->view()});
  }
  qsizetype at = 0;
  const QWidget* focus = QApplication::focusWidget();
  for (qsizetype i = 0; i < panes.size(); ++i) {
    if (focus != nullptr && panes[i].first->isAncestorOf(focus)) {
      at = i;
    }
  }
  QWidget* target = panes[(at + direction + panes.size()) % panes.size()].second;
  if (auto* table = qobject_cast<QTableView*>(target);
      table != nullptr && table->model() != nullptr && !table->currentIndex().isValid()) {
    table->setCurrentIndex(table->model()->index(0, 0));  // a row that is seen to have the focus
  }
  target->setFocus(Qt::TabFocusReason);
}

}  // namespace batchscope::views
