#pragma once

#include "ui/session/run_session.h"

#include <QPointer>
#include <QWidget>

class QLabel;
class QProgressBar;

namespace batchscope::views {

/// State, step of total, pictures/s, time left, cost of the diagnostics: the status bar's line.
class RunStatusLine : public QWidget {
  Q_OBJECT
 public:
  explicit RunStatusLine(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  QString text() const;

 private:
  void refresh();
  QPointer<session::RunSession> run_;
  QLabel *icon_, *state_, *step_, *speed_, *eta_, *cost_, *pending_;
  QProgressBar* progress_;
};

}  // namespace batchscope::views
