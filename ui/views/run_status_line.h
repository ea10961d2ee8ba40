#pragma once

#include "ui/session/run_session.h"

#include <QPointer>
#include <QWidget>

class QLabel;
class QProgressBar;

namespace batchscope::views {

/// The status bar's line: state, step of total, pictures/s, time left, cost of the diagnostics, all
/// of the playhead, and the window's message in place of what is not needed to read it. GUI thread.
class RunStatusLine : public QWidget {
  Q_OBJECT
 public:
  explicit RunStatusLine(QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  QString text() const;
  QSize minimumSizeHint() const override;

 public Q_SLOTS:
  /// Shown until the next one; empty: none.
  void setMessage(const QString& text);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void refresh();
  void fillFigures(const session::StatusItem& status);
  /// Leaves out what there is no room for, the least needed first.
  void fit();
  QPointer<session::RunSession> run_;
  QLabel *icon_, *state_, *step_, *speed_, *eta_, *cost_, *pending_, *message_;
  QProgressBar* progress_;
  QString messageText_;
};

}  // namespace batchscope::views
