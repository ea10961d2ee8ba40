#pragma once

#include "ui/session/log_tail.h"

#include <QPlainTextEdit>
#include <QTimer>

#include <optional>

namespace batchscope::views {

/// The end of a log that another process writes. What comes is added below: the place that is read
/// and what is selected stay, and the end is followed while it is in sight. GUI thread.
class LogView : public QPlainTextEdit {
  Q_OBJECT
 public:
  explicit LogView(QWidget* parent = nullptr);
  /// Another file, from its last lines on; empty: none.
  void setPath(const QString& path);

 public Q_SLOTS:
  /// Reads what is new; twice a second while it is seen.
  void read();

 protected:
  void showEvent(QShowEvent* event) override;

 private:
  std::optional<session::LogTail> tail_;
  QTimer timer_;
};

}  // namespace batchscope::views
