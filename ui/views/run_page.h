#pragma once

#include "ui/session/run_session.h"
#include "ui/views/curve_chart.h"

#include <QTimer>
#include <QWidget>

namespace batchscope::views {

/// A tab that shows one run. setRun may be called many times; refresh() runs at most eight times a
/// second and only while the page is seen. GUI thread.
class RunPage : public QWidget {
  Q_OBJECT
 public:
  explicit RunPage(ChartLink* link, QWidget* parent = nullptr);
  void setRun(session::RunSession* run);
  session::RunSession* run() const { return run_; }
  /// Every chart of the page.
  QList<CurveChart*> charts() const { return findChildren<CurveChart*>(); }

 protected:
  /// Another run (or none): set the sources anew.
  virtual void runChanged() = 0;
  /// Something of the run changed: charts are refreshed already.
  virtual void dataChanged() {}
  void showEvent(QShowEvent* event) override;
  ChartLink* link() const { return link_; }
  /// What to say where nothing is recorded yet.
  QString waitingText() const;

 private:
  void schedule();
  void refresh();

  ChartLink* link_;
  QPointer<session::RunSession> run_;
  QTimer timer_;
  bool dirty_ = false;
};

}  // namespace batchscope::views
