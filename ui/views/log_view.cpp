#include "ui/views/log_view.h"

#include "ui/views/widgets.h"

#include <QScrollBar>

namespace batchscope::views {

namespace {

constexpr int kReadMs = 500;

}  // namespace

LogView::LogView(QWidget* parent) : QPlainTextEdit(parent) {
  setReadOnly(true);
  setFixedFont(this);
  setLineWrapMode(QPlainTextEdit::NoWrap);
  setTextInteractionFlags(Qt::TextSelectableByMouse | Qt::TextSelectableByKeyboard);
  setAccessibleName(tr("End of the log"));
  connect(&timer_, &QTimer::timeout, this, [this] {
    if (isVisible()) {
      read();
    }
  });
  timer_.start(kReadMs);
}

void LogView::setPath(const QString& path) {
  if (path == (tail_ ? tail_->path() : QString())) {
    return;
  }
  clear();
  tail_.reset();
  if (!path.isEmpty()) {
    tail_.emplace(path);
    read();
  }
}

void LogView::read() {
  const auto news = tail_ ? tail_->read() : std::nullopt;
  if (!news) {
    return;
  }
  QScrollBar* bar = verticalScrollBar();
  const bool atEnd = news->restarted || bar->value() >= bar->maximum() - 2;
  if (news->restarted) {
    clear();
  }
  // Lines taken from the top would move what is being read.
  setMaximumBlockCount(atEnd ? session::LogTail::kMostLines : 0);
  // A cursor of its own leaves what is selected.
  QTextCursor end(document());
  end.movePosition(QTextCursor::End);
  end.insertText(news->text);
  if (atEnd) {
    bar->setValue(bar->maximum());
  }
}

void LogView::showEvent(QShowEvent* event) {
  QPlainTextEdit::showEvent(event);
  read();
}

}  // namespace batchscope::views
