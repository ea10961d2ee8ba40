#pragma once

#include "ui/session/rescue.h"
#include "ui/session/run_session.h"
#include "ui/views/widgets.h"

#include <QPointer>
#include <QSet>
#include <QWidget>

namespace batchscope::views {

/// One message about the state of a run.
struct RunNotice {
  QString id;  // stable; a notice that was closed does not come back
  Banner::Kind kind = Banner::Kind::kInfo;
  QString text, details;
  std::int64_t step = -1;    // "Go there" when there is one
  bool canContinue = false;  // "Continue this run"
  QList<session::Rescue> rescues = {};
};

/// What a person should know about the run as it is now, worst first.
QList<RunNotice> noticesOf(const session::RunSession& run);

/// The notices of the open run as banners above the pages. GUI thread.
class RunBanners : public QWidget {
  Q_OBJECT
 public:
  explicit RunBanners(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  /// Hidden while the page speaks of other runs.
  void setSuspended(bool suspended);

 Q_SIGNALS:
  void continueWanted();
  void placeWanted(std::int64_t step);
  void rescueWanted(const session::Rescue& rescue);

 private:
  void refresh();
  QPointer<session::RunSession> run_;
  QSet<QString> closed_;
  QStringList shown_;
  bool suspended_ = false;
};

}  // namespace batchscope::views
