#include "ui/views/log_dialog.h"

#include "ui/views/widgets.h"

#include <QApplication>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QLabel>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollBar>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

constexpr int kReadMs = 500;

}  // namespace

LogDialog::LogDialog(const QString& title, const QString& path, QWidget* parent)
    : QDialog(parent), tail_(path) {
  setWindowTitle(title);
  resize(textSized(QSize(860, 560)));
  auto* column = new QVBoxLayout(this);
  column->setSpacing(10);
  place_ = mutedLabel(path, this);
  place_->setTextFormat(Qt::PlainText);
  place_->setWordWrap(true);
  place_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  text_ = new QPlainTextEdit(this);
  text_->setReadOnly(true);
  text_->setAccessibleName(tr("End of the log"));
  setFixedFont(text_);
  text_->setLineWrapMode(QPlainTextEdit::NoWrap);
  text_->setMaximumBlockCount(session::LogTail::kMostLines);
  text_->setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  text_->setPlaceholderText(tr("The log is empty."));
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
  copy_ = buttons->addButton(tr("&Copy"), QDialogButtonBox::ActionRole);
  copy_->setIcon(icon(QStringLiteral("copy")));
  copy_->setToolTip(tr("Copies what is selected, or all that is shown"));
  column->addWidget(place_);
  column->addWidget(text_, 1);
  column->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(copy_, &QPushButton::clicked, this, &LogDialog::copy);
  connect(&timer_, &QTimer::timeout, this, &LogDialog::read);
  timer_.start(kReadMs);
  read();
  text_->setFocus();
}

void LogDialog::read() {
  const auto news = tail_.read();
  if (!news) {
    return;
  }
  QScrollBar* bar = text_->verticalScrollBar();
  const bool atEnd = news->restarted || bar->value() >= bar->maximum() - 2;
  if (news->restarted) {
    text_->clear();
  }
  // A cursor of its own leaves what is selected.
  QTextCursor end(text_->document());
  end.movePosition(QTextCursor::End);
  end.insertText(news->text);
  if (atEnd) {
    bar->setValue(bar->maximum());
  }
}

void LogDialog::copy() {
  const QTextCursor cursor = text_->textCursor();
  QApplication::clipboard()->setText(
      cursor.hasSelection()
          ? cursor.selectedText().replace(QChar::ParagraphSeparator, QLatin1Char('\n'))
          : text_->toPlainText());
}

}  // namespace batchscope::views
