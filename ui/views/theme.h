#pragma once

#include "ui/views/palette.h"

#include <QFont>
#include <QIcon>
#include <QObject>

#include <functional>

class QApplication;
class QWidget;

namespace batchscope::views {

/// The one place from which widgets take colours, icons and the size of their text. GUI thread. A
/// change restyles the application and emits changed(); painted widgets repaint themselves on it.
class Theme : public QObject {
  Q_OBJECT
 public:
  /// The application's theme; lives as long as the application.
  static Theme& instance();

  /// Sets style, palette and style sheet of the application.
  void apply(ThemeMode mode);
  ThemeMode mode() const { return mode_; }
  /// Text of every open and later widget, 1 as large as the desktop's.
  void setTextScale(double scale);
  double textScale() const { return textScale_; }
  const Palette& palette() const { return palette_; }
  /// The palette a mode stands for on this desktop.
  Palette paletteFor(ThemeMode mode) const;

 Q_SIGNALS:
  void changed();

 private:
  explicit Theme(QObject* parent);
  ThemeMode mode_ = ThemeMode::kSystem;
  QFont desktopFont_;
  double textScale_ = 1;
  Palette palette_;
  bool systemIsDark_ = false;
};

/// Shorthand for Theme::instance().palette().
const Palette& colours();
/// Calls `look` now and after every change of colours or text size, while `widget` lives: for sizes
/// that are made of text and whatever else a style sheet cannot say.
void followTheme(const QWidget* widget, const std::function<void()>& look);
/// A size of a dialog for text as large as the desktop's, in the present text size.
QSize textSized(QSize size);

enum class IconTint { kText, kAccent, kGood, kWarn, kBad, kMuted };
/// An icon of resources/icons by file name without ending; drawn in the theme's colours when it is
/// painted, so that it follows a change of the theme. An unknown name gives a null icon.
QIcon icon(const QString& name, IconTint tint = IconTint::kText);
/// The program's own icon.
QIcon programIcon();

}  // namespace batchscope::views
