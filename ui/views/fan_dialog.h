#pragma once

#include "ui/session/fan_runner.h"
#include "ui/session/launcher.h"
#include "ui/session/run_session.h"
#include "ui/views/curve_chart.h"

#include <QDialog>

class QLabel;
class QLineEdit;
class QProgressBar;
class QPushButton;
class QSpinBox;
class QTableWidget;

namespace batchscope::views {

/// Tries learning rates and optimizers in short probes from where a run stands, shows which survive
/// and how fast their loss falls, and applies one to the live run. GUI thread.
class FanDialog : public QDialog {
  Q_OBJECT
 public:
  /// `run` must outlive it.
  FanDialog(session::RunSession* run,
            const session::Launcher* launcher,
            const QString& library,
            QWidget* parent = nullptr);

  /// Shows the outcome of a fan.
  void show(const session::FanOutcome& outcome);
  using QDialog::show;
  QTableWidget* table() const { return table_; }
  QPushButton* startButton() const { return start_; }
  QPushButton* useButton() const { return use_; }
  session::FanRequest request() const;

 Q_SIGNALS:
  /// A probe of a run that does not train was chosen: a child of it with these settings, from this
  /// step.
  void forkWanted(std::int64_t step, const batchscope::session::FanRow& row);

 private:
  QWidget* buildForm();
  QWidget* buildResults();
  ChartSource lossSource() const;
  void start();
  void use();
  void refresh();
  const session::FanRow* chosen() const;

  session::RunSession* run_;
  const session::Launcher* launcher_;
  QString library_;
  session::FanRunner* runner_;
  session::FanOutcome outcome_;
  ChartLink* link_;
  CurveChart* chart_;
  QLineEdit *lr_, *optimizers_, *seeds_;
  QSpinBox* steps_;
  QTableWidget* table_;
  QProgressBar* progress_;
  QLabel *words_, *fault_, *edges_;
  QPushButton *start_ = nullptr, *use_ = nullptr;
};

}  // namespace batchscope::views
