#pragma once

#include "ui/views/theme.h"

#include <QFrame>
#include <QString>

class QAction;
class QHBoxLayout;
class QLabel;
class QPushButton;
class QSettings;
class QTableView;
class QToolButton;

#include <memory>

namespace batchscope::views {

QLabel* mutedLabel(const QString& text, QWidget* parent);
QLabel* headingLabel(const QString& text, QWidget* parent);
/// A label whose text is larger, in every text size, and bold.
enum class TitleSize { kSmall, kMiddle, kLarge, kHuge };
QLabel* titleLabel(const QString& text, QWidget* parent, TitleSize size);
/// Letters of one width, in the size of the other text.
void setFixedFont(QWidget* widget);
/// Rows as high as a line of text in every text size.
void setTextRows(QTableView* view);
QToolButton* actionButton(QAction* action, QWidget* parent, bool withText = false);
/// Re-evaluates the style sheet after a dynamic property changed.
void setStyleProperty(QWidget* widget, const char* name, const QVariant& value);
/// The window's settings file of this user.
std::unique_ptr<QSettings> openSettings();
/// "SGD", "PMD-LAMB + AGVM" from the engine's words.
QString optimizerTitle(const QString& name);
/// "2026-11-20 22:30" in local time from ISO 8601 UTC; empty stays empty.
QString localTime(const QString& iso);
/// "3 min ago", "2 days ago" before `now`.
QString timeAgo(const QString& iso);

/// What happened, what is safe, what to do: an inline message with buttons.
class Banner : public QFrame {
  Q_OBJECT
 public:
  enum class Kind { kInfo, kGood, kWarn, kBad };
  explicit Banner(QWidget* parent = nullptr);
  void setMessage(Kind kind, const QString& text, const QString& details = {});
  QPushButton* addButton(const QString& text);
  void clearButtons();
  QString text() const;

 private:
  QLabel *icon_, *text_;
  QHBoxLayout* buttons_;
  QToolButton* copy_;
  QString details_;
};

}  // namespace batchscope::views
