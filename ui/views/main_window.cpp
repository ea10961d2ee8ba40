#include "ui/views/main_window.h"

#include "ui/session/engine_client.h"
#include "ui/views/event_panel.h"
#include "ui/views/fork_dialog.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/overview_page.h"
#include "ui/views/replay_bar.h"
#include "ui/views/run_list_panel.h"
#include "ui/views/run_status_line.h"
#include "ui/views/run_view.h"
#include "ui/views/welcome_page.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QCloseEvent>
#include <QDir>
#include <QDockWidget>
#include <QFileInfo>
#include <QMessageBox>
#include <QScreen>
#include <QSettings>
#include <QSplitter>
#include <QStackedWidget>
#include <QStatusBar>

#include <algorithm>

namespace batchscope::views {

namespace {

constexpr int kRoomyHeight = 1060;

QString canonical(const QString& path) {
  const QFileInfo info(path);
  // A run folder and the run.sqlite in it are one run.
  const QFileInfo folder(info.fileName() == QLatin1String("run.sqlite") ? info.absolutePath()
                                                                        : path);
  const QString real = folder.canonicalFilePath();
  return real.isEmpty() ? QDir::cleanPath(folder.absoluteFilePath()) : real;
}

}  // namespace

MainWindow::MainWindow(const WindowOptions& options, QWidget* parent)
    : QMainWindow(parent), options_(options) {
  setWindowTitle(QStringLiteral("Batchscope"));
  setWindowIcon(programIcon());
  const QSize room = screen()->availableSize();
  // The frame of the desktop comes on top of it.
  resize(QSize(1600, 1000).boundedTo(room - QSize(16, 48)));
  setDockNestingEnabled(true);
  actions_ = new Actions(this);
  model_ = new session::RunListModel(this);
  compare_ = new session::RunCompare(this);
  launcher_ = new session::Launcher(this);
  model_->setLibrary(options.library);
  welcome_ = new WelcomePage(model_, this);
  runView_ = new RunView(compare_, this);
  centre_ = new QStackedWidget(this);
  centre_->addWidget(welcome_);
  centre_->addWidget(runView_);
  setCentralWidget(centre_);
  buildDocks();
  buildMenus();
  buildToolBar();
  buildStatusBar();
  welcome_->setDemo(findDemoRun());
  watchEngine();
  connectFileCommands();
  connectRunCommands();
  connectViewCommands();
  connectChartCommands();
  connectCompareAndHelp();
  if (height() < kRoomyHeight) {
    // The charts need the height more; marks and flags show the events too.
    eventsDock_->hide();
    logDock_->hide();
  }
  firstLayout_ = QMainWindow::saveState();
  restoreState();
  setRun(nullptr);
  connect(model_, &session::RunListModel::refreshed, this, &MainWindow::attachToLive);
  connect(model_, &session::RunListModel::failed, this, &MainWindow::note);
  connect(optimizer_, &OptimizerPanel::message, this, &MainWindow::note);
  connect(launcher_,
          &session::Launcher::started,
          this,
          [this](const QString& id, const QString& folder) {
            note(tr("Run %1 has started.").arg(id));
            model_->refresh();
            openRun(folder);
            runs_->select(folder);
          });
  connect(launcher_, &session::Launcher::forked, this, &MainWindow::showForked);
  connect(launcher_, &session::Launcher::failed, this, &MainWindow::startFailed);
  connect(launcher_, &session::Launcher::ended, this, &MainWindow::engineEnded);
}

MainWindow::~MainWindow() {
  disconnect(qApp, nullptr, this, nullptr);
  // Sessions speak while they close: everything that listens must still be there.
  compare_->clear();
  setRun(nullptr);
  qDeleteAll(std::exchange(sessions_, {}));
  Theme::instance().setTextScale(1);
}

session::RunSession* MainWindow::sessionFor(const QString& path) {
  const QString key = canonical(path);
  session::RunSession*& run = sessions_[key];
  if (run == nullptr) {
    run = new session::RunSession(this);
    connect(run, &session::RunSession::statusChanged, this, &MainWindow::refreshActions);
    connect(run, &session::RunSession::stateChanged, this, &MainWindow::refreshActions);
    connect(run, &session::RunSession::eventsChanged, this, &MainWindow::refreshActions);
    connect(run, &session::RunSession::pendingChanged, this, &MainWindow::refreshActions);
    connect(run, &session::RunSession::infoChanged, this, &MainWindow::refreshActions);
    connect(run->client(), &session::EngineClient::stateChanged, this, &MainWindow::refreshActions);
    connect(run, &session::RunSession::dataChanged, this, [this, run] {
      model_->noteStep(run->info().id, run->newestStep());
    });
    run->open(key);
  }
  return run;
}

session::RunSession* MainWindow::openRun(const QString& path) {
  session::RunSession* run = sessionFor(path);
  setRun(run);
  return run;
}

void MainWindow::setRun(session::RunSession* run) {
  run_ = run;
  const bool open = run != nullptr;
  centre_->setCurrentWidget(open ? static_cast<QWidget*>(runView_) : welcome_);
  runView_->setRun(run);
  optimizer_->setRun(run);
  events_->setRun(run);
  log_->setRun(run);
  status_->setRun(run);
  for (QDockWidget* dock : {optimizerDock_, eventsDock_, logDock_}) {
    // Without a run they have nothing to say; the user's choice comes back with it.
    if (open && dock->property("wanted").isValid()) {
      dock->setVisible(dock->property("wanted").toBool());
      dock->setProperty("wanted", QVariant());
    } else if (!open) {
      if (!dock->property("wanted").isValid()) {
        dock->setProperty("wanted", !dock->isHidden());
      }
      dock->hide();
    }
  }
  refreshActions();
}

void MainWindow::closeRun() {
  session::RunSession* run = run_;
  fork_.reset();
  setRun(nullptr);
  if (run != nullptr && !compare_->sessions().contains(run)) {
    sessions_.remove(sessions_.key(run));
    model_->noteStep(run->info().id, std::nullopt);
    // It speaks while it closes, and the window may be gone by then.
    disconnect(run, nullptr, this, nullptr);
    disconnect(run->client(), nullptr, this, nullptr);
    run->deleteLater();
  }
}

void MainWindow::attachToLive() {
  if (reattached_ || !options_.reattach || run_) {
    reattached_ = true;
    return;
  }
  reattached_ = true;
  for (const session::RunListItem& item : model_->runs()) {
    if (item.status.isLive()) {
      openRun(item.folder);
      runs_->select(item.folder);
      note(tr("Attached to “%1”, which is still training.").arg(item.name));
      return;
    }
  }
}

bool MainWindow::addToCompare(const QString& path) {
  if (path.isEmpty()) {
    return false;
  }
  const bool added = compare_->add(sessionFor(path));
  if (added) {
    if (!run_) {
      openRun(path);
    }
    showPage(QStringLiteral("compare"));
  } else {
    note(tr("That run is in the comparison already, or eight runs are."));
  }
  return added;
}

bool MainWindow::showPage(const QString& name) {
  return runView_->showPage(name);
}

bool MainWindow::isSettled() const {
  using State = session::RunSession::State;
  QList<session::RunSession*> runs = compare_->sessions();
  if (run_) {
    runs.append(run_);
  }
  const bool read = std::all_of(runs.cbegin(), runs.cend(), [](const session::RunSession* run) {
    return run->state() != State::kOpening && run->state() != State::kClosed;
  });
  const QList<CurveChart*> charts = findChildren<CurveChart*>();
  return model_->isLoaded() && read &&
         std::none_of(charts.cbegin(), charts.cend(), [](const CurveChart* chart) {
           return chart->isVisible() && chart->isLoading();
         });
}

void MainWindow::start(const session::LaunchRequest& request) {
  if (!launcher_->start(request)) {
    note(tr("Another run is being started."));
  } else {
    note(tr("Starting the engine…"));
  }
}

void MainWindow::note(const QString& text) {
  statusBar()->showMessage(text, 8000);
}

void MainWindow::closeEvent(QCloseEvent* event) {
  if (!confirmClose()) {
    event->ignore();
    return;
  }
  saveState();
  QMainWindow::closeEvent(event);
}

void MainWindow::restoreState() {
  const auto settings = openSettings();
  restoreGeometry(settings->value(QStringLiteral("geometry")).toByteArray());
  QMainWindow::restoreState(settings->value(QStringLiteral("docks")).toByteArray());
  for (QSplitter* splitter : findChildren<QSplitter*>()) {
    if (!splitter->objectName().isEmpty()) {
      splitter->restoreState(
          settings->value(QStringLiteral("splitters/") + splitter->objectName()).toByteArray());
    }
  }
  scaleText(settings->value(QStringLiteral("text"), 0).toInt());
}

void MainWindow::saveState() {
  const auto settings = openSettings();
  for (QDockWidget* dock : {optimizerDock_, eventsDock_, logDock_}) {
    if (dock->property("wanted").isValid()) {
      dock->setVisible(dock->property("wanted").toBool());
    }
  }
  settings->setValue(QStringLiteral("geometry"), saveGeometry());
  settings->setValue(QStringLiteral("docks"), QMainWindow::saveState());
  for (const QSplitter* splitter : findChildren<QSplitter*>()) {
    if (!splitter->objectName().isEmpty()) {
      settings->setValue(QStringLiteral("splitters/") + splitter->objectName(),
                         splitter->saveState());
    }
  }
  settings->setValue(QStringLiteral("text"), textSteps_);
}

}  // namespace batchscope::views
