#pragma once

#include "ui/session/engine_build.h"
#include "ui/session/fork_form.h"
#include "ui/session/launcher.h"
#include "ui/session/run_compare.h"
#include "ui/session/run_list_model.h"
#include "ui/session/run_session.h"
#include "ui/views/actions.h"

#include <QHash>
#include <QMainWindow>
#include <QPointer>

#include <functional>
#include <memory>

class QComboBox;
class QSlider;
class QStackedWidget;

namespace batchscope::views {

class CurveChart;
class EventPanel;
class ForkDialog;
class LaunchDialog;
class LogPanel;
class OptimizerPanel;
class RunListPanel;
class RunStatusLine;
class RunView;
class WelcomePage;

/// Where a window looks. Empty members: the user's defaults.
struct WindowOptions {
  QString library;
  QString enginePath;
  bool reattach = true;     // open the newest live run once the library is read
  QString engineBuildFile;  // where the set-up script says how far the engine is
};

/// Docks, menus and pages, and which run is open. A training is never this window's child: closing
/// asks and leaves it going. GUI thread.
class MainWindow : public QMainWindow {
  Q_OBJECT
 public:
  explicit MainWindow(const WindowOptions& options, QWidget* parent = nullptr);
  ~MainWindow() override;

  /// Opens a run folder, run.sqlite or *.bscope in the pages; one that is open already is shown.
  session::RunSession* openRun(const QString& path);
  /// Opens the launch dialog with a spec file.
  void openSpec(const QString& path);
  bool showPage(const QString& name);
  /// Adds a run to the comparison, opening it if needed. False if it is there or four are.
  bool addToCompare(const QString& path);
  session::RunSession* currentRun() const { return run_; }
  /// How long a closing window waits for engines to have the word "stop"; 10 s.
  void setStopPatience(int ms) { stopPatienceMs_ = ms; }
  /// True when the shown page has nothing more to read.
  bool isSettled() const;

  const Actions& actions() const { return *actions_; }
  RunView* runView() const { return runView_; }
  WelcomePage* welcomePage() const { return welcome_; }
  OptimizerPanel* optimizerPanel() const { return optimizer_; }
  RunListPanel* runListPanel() const { return runs_; }
  session::RunListModel* runListModel() const { return model_; }
  session::Launcher* launcher() const { return launcher_; }
  session::EngineBuild* engineBuild() const { return build_; }
  session::RunCompare* compare() const { return compare_; }

 public Q_SLOTS:
  void newRun();
  void start(const batchscope::session::LaunchRequest& request);

 protected:
  void closeEvent(QCloseEvent* event) override;

 private:
  void buildDocks();
  void buildMenus();
  void buildToolBar();
  void buildStatusBar();
  void connectFileCommands();
  void connectWays(const std::function<void()>& demo);
  void connectRunCommands();
  void connectViewCommands();
  void connectChartCommands();
  void connectCompareAndHelp();
  void on(const char* id, const std::function<void()>& slot);
  void onChart(const char* id, const std::function<void(CurveChart*)>& slot);

  session::RunSession* sessionFor(const QString& path);
  void setRun(session::RunSession* run);
  void closeRun();
  void refreshActions();
  void attachToLive();
  void newFromThisRun();
  void askForRun(const std::function<void(LaunchDialog&)>& fill);
  void startFailed(const QString& sentence, const QString& words);
  void engineEnded(const QString& runId, const QString& words);
  void forkRun();
  void askForFork(const std::function<void(ForkDialog&)>& fill);
  void showFork();
  void forkFrom(std::int64_t step,
                const QList<session::ForkChildRow>& children,
                const QString& lrMapping = {});
  void openFan();
  void showForked(const QString& parent, const QStringList& folders);
  void continueRun(const QString& folder);
  void openWithDialog();
  void chooseEngine();
  void watchEngine();
  void takeEngine();
  void exportPage();
  void showOptimizer();
  void changeAccumulation();
  void changeEnd();
  void showPalette();
  void showDiagnosis();
  void takeFocus(QWidget* now);
  void movePane(int direction);
  void scaleText(int steps);
  void setTheme(int mode);
  void restoreState();
  void saveState();
  void note(const QString& text);
  QList<session::RunSession*> liveRuns() const;
  bool confirmClose();
  QString askAboutLiveRuns(const QList<session::RunSession*>& live);
  /// False: one could not be stopped, and the window stays.
  bool stopRuns(const QList<session::RunSession*>& live);
  void showAnswerToClosing();
  void askAgainOnClosing();

  WindowOptions options_;
  Actions* actions_;
  session::RunListModel* model_;
  session::RunCompare* compare_;
  session::Launcher* launcher_;
  session::EngineBuild* build_ = nullptr;
  QHash<QString, session::RunSession*> sessions_;
  QPointer<session::RunSession> run_;
  QPointer<CurveChart> chart_;
  QStackedWidget* centre_;
  WelcomePage* welcome_;
  RunView* runView_;
  RunListPanel* runs_;
  OptimizerPanel* optimizer_;
  EventPanel* events_;
  LogPanel* log_;
  RunStatusLine* status_;
  QDockWidget *runsDock_, *optimizerDock_, *eventsDock_, *logDock_;
  QComboBox* axis_;
  QSlider* smoothing_;
  QByteArray firstLayout_;
  int textSteps_ = 0;
  bool reattached_ = false;
  int stopPatienceMs_ = 10000;
  std::unique_ptr<ForkDialog> fork_;
};

}  // namespace batchscope::views
