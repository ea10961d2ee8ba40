#pragma once

#include "ui/session/spec_form.h"

#include <QHash>
#include <QScrollArea>

class QLabel;
class QToolButton;

namespace batchscope::views {

/// Editors of some or all keys of a SpecForm, grouped by section, with the fault of a field right
/// below it. Follows the form and writes to it. GUI thread.
class SpecFormView : public QScrollArea {
  Q_OBJECT
 public:
  /// `keys`: in the order shown; empty: every key of the schema. `columns`: groups side by side.
  SpecFormView(session::SpecForm* form,
               const QStringList& keys,
               int columns,
               QWidget* parent = nullptr);
  /// The input of a key, or null.
  QWidget* editor(const QString& key) const { return rows_.value(key).editor; }
  /// The button that looks for the file or folder of a key, or null.
  QToolButton* browseButton(const QString& key) const { return rows_.value(key).browse; }
  /// The fault shown below a key, empty if it has none.
  QString errorText(const QString& key) const;
  /// Hides the rows whose key or help does not hold the text.
  void setFilter(const QString& text);
  /// Gives a key the focus and scrolls to it.
  void reveal(const QString& key);

 Q_SIGNALS:
  /// The input of a key has got the focus.
  void entered(const QString& key);

 private:
  struct Row {
    QWidget* editor = nullptr;
    QLabel* label = nullptr;
    QLabel* error = nullptr;
    QToolButton* browse = nullptr;
    QWidget* group = nullptr;
    QString searched;
  };
  void build(const QStringList& keys, int columns);
  QWidget* makeEditor(const session::SpecField& field);
  QToolButton* makeBrowse(const QString& key, QWidget* parent);
  void browse(const QString& key);
  void refresh();
  void show(const session::SpecField& field);

  session::SpecForm* form_;
  QHash<QString, Row> rows_;
  QStringList order_;
  QString writing_;  // key whose input is being typed: its text is left alone
};

}  // namespace batchscope::views
