#pragma once

#include <QAction>
#include <QHash>
#include <QObject>

namespace batchscope::views {

/// Every command of the window as one QAction with text, tip and (where it has one) shortcut. The
/// single table in actions.cpp is what menus, toolbar, command palette and shortcut sheet show.
class Actions : public QObject {
  Q_OBJECT
 public:
  /// Makes all actions with `window` as parent, so that their shortcuts work there.
  explicit Actions(QWidget* window);
  /// The action of an id; asserts that it exists.
  QAction* get(const QString& id) const;
  QAction* operator[](const char* id) const { return get(QLatin1String(id)); }
  const QList<QAction*>& all() const { return all_; }
  /// Why an action is off, in place of its tip; empty: its tip again.
  void setReason(const char* id, const QString& reason);
  /// Actions that need a chart are on while `chart` says that there is one. Their keys, and single
  /// keys of others, work only while a chart itself has the focus (`keys`): elsewhere they would be
  /// taken from lists, tables and buttons.
  void setChartFocus(bool chart, bool keys);

 private:
  QList<QAction*> all_;
  QHash<QString, QAction*> byId_;
};

}  // namespace batchscope::views
