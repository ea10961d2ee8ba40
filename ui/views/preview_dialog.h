#pragma once

#include <QDialog>

class QLabel;
class QTextBrowser;

namespace batchscope::views {

/// What an optimizer switch would do, in tables, beside the window; nothing has changed. GUI
/// thread.
class PreviewDialog : public QDialog {
  Q_OBJECT
 public:
  explicit PreviewDialog(QWidget* parent = nullptr);
  /// `answer`: the engine's text with its tables of columns; `step`: of the training at that
  /// moment.
  void showAnswer(const QString& command, qint64 step, const QString& answer);

 private:
  QLabel* head_;
  QTextBrowser* body_;
};

/// The engine's text as a page: its rows "name  now -> then" and its tables under "module" become
/// tables, where a column "new" tells of what; the rest stays text.
QString previewHtml(const QString& answer);

}  // namespace batchscope::views
