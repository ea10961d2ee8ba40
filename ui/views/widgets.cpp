#include "ui/views/widgets.h"

#include <QAction>
#include <QApplication>
#include <QClipboard>
#include <QDateTime>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QSettings>
#include <QStyle>
#include <QTableView>
#include <QToolButton>

namespace batchscope::views {

QLabel* mutedLabel(const QString& text, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setProperty("muted", true);
  return label;
}

QLabel* headingLabel(const QString& text, QWidget* parent) {
  auto* label = new QLabel(text, parent);
  label->setProperty("heading", true);
  return label;
}

QLabel* titleLabel(const QString& text, QWidget* parent, TitleSize size) {
  auto* label = new QLabel(text, parent);
  // The style sheet has the sizes: a font of its own would not follow the application's.
  label->setProperty("title",
                     size == TitleSize::kSmall    ? QStringLiteral("small")
                     : size == TitleSize::kMiddle ? QStringLiteral("middle")
                     : size == TitleSize::kLarge  ? QStringLiteral("large")
                                                  : QStringLiteral("huge"));
  return label;
}

void setFixedFont(QWidget* widget) {
  widget->setProperty("fixed", true);
}

void setTextRows(QTableView* view) {
  followTheme(view, [view] {
    view->verticalHeader()->setDefaultSectionSize(view->fontMetrics().height() + 8);
  });
}

QToolButton* actionButton(QAction* action, QWidget* parent, bool withText) {
  auto* button = new QToolButton(parent);
  button->setDefaultAction(action);
  button->setToolButtonStyle(withText ? Qt::ToolButtonTextBesideIcon : Qt::ToolButtonIconOnly);
  button->setIconSize(QSize(18, 18));
  button->setAccessibleName(action->text().remove(QLatin1Char('&')));
  return button;
}

void setStyleProperty(QWidget* widget, const char* name, const QVariant& value) {
  if (widget->property(name) != value) {
    widget->setProperty(name, value);
    widget->style()->unpolish(widget);
    widget->style()->polish(widget);
  }
}

std::unique_ptr<QSettings> openSettings() {
  return std::make_unique<QSettings>(QSettings::IniFormat,
                                     QSettings::UserScope,
                                     QStringLiteral("batchscope"),
                                     QStringLiteral("window"));
}

QString optimizerTitle(const QString& name) {
  static const QList<std::pair<QString, QString>> kTitles = {
      {QStringLiteral("pmd_lamb"), QStringLiteral("PMD-LAMB")},
      {QStringLiteral("lamb"), QStringLiteral("LAMB")},
      {QStringLiteral("lars"), QStringLiteral("LARS")},
      {QStringLiteral("adamw"), QStringLiteral("AdamW")},
      {QStringLiteral("sgd"), QStringLiteral("SGD")},
      {QStringLiteral("conadv"), QStringLiteral("ConAdv")},
      {QStringLiteral("agvm"), QStringLiteral("AGVM")}};
  QStringList words = name.split(QStringLiteral(" + "), Qt::SkipEmptyParts);
  for (QString& word : words) {
    for (const auto& [key, title] : kTitles) {
      if (word.trimmed() == key) {
        word = title;
        break;
      }
    }
  }
  return words.join(QStringLiteral(" + "));
}

QString localTime(const QString& iso) {
  const QDateTime time = QDateTime::fromString(iso, Qt::ISODateWithMs).toLocalTime();
  return time.isValid() ? QLocale().toString(time, QStringLiteral("yyyy-MM-dd HH:mm")) : QString();
}

QString timeAgo(const QString& iso) {
  const QDateTime time = QDateTime::fromString(iso, Qt::ISODateWithMs);
  if (!time.isValid()) {
    return {};
  }
  const qint64 s = std::max<qint64>(0, time.secsTo(QDateTime::currentDateTimeUtc()));
  if (s < 60) {
    return Banner::tr("just now");
  }
  if (s < 3600) {
    return Banner::tr("%1 min ago").arg(s / 60);
  }
  return s < 172800 ? Banner::tr("%1 h ago").arg(s / 3600)
                    : Banner::tr("%1 days ago").arg(s / 86400);
}

Banner::Banner(QWidget* parent) : QFrame(parent) {
  icon_ = new QLabel(this);
  text_ = new QLabel(this);
  text_->setWordWrap(true);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  copy_ = new QToolButton(this);
  copy_->setIcon(icon(QStringLiteral("copy"), IconTint::kMuted));
  copy_->setToolTip(tr("Copy the details"));
  copy_->setAccessibleName(tr("Copy the details"));
  connect(copy_, &QToolButton::clicked, this, [this] {
    QApplication::clipboard()->setText(text_->text() + QLatin1Char('\n') + details_);
  });
  buttons_ = new QHBoxLayout;
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(12, 7, 8, 7);
  row->addWidget(icon_);
  row->addSpacing(4);
  row->addWidget(text_, 1);
  row->addLayout(buttons_);
  row->addWidget(copy_);
}

void Banner::setMessage(Kind kind, const QString& text, const QString& details) {
  const bool bad = kind == Kind::kBad;
  const bool warn = kind == Kind::kWarn;
  const bool good = kind == Kind::kGood;
  setStyleProperty(this,
                   "banner",
                   bad    ? QStringLiteral("bad")
                   : warn ? QStringLiteral("warn")
                   : good ? QStringLiteral("good")
                          : QStringLiteral("info"));
  const QIcon sign = bad    ? icon(QStringLiteral("error"), IconTint::kBad)
                     : warn ? icon(QStringLiteral("warning"), IconTint::kWarn)
                     : good ? icon(QStringLiteral("check"), IconTint::kGood)
                            : icon(QStringLiteral("info"), IconTint::kAccent);
  icon_->setPixmap(sign.pixmap(QSize(20, 20)));
  text_->setText(text);
  text_->setToolTip(details);
  details_ = details;
  copy_->setVisible(!details.isEmpty());
  setAccessibleName(text);
}

QPushButton* Banner::addButton(const QString& text) {
  auto* button = new QPushButton(text, this);
  buttons_->addWidget(button);
  return button;
}

void Banner::clearButtons() {
  while (QLayoutItem* item = buttons_->takeAt(0)) {
    item->widget()->deleteLater();
    delete item;
  }
}

QString Banner::text() const {
  return text_->text();
}

}  // namespace batchscope::views
