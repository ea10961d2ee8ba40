#pragma once

#include "ui/session/engine_build.h"
#include "ui/session/run_list_model.h"

#include <QWidget>

class QLabel;
class QPushButton;
class QVBoxLayout;

namespace batchscope::views {

class EngineBuildCard;

/// First page: open the demo run, start a run, open a file; recent runs; what is on this machine.
class WelcomePage : public QWidget {
  Q_OBJECT
 public:
  explicit WelcomePage(session::RunListModel* model, QWidget* parent = nullptr);
  /// The recorded run, or empty: the entry is off and says why.
  void setDemo(const QString& path);
  /// Where the engine is, and how its build goes on. `build` must outlive the page.
  void setBuild(session::EngineBuild* build);
  EngineBuildCard* buildCard() const { return buildCard_; }
  QPushButton* demoButton() const { return demo_; }
  QPushButton* startButton() const { return start_; }

 Q_SIGNALS:
  void demoWanted();
  void newRunWanted();
  void openWanted();
  void runWanted(const QString& folder);
  void engineWanted();

 private:
  QWidget* buildCards();
  void fillRecent();
  QPushButton* recentLine(qsizetype at);
  void showMachine();
  session::RunListModel* model_;
  QPushButton *demo_, *start_, *open_, *chooseEngine_;
  QVBoxLayout* recent_;
  QList<QPushButton*> lines_;
  QWidget* recentBox_;
  EngineBuildCard* buildCard_;
  QLabel* machine_;
  session::EngineBuild* build_ = nullptr;
};

/// The recorded demo run: beside the program, in the install's or the source tree's resources;
/// empty if there is none.
QString findDemoRun();
/// Names of the NVIDIA devices that the driver reports.
QStringList gpuNames();

}  // namespace batchscope::views
