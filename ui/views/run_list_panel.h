#pragma once

#include "ui/session/run_list_model.h"

#include <QWidget>

class QLabel;
class QLineEdit;
class QPushButton;
class QTreeView;

namespace batchscope::views {

/// The runs of the library with their computed state: icon, word, progress, evidence as tooltip. A
/// filter box above. GUI thread.
class RunListPanel : public QWidget {
  Q_OBJECT
 public:
  /// `model` must outlive the panel.
  explicit RunListPanel(session::RunListModel* model, QWidget* parent = nullptr);
  /// Folder of the selected run, or empty.
  QString selectedFolder() const;
  /// Marks a run without opening it.
  void select(const QString& idOrFolder);
  QLineEdit* filter() const { return filter_; }
  QTreeView* view() const { return view_; }

 Q_SIGNALS:
  void openWanted(const QString& folder);
  void compareWanted(const QString& folder);
  void resumeWanted(const QString& folder);
  void newRunWanted();
  void demoWanted();

 private:
  void showMenu(const QPoint& at);
  void showState();

  session::RunListModel* model_;
  session::RunFilterModel* filtered_;
  QLineEdit* filter_;
  QTreeView* view_;
  QWidget* empty_;
  QLabel* emptyText_;
  QPushButton *clear_, *demo_, *start_;
};

}  // namespace batchscope::views
