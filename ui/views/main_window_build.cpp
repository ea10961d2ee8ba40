// The part of MainWindow that makes docks, menus and bars.
#include "ui/views/event_panel.h"
#include "ui/views/main_window.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_status_line.h"
#include "ui/views/run_view.h"
#include "ui/views/widgets.h"

#include <QActionGroup>
#include <QComboBox>
#include <QDockWidget>
#include <QHBoxLayout>
#include <QLabel>
#include <QMenuBar>
#include <QSlider>
#include <QStatusBar>
#include <QToolBar>
#include <QToolButton>

namespace batchscope::views {

namespace {

QDockWidget* makeDock(QMainWindow* window,
                      const QString& name,
                      const QString& title,
                      QWidget* content) {
  auto* dock = new QDockWidget(title, window);
  dock->setObjectName(name);
  dock->setWidget(content);
  dock->setFeatures(QDockWidget::DockWidgetClosable | QDockWidget::DockWidgetMovable |
                    QDockWidget::DockWidgetFloatable);
  dock->toggleViewAction()->setObjectName(QStringLiteral("dock_") + name);
  dock->toggleViewAction()->setToolTip(MainWindow::tr("Show or hide %1").arg(title));
  dock->toggleViewAction()->setStatusTip(MainWindow::tr("Show or hide %1").arg(title));
  return dock;
}

}  // namespace

void MainWindow::buildDocks() {
  runs_ = new RunListPanel(model_, this);
  optimizer_ = new OptimizerPanel(this);
  events_ = new EventPanel(this);
  log_ = new LogPanel(this);
  runsDock_ = makeDock(this, QStringLiteral("runs"), tr("Runs"), runs_);
  optimizerDock_ = makeDock(this, QStringLiteral("optimizer"), tr("Optimizer"), optimizer_);
  eventsDock_ = makeDock(this, QStringLiteral("events"), tr("Events"), events_);
  logDock_ = makeDock(this, QStringLiteral("log"), tr("Log"), log_);
  // The side docks reach down to the status bar; events and log lie under the pages.
  setCorner(Qt::BottomLeftCorner, Qt::LeftDockWidgetArea);
  setCorner(Qt::BottomRightCorner, Qt::RightDockWidgetArea);
  addDockWidget(Qt::LeftDockWidgetArea, runsDock_);
  addDockWidget(Qt::RightDockWidgetArea, optimizerDock_);
  addDockWidget(Qt::BottomDockWidgetArea, eventsDock_);
  addDockWidget(Qt::BottomDockWidgetArea, logDock_);
  tabifyDockWidget(eventsDock_, logDock_);
  eventsDock_->raise();
  resizeDocks({runsDock_, optimizerDock_}, {270, 300}, Qt::Horizontal);
  resizeDocks({eventsDock_}, {110}, Qt::Vertical);
}

void MainWindow::buildMenus() {
  const Actions& a = *actions_;
  const auto fill = [&a](QMenu* menu, std::initializer_list<const char*> ids) {
    for (const char* id : ids) {
      if (*id == '\0') {
        menu->addSeparator();
      } else {
        menu->addAction(a[id]);
      }
    }
    return menu;
  };
  fill(menuBar()->addMenu(tr("&File")),
       {"new_run",
        "new_from",
        "",
        "open",
        "open_folder",
        "open_library",
        "open_demo",
        "",
        "export_page",
        "copy_command",
        "",
        "close_run",
        "quit"});
  fill(menuBar()->addMenu(tr("&Edit")),
       {"undo_view",
        "redo_view",
        "",
        "chart_image",
        "chart_csv",
        "",
        "filter",
        "palette",
        "",
        "choose_engine",
        "ask_closing"});
  fill(menuBar()->addMenu(tr("&Run")),
       {"resume",
        "pause",
        "",
        "stop_save",
        "stop_now",
        "",
        "checkpoint",
        "continue_run",
        "",
        "fork",
        "fan"});
  fill(menuBar()->addMenu(tr("&Control")),
       {"switch_optimizer",
        "toggle_agvm",
        "",
        "lr_half",
        "lr_double",
        "accumulation",
        "end_step",
        "",
        "undo_change"});
  QMenu* view = menuBar()->addMenu(tr("&View"));
  fill(view,
       {"page_overview", "page_variance", "page_moments", "page_samples", "page_compare", ""});
  for (QDockWidget* dock : {runsDock_, optimizerDock_, eventsDock_, logDock_}) {
    view->addAction(dock->toggleViewAction());
  }
  fill(view,
       {"",
        "chart_zoom_in",
        "chart_zoom_out",
        "chart_fit",
        "chart_log",
        "chart_table",
        "cycle_x",
        "smooth",
        "next_nonfinite",
        ""});
  QMenu* theme = view->addMenu(icon(QStringLiteral("theme")), tr("&Theme"));
  auto* group = new QActionGroup(this);
  for (const char* id : {"theme_system", "theme_light", "theme_dark"}) {
    group->addAction(a[id]);
    theme->addAction(a[id]);
  }
  fill(view,
       {"text_larger",
        "text_smaller",
        "",
        "full_screen",
        "next_pane",
        "previous_pane",
        "reset_layout"});
  fill(menuBar()->addMenu(tr("Re&play")),
       {"replay_toggle",
        "follow_live",
        "",
        "replay_step_forward",
        "replay_step_back",
        "",
        "replay_next_event",
        "replay_previous_event"});
  fill(menuBar()->addMenu(tr("C&ompare")),
       {"compare_add", "compare_baseline", "", "compare_clear"});
  fill(menuBar()->addMenu(tr("&Help")), {"shortcuts", "diagnose", "about"});
}

void MainWindow::buildToolBar() {
  const Actions& a = *actions_;
  auto* bar = new QToolBar(tr("Main tools"), this);
  bar->setObjectName(QStringLiteral("tools"));
  bar->setMovable(false);
  bar->setIconSize(QSize(20, 20));
  bar->toggleViewAction()->setEnabled(false);
  addToolBar(bar);
  const auto add = [&](const char* id, const QString& word) {
    bar->addAction(a[id]);
    auto* button = qobject_cast<QToolButton*>(bar->widgetForAction(a[id]));
    button->setAccessibleName(a[id]->text().remove(QLatin1Char('&')));
    if (!word.isEmpty()) {
      a[id]->setIconText(word);
      button->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    }
  };
  add("new_run", tr("New…"));
  add("open", tr("Open…"));
  bar->addSeparator();
  // Whatever changes a training has its word: a glyph alone is too easily taken for another.
  add("resume", tr("Resume"));
  add("pause", tr("Pause"));
  add("stop_save", tr("Stop"));
  add("checkpoint", tr("Save"));
  bar->addSeparator();
  add("switch_optimizer", tr("Optimizer"));
  add("fork", tr("Fork…"));
  add("undo_change", tr("Undo…"));
  auto* space = new QWidget(bar);
  space->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Preferred);
  bar->addWidget(space);
  axis_ = new QComboBox(bar);
  axis_->setAccessibleName(tr("X axis"));
  axis_->setToolTip(tr("What the charts are drawn over (X)"));
  using session::XKind;
  for (const XKind kind : {XKind::kStep, XKind::kImages, XKind::kSeconds}) {
    axis_->addItem(session::xKindTitle(kind), static_cast<int>(kind));
  }
  smoothing_ = new QSlider(Qt::Horizontal, bar);
  smoothing_->setRange(0, 99);
  smoothing_->setFixedWidth(110);
  smoothing_->setAccessibleName(tr("Smoothing"));
  smoothing_->setToolTip(
      tr("Weight of the causal, debiased exponential mean over the full data (S)"));
  // A name and what it names go together where there is no room.
  for (const auto& [name, input] :
       {std::pair<QString, QWidget*>{tr("X axis"), axis_}, {tr("Smoothing"), smoothing_}}) {
    auto* pair = new QWidget(bar);
    auto* row = new QHBoxLayout(pair);
    row->setContentsMargins(6, 0, 0, 0);
    row->addWidget(mutedLabel(name, pair));
    row->addWidget(input);
    bar->addWidget(pair);
  }
  bar->addSeparator();
  add("palette", {});
  // Qt's own sign is a dark arrow in every theme.
  if (auto* more = bar->findChild<QToolButton*>(QStringLiteral("qt_toolbar_ext_button"))) {
    more->setIcon(icon(QStringLiteral("menu")));
    more->setAccessibleName(tr("More tools"));
  }
}

void MainWindow::buildStatusBar() {
  status_ = new RunStatusLine(this);
  statusBar()->addPermanentWidget(status_, 1);
  // It covers the place where the bar would paint its messages.
  connect(statusBar(), &QStatusBar::messageChanged, status_, &RunStatusLine::setMessage);
  statusBar()->setSizeGripEnabled(false);
}

}  // namespace batchscope::views
