#pragma once

#include "ui/session/engine_build.h"

#include <QFrame>
#include <QPointer>

class QLabel;
class QProgressBar;
class QPushButton;

namespace batchscope::views {

class LogDialog;

/// How far the engine's build is, or why it is not there; its log, and what starts it again. Hidden
/// when there is nothing to say: no build, or an engine that was ready from the start. GUI thread.
class EngineBuildCard : public QFrame {
  Q_OBJECT
 public:
  explicit EngineBuildCard(QWidget* parent = nullptr);
  /// `build` must outlive the card.
  void setBuild(session::EngineBuild* build);
  QString text() const;
  QProgressBar* progressBar() const { return progress_; }
  QPushButton* logButton() const { return showLog_; }
  QPushButton* buildButton() const { return again_; }
  /// The log as it is shown; null: it is not.
  LogDialog* logDialog() const;

 protected:
  void hideEvent(QHideEvent* event) override;

 private:
  void refresh();
  void openLog();
  void showProgress();

  session::EngineBuild* build_ = nullptr;
  QPointer<LogDialog> log_;
  QLabel *sign_, *text_, *hint_;
  QProgressBar* progress_;
  QPushButton *showLog_, *again_;
  bool news_ = false;  // the engine was not ready when it was looked at before
};

}  // namespace batchscope::views
