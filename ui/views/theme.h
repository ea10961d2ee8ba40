#pragma once

#include "ui/views/palette.h"

#include <QIcon>
#include <QObject>

class QApplication;

namespace batchscope::views {

/// The one place from which widgets take colours and icons. GUI thread. Changing the mode restyles
/// the application and emits changed(); painted widgets repaint themselves on it.
class Theme : public QObject {
  Q_OBJECT
 public:
  /// The application's theme; lives as long as the application.
  static Theme& instance();

  /// Sets style, palette and style sheet of the application.
  void apply(ThemeMode mode);
  ThemeMode mode() const { return mode_; }
  const Palette& palette() const { return palette_; }
  /// The palette a mode stands for on this desktop.
  Palette paletteFor(ThemeMode mode) const;

 Q_SIGNALS:
  void changed();

 private:
  explicit Theme(QObject* parent);
  ThemeMode mode_ = ThemeMode::kSystem;
  Palette palette_;
  bool systemIsDark_ = false;
};

/// Shorthand for Theme::instance().palette().
const Palette& colours();

enum class IconTint { kText, kAccent, kGood, kWarn, kBad, kMuted };
/// An icon of resources/icons by file name without ending; drawn in the theme's colours when it is
/// painted, so that it follows a change of the theme. An unknown name gives a null icon.
QIcon icon(const QString& name, IconTint tint = IconTint::kText);
/// The program's own icon.
QIcon programIcon();

}  // namespace batchscope::views
