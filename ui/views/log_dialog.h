#pragma once

#include "ui/session/log_tail.h"

#include <QDialog>
#include <QTimer>

class QLabel;
class QPlainTextEdit;
class QPushButton;

namespace batchscope::views {

/// The end of a log that another process writes; follows it while it grows and its end is in sight.
/// GUI thread.
class LogDialog : public QDialog {
  Q_OBJECT
 public:
  LogDialog(const QString& title, const QString& path, QWidget* parent = nullptr);
  QPlainTextEdit* text() const { return text_; }
  QPushButton* copyButton() const { return copy_; }

 private:
  void read();
  void copy();

  session::LogTail tail_;
  QPlainTextEdit* text_;
  QLabel* place_;
  QPushButton* copy_;
  QTimer timer_;
};

}  // namespace batchscope::views
