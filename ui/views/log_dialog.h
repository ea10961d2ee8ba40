#pragma once

#include "ui/views/log_view.h"

#include <QDialog>

class QLabel;
class QPushButton;

namespace batchscope::views {

/// The end of a log that another process writes; follows it while it grows and its end is in sight.
/// GUI thread.
class LogDialog : public QDialog {
  Q_OBJECT
 public:
  LogDialog(const QString& title, const QString& path, QWidget* parent = nullptr);
  LogView* text() const { return text_; }
  QPushButton* copyButton() const { return copy_; }

 private:
  void copy();

  LogView* text_;
  QLabel* place_;
  QPushButton* copy_;
};

}  // namespace batchscope::views
