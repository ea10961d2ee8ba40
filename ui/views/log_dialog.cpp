#include "ui/views/log_dialog.h"

#include "ui/views/widgets.h"

#include <QApplication>
#include <QClipboard>
#include <QDialogButtonBox>
#include <QLabel>
#include <QPushButton>
#include <QVBoxLayout>

namespace batchscope::views {

LogDialog::LogDialog(const QString& title, const QString& path, QWidget* parent) : QDialog(parent) {
  setWindowTitle(title);
  resize(textSized(QSize(860, 560)));
  auto* column = new QVBoxLayout(this);
  column->setSpacing(10);
  place_ = mutedLabel(path, this);
  place_->setTextFormat(Qt::PlainText);
  place_->setWordWrap(true);
  place_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  text_ = new LogView(this);
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
  text_->setPath(path);
  text_->setFocus();
}

void LogDialog::copy() {
  const QTextCursor cursor = text_->textCursor();
  QApplication::clipboard()->setText(
      cursor.hasSelection()
          ? cursor.selectedText().replace(QChar::ParagraphSeparator, QLatin1Char('\n'))
          : text_->toPlainText());
}

}  // namespace batchscope::views
