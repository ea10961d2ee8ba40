#include "ui/views/theme.h"

#include <QApplication>
#include <QFile>
#include <QIconEngine>
#include <QPainter>
#include <QPalette>
#include <QRegularExpression>
#include <QScreen>
#include <QStyle>
#include <QStyleFactory>
#include <QSvgRenderer>
#include <QWidget>

// Resources of a static library are linked only where they are named.
static void initResources() {
  Q_INIT_RESOURCE(batchscope);
}

namespace batchscope::views {

namespace {

QColor tintColour(IconTint tint, QIcon::Mode mode) {
  const Palette& p = colours();
  if (mode == QIcon::Disabled) {
    return p.textDisabled;
  }
  switch (tint) {
    case IconTint::kText:
      return p.text;
    case IconTint::kAccent:
      return p.accent;
    case IconTint::kGood:
      return p.good;
    case IconTint::kWarn:
      return p.warn;
    case IconTint::kBad:
      return p.bad;
    case IconTint::kMuted:
      return p.textMuted;
  }
  return p.text;
}

/// Draws an SVG whose `currentColor` is the theme's colour at the time of painting.
class ThemedIconEngine : public QIconEngine {
 public:
  ThemedIconEngine(QByteArray svg, IconTint tint) : svg_(std::move(svg)), tint_(tint) {}

  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    QByteArray coloured = svg_;
    coloured.replace("currentColor", tintColour(tint_, mode).name().toLatin1());
    QSvgRenderer renderer(coloured);
    renderer.render(painter, QRectF(rect));
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State state) override {
    QPixmap pixmap(size);
    pixmap.fill(Qt::transparent);
    QPainter painter(&pixmap);
    paint(&painter, QRect(QPoint(0, 0), size), mode, state);
    return pixmap;
  }
  QPixmap scaledPixmap(const QSize& size, QIcon::Mode mode, QIcon::State state, qreal) override {
    return pixmap(size, mode, state);
  }
  QSize actualSize(const QSize& size, QIcon::Mode, QIcon::State) override { return size; }
  bool isNull() override { return svg_.isEmpty(); }
  QIconEngine* clone() const override { return new ThemedIconEngine(svg_, tint_); }

 private:
  QByteArray svg_;
  IconTint tint_;
};

QPalette widgetPalette(const Palette& p) {
  QPalette q;
  q.setColor(QPalette::Window, p.window);
  q.setColor(QPalette::WindowText, p.text);
  q.setColor(QPalette::Base, p.panel);
  q.setColor(QPalette::AlternateBase, blend(QColor(128, 140, 160, 16), p.panel));
  q.setColor(QPalette::Text, p.text);
  q.setColor(QPalette::PlaceholderText, p.textMuted);
  q.setColor(QPalette::Button, p.raised);
  q.setColor(QPalette::ButtonText, p.text);
  q.setColor(QPalette::BrightText, p.bad);
  q.setColor(QPalette::Highlight, p.selection);
  q.setColor(QPalette::HighlightedText, p.text);
  q.setColor(QPalette::Link, p.accent);
  q.setColor(QPalette::LinkVisited, p.accent);
  q.setColor(QPalette::ToolTipBase, p.raised);
  q.setColor(QPalette::ToolTipText, p.text);
  q.setColor(QPalette::Light, p.raised);
  q.setColor(QPalette::Midlight, p.border);
  q.setColor(QPalette::Mid, p.border);
  q.setColor(QPalette::Dark, p.border);
  q.setColor(QPalette::Shadow, p.dark ? QColor(0, 0, 0) : p.border);
  for (const QPalette::ColorRole role :
       {QPalette::WindowText, QPalette::Text, QPalette::ButtonText, QPalette::HighlightedText}) {
    q.setColor(QPalette::Disabled, role, p.textDisabled);
  }
  return q;
}

/// "@points(1.5)" is a font size: 1.5 times that of plain text.
QString withFontSizes(const QString& sheet, double points) {
  static const QRegularExpression size(QStringLiteral("@points\\(([0-9.]+)\\)"));
  QString result;
  qsizetype from = 0;
  for (auto it = size.globalMatch(sheet); it.hasNext();) {
    const auto match = it.next();
    result += QStringView(sheet).mid(from, match.capturedStart() - from);
    result += QStringLiteral("%1pt").arg(match.captured(1).toDouble() * points, 0, 'f', 2);
    from = match.capturedEnd();
  }
  return result += QStringView(sheet).mid(from);
}

/// The style sheet with its @names replaced by the palette's colours and sizes of text.
QString styleSheetFor(const Palette& p, double points) {
  QFile file(QStringLiteral(":/batchscope/style.qss"));
  if (!file.open(QIODevice::ReadOnly)) {
    return {};
  }
  QString sheet = withFontSizes(QString::fromUtf8(file.readAll()), points);
  const QList<std::pair<QString, QColor>> names = {
      {QStringLiteral("@windowColour"), p.window},
      {QStringLiteral("@panel"), p.panel},
      {QStringLiteral("@raised"), p.raised},
      {QStringLiteral("@border"), p.border},
      {QStringLiteral("@textMuted"), p.textMuted},
      {QStringLiteral("@textDisabled"), p.textDisabled},
      {QStringLiteral("@text"), p.text},
      {QStringLiteral("@accent"), p.accent},
      {QStringLiteral("@onAccent"), p.onAccent},
      {QStringLiteral("@selection"), p.selection},
      {QStringLiteral("@hover"), p.hover},
      {QStringLiteral("@goodSoft"), p.goodSoft},
      {QStringLiteral("@warnSoft"), p.warnSoft},
      {QStringLiteral("@badSoft"), p.badSoft},
      {QStringLiteral("@infoSoft"), p.infoSoft},
      {QStringLiteral("@good"), p.good},
      {QStringLiteral("@warn"), p.warn},
      {QStringLiteral("@bad"), p.bad},
      {QStringLiteral("@info"), p.info}};
  sheet.replace(QStringLiteral("@checkMark"),
                p.dark ? QStringLiteral(":/batchscope/icons/mark-dark.svg")
                       : QStringLiteral(":/batchscope/icons/mark-light.svg"));
  for (const auto& [name, colour] : names) {
    sheet.replace(name, colour.name());
  }
  return sheet;
}

}  // namespace

Theme& Theme::instance() {
  static auto* theme = new Theme(QCoreApplication::instance());
  return *theme;
}

Theme::Theme(QObject* parent) : QObject(parent), desktopFont_(QGuiApplication::font()) {
  initResources();
  // Read before the first apply(): afterwards the application's palette is ours.
  systemIsDark_ = QGuiApplication::palette().color(QPalette::Window).lightness() < 128;
  palette_ = paletteFor(ThemeMode::kSystem);
}

Palette Theme::paletteFor(ThemeMode mode) const {
  const bool dark = mode == ThemeMode::kDark || (mode == ThemeMode::kSystem && systemIsDark_);
  return dark ? darkPalette() : lightPalette();
}

void Theme::apply(ThemeMode mode) {
  mode_ = mode;
  palette_ = paletteFor(mode);
  if (qApp->style()->name() != QLatin1String("fusion")) {
    QApplication::setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  }
  QApplication::setPalette(widgetPalette(palette_));
  // Before the style sheet: only a sheet that is set anew hands the font to open widgets.
  QFont font = desktopFont_;
  font.setPointSizeF(desktopFont_.pointSizeF() * textScale_);
  QApplication::setFont(font);
  qApp->setStyleSheet(styleSheetFor(palette_, font.pointSizeF()));
  Q_EMIT changed();
}

void Theme::setTextScale(double scale) {
  if (scale != textScale_) {
    textScale_ = scale;
    apply(mode_);
  }
}

void followTheme(const QWidget* widget, const std::function<void()>& look) {
  QObject::connect(&Theme::instance(), &Theme::changed, widget, look);
  look();
}

QSize textSized(QSize size) {
  return (size * Theme::instance().textScale())
      .boundedTo(QGuiApplication::primaryScreen()->availableSize() * 0.95);
}

const Palette& colours() {
  return Theme::instance().palette();
}

QIcon icon(const QString& name, IconTint tint) {
  Theme::instance();
  QFile file(QStringLiteral(":/batchscope/icons/%1.svg").arg(name));
  if (!file.open(QIODevice::ReadOnly)) {
    return {};
  }
  return QIcon(new ThemedIconEngine(file.readAll(), tint));
}

QIcon programIcon() {
  return icon(QStringLiteral("batchscope"));
}

}  // namespace batchscope::views
