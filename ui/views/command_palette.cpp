#include "ui/views/command_palette.h"

#include "ui/views/actions.h"
#include "ui/views/theme.h"

#include <QHeaderView>
#include <QKeyEvent>
#include <QLineEdit>
#include <QListWidget>
#include <QTableWidget>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

QString plainText(const QAction* action) {
  return action->text().remove(QLatin1Char('&'));
}

QString keysOf(const QAction* action) {
  return action->property("keys").value<QKeySequence>().toString(QKeySequence::NativeText);
}

}  // namespace

CommandPalette::CommandPalette(const Actions& actions, QWidget* parent)
    : QDialog(parent), actions_(actions) {
  setWindowTitle(tr("Command palette"));
  resize(textSized(QSize(520, 420)));
  search_ = new QLineEdit(this);
  search_->setPlaceholderText(tr("Type a command"));
  search_->setAccessibleName(tr("Search commands"));
  search_->installEventFilter(this);
  list_ = new QListWidget(this);
  list_->setAccessibleName(tr("Commands"));
  list_->setIconSize(QSize(18, 18));
  auto* column = new QVBoxLayout(this);
  column->addWidget(search_);
  column->addWidget(list_, 1);
  connect(search_, &QLineEdit::textChanged, this, &CommandPalette::filter);
  connect(search_, &QLineEdit::returnPressed, this, &CommandPalette::choose);
  connect(list_, &QListWidget::itemActivated, this, &CommandPalette::choose);
  filter({});
}

void CommandPalette::filter(const QString& text) {
  list_->clear();
  for (QAction* action : actions_.all()) {
    const QString line = QStringLiteral("%1 %2").arg(plainText(action), action->statusTip());
    if (!text.isEmpty() && !line.contains(text, Qt::CaseInsensitive)) {
      continue;
    }
    const QString keys = keysOf(action);
    auto* item = new QListWidgetItem(action->icon(),
                                     keys.isEmpty()
                                         ? plainText(action)
                                         : QStringLiteral("%1    %2").arg(plainText(action), keys),
                                     list_);
    item->setToolTip(action->statusTip());
    item->setData(Qt::UserRole, action->objectName());
    if (!action->isEnabled()) {
      item->setFlags(item->flags() & ~Qt::ItemIsEnabled);
    }
  }
  for (int row = 0; row < list_->count(); ++row) {
    if (list_->item(row)->flags() & Qt::ItemIsEnabled) {
      list_->setCurrentRow(row);
      break;
    }
  }
}

void CommandPalette::choose() {
  const QListWidgetItem* item = list_->currentItem();
  if (item != nullptr && item->flags() & Qt::ItemIsEnabled) {
    chosen_ = actions_.get(item->data(Qt::UserRole).toString());
    accept();
  }
}

bool CommandPalette::eventFilter(QObject* watched, QEvent* event) {
  if (watched == search_ && event->type() == QEvent::KeyPress) {
    const int key = static_cast<QKeyEvent*>(event)->key();
    if (key == Qt::Key_Down || key == Qt::Key_Up) {
      const int row = list_->currentRow() + (key == Qt::Key_Down ? 1 : -1);
      list_->setCurrentRow(std::clamp(row, 0, list_->count() - 1));
      return true;
    }
  }
  return QDialog::eventFilter(watched, event);
}

ShortcutSheet::ShortcutSheet(const Actions& actions, QWidget* parent) : QDialog(parent) {
  setWindowTitle(tr("Shortcuts"));
  resize(textSized(QSize(640, 560)));
  auto* table = new QTableWidget(static_cast<int>(actions.all().size()), 3, this);
  table->setAccessibleName(tr("Commands and their keys"));
  table->setHorizontalHeaderLabels({tr("Command"), tr("Key"), tr("What it does")});
  table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table->verticalHeader()->hide();
  table->setShowGrid(false);
  table->setAlternatingRowColors(true);
  int row = 0;
  for (const QAction* action : actions.all()) {
    table->setItem(row, 0, new QTableWidgetItem(action->icon(), plainText(action)));
    table->setItem(row, 1, new QTableWidgetItem(keysOf(action)));
    table->setItem(row, 2, new QTableWidgetItem(action->statusTip()));
    ++row;
  }
  table->resizeColumnsToContents();
  table->horizontalHeader()->setStretchLastSection(true);
  auto* column = new QVBoxLayout(this);
  column->addWidget(table);
}

}  // namespace batchscope::views
