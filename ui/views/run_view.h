#pragma once

#include "ui/session/rescue.h"
#include "ui/session/run_compare.h"
#include "ui/views/chart_link.h"

#include <QPointer>
#include <QWidget>

class QTabWidget;

namespace batchscope::views {

class ComparePage;
class ReplayBar;
class RunBanners;
class RunPage;

/// The middle of the window with an open run: banners, the pages as tabs, the replay bar. GUI
/// thread.
class RunView : public QWidget {
  Q_OBJECT
 public:
  explicit RunView(session::RunCompare* compare, QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  /// "overview", "variance", "moments", "samples" or "compare"; false for another name.
  bool showPage(const QString& name);
  QString pageName() const;
  QWidget* page() const;
  static QStringList pageNames();
  /// Axis, zoom and cross-hair of the page that is shown. The pages of a run share theirs, the
  /// comparison has its own; axis and smoothing are those of all.
  ChartLink* link();
  QList<ChartLink*> links() { return {&runLink_, &compareLink_}; }
  ReplayBar* replayBar() const { return replay_; }
  ComparePage* comparePage() const { return comparePage_; }
  QTabWidget* tabs() const { return tabs_; }

 Q_SIGNALS:
  void continueWanted();
  void rescueWanted(const session::Rescue& rescue);
  void compareAddWanted();

 private:
  /// Puts playhead and cross-hair on a step, and shows what led to it.
  void showPlace(std::int64_t step);

  QPointer<session::RunSession> run_;
  ChartLink runLink_, compareLink_;
  RunBanners* banners_;
  QTabWidget* tabs_;
  ReplayBar* replay_;
  ComparePage* comparePage_;
  QList<RunPage*> pages_;
};

}  // namespace batchscope::views
