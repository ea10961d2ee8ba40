#pragma once

#include <QDialog>

class QAction;
class QLineEdit;
class QListWidget;
class QTableWidget;

namespace batchscope::views {

class Actions;

/// Searches all commands; Enter runs the chosen one. GUI thread.
class CommandPalette : public QDialog {
  Q_OBJECT
 public:
  explicit CommandPalette(const Actions& actions, QWidget* parent = nullptr);
  QLineEdit* search() const { return search_; }
  QListWidget* list() const { return list_; }
  /// The command that was chosen, or null.
  QAction* chosen() const { return chosen_; }

 protected:
  bool eventFilter(QObject* watched, QEvent* event) override;

 private:
  void filter(const QString& text);
  void choose();
  const Actions& actions_;
  QLineEdit* search_;
  QListWidget* list_;
  QAction* chosen_ = nullptr;
};

/// All commands with their keys and what they do.
class ShortcutSheet : public QDialog {
  Q_OBJECT
 public:
  explicit ShortcutSheet(const Actions& actions, QWidget* parent = nullptr);
};

}  // namespace batchscope::views
