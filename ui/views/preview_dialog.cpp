#include "ui/views/preview_dialog.h"

#include "ui/views/axis_ticks.h"
#include "ui/views/theme.h"

#include <QDialogButtonBox>
#include <QLabel>
#include <QRegularExpression>
#include <QTextBrowser>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

QString htmlRow(const QStringList& cells, bool head) {
  QString row = QStringLiteral("<tr>");
  for (qsizetype i = 0; i < cells.size(); ++i) {
    const bool left = i == 0;
    row += QStringLiteral("<%1 align=\"%2\">%3</%1>")
               .arg(head ? QStringLiteral("th") : QStringLiteral("td"),
                    left ? QStringLiteral("left") : QStringLiteral("right"),
                    cells[i].toHtmlEscaped());
  }
  return row + QStringLiteral("</tr>");
}

/// "update new lr new" tells of what each is new.
QStringList toldHeads(QStringList heads) {
  for (qsizetype i = 1; i < heads.size(); ++i) {
    if (heads[i] == QLatin1String("new")) {
      heads[i] = PreviewDialog::tr("new %1").arg(heads[i - 1]);
    }
  }
  return heads;
}

}  // namespace

QString previewHtml(const QString& answer) {
  static const QRegularExpression kChange(QStringLiteral("^(\\S.*?)\\s{2,}(.*?)\\s*-> (.*)$"));
  static const QRegularExpression kSpaces(QStringLiteral("\\s+"));
  QString html;
  qsizetype columns = 0;  // of the table that is open; 0: none
  const auto close = [&] {
    html += columns > 0 ? QStringLiteral("</table>") : QString();
    columns = 0;
  };
  const auto open = [&](const QStringList& heads) {
    close();
    columns = heads.size();
    html += QStringLiteral("<table cellpadding=\"4\">") + htmlRow(heads, true);
  };
  bool changes = false;
  for (const QString& line : answer.split(QLatin1Char('\n'), Qt::SkipEmptyParts)) {
    const auto change = kChange.match(line);
    const QStringList words = line.split(kSpaces, Qt::SkipEmptyParts);
    if (change.hasMatch() && !line.contains(QLatin1String(": "))) {
      if (!changes) {
        open({PreviewDialog::tr("setting"), PreviewDialog::tr("now"), PreviewDialog::tr("then")});
      }
      changes = true;
      html += htmlRow({change.captured(1), change.captured(2), change.captured(3)}, false);
      continue;
    }
    changes = false;
    if (words.first() == QLatin1String("module")) {
      open(toldHeads(words));
    } else if (columns > 0 && words.size() == columns) {
      html += htmlRow(words, false);
    } else {
      close();
      html += QStringLiteral("<p>%1</p>").arg(line.toHtmlEscaped());
    }
  }
  close();
  return html;
}

PreviewDialog::PreviewDialog(QWidget* parent) : QDialog(parent) {
  setWindowTitle(tr("What the switch would do"));
  setAttribute(Qt::WA_DeleteOnClose);
  head_ = new QLabel(this);
  head_->setWordWrap(true);
  head_->setTextFormat(Qt::PlainText);
  body_ = new QTextBrowser(this);
  body_->setAccessibleName(tr("Preview of the switch"));
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
  auto* column = new QVBoxLayout(this);
  column->addWidget(head_);
  column->addWidget(body_, 1);
  column->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  resize(textSized(QSize(640, 460)));
}

void PreviewDialog::showAnswer(const QString& command, qint64 step, const QString& answer) {
  head_->setText(
      step >= 0
          ? tr("Preview at step %1 of: %2. Nothing has changed.").arg(formatCount(step), command)
          : tr("Preview of: %1. Nothing has changed.").arg(command));
  body_->setHtml(previewHtml(answer));
  show();
  raise();
}

}  // namespace batchscope::views
