#include "ui/views/spec_form_view.h"

#include "ui/session/preflight.h"
#include "ui/views/spec_labels.h"
#include "ui/views/widgets.h"

#include <QApplication>
#include <QCheckBox>
#include <QComboBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QGroupBox>
#include <QLabel>
#include <QLineEdit>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

namespace batchscope::views {

SpecFormView::SpecFormView(session::SpecForm* form,
                           const QStringList& keys,
                           int columns,
                           QWidget* parent)
    : QScrollArea(parent), form_(form) {
  setWidgetResizable(true);
  setFrameShape(QFrame::NoFrame);
  QStringList all = keys;
  if (all.isEmpty()) {
    for (const session::SpecField& field : form->fields()) {
      all.append(field.key);
    }
  }
  build(all, columns);
  connect(form, &session::SpecForm::changed, this, &SpecFormView::refresh);
  connect(form, &session::SpecForm::fieldChanged, this, &SpecFormView::refresh);
  connect(qApp, &QApplication::focusChanged, this, [this](QWidget*, const QWidget* now) {
    for (auto row = rows_.cbegin(); row != rows_.cend(); ++row) {
      if (row->editor == now && now != nullptr) {
        Q_EMIT entered(row.key());
      }
    }
  });
  refresh();
}

void SpecFormView::build(const QStringList& keys, int columns) {
  auto* body = new QWidget(this);
  auto* row = new QHBoxLayout(body);
  row->setContentsMargins(2, 0, 8, 0);
  QList<QVBoxLayout*> stacks;
  for (int i = 0; i < columns; ++i) {
    stacks.append(new QVBoxLayout);
    row->addLayout(stacks.last(), 1);
  }
  QHash<QString, QGridLayout*> groups;
  QList<int> load(columns, 0);
  for (const QString& key : keys) {
    const session::SpecField field = form_->field(key);
    QGridLayout*& grid = groups[field.section];
    if (grid == nullptr) {
      auto* group = new QGroupBox(sectionTitle(field.section), body);
      grid = new QGridLayout(group);
      grid->setHorizontalSpacing(10);
      grid->setVerticalSpacing(3);
      grid->setColumnStretch(1, 1);
      const auto least = std::min_element(load.begin(), load.end()) - load.begin();
      const auto size = std::count_if(keys.cbegin(), keys.cend(), [&](const QString& other) {
        return other.startsWith(field.section + QLatin1Char('.'));
      });
      load[least] += static_cast<int>(size) + 2;
      stacks[least]->addWidget(group);
    }
    Row entry;
    entry.group = grid->parentWidget();
    entry.editor = makeEditor(field);
    entry.label = new QLabel(labelOfKey(key), entry.group);
    entry.label->setBuddy(entry.editor);
    entry.label->setToolTip(entry.editor->toolTip());
    entry.error = new QLabel(entry.group);
    entry.error->setProperty("bad", true);
    entry.error->setWordWrap(true);
    entry.error->hide();
    entry.searched = key + QLatin1Char(' ') + labelOfKey(key) + QLatin1Char(' ') + field.help;
    const int at = grid->rowCount();
    grid->addWidget(entry.label, at, 0);
    entry.browse = makeBrowse(key, entry.group);
    grid->addWidget(entry.editor, at, 1, 1, entry.browse != nullptr ? 1 : 2);
    if (entry.browse != nullptr) {
      grid->addWidget(entry.browse, at, 2);
    }
    grid->addWidget(entry.error, at + 1, 0, 1, 3);
    rows_.insert(key, entry);
    order_.append(key);
  }
  for (QVBoxLayout* stack : std::as_const(stacks)) {
    stack->addStretch(1);
  }
  setWidget(body);
}

QWidget* SpecFormView::makeEditor(const session::SpecField& field) {
  QWidget* editor = nullptr;
  const QString key = field.key;
  const auto write = [this, key](const QString& text) {
    writing_ = key;
    form_->setValue(key, text);
    refresh();
    writing_.clear();
  };
  if (field.type == QLatin1String("boolean")) {
    auto* box = new QCheckBox(this);
    connect(box, &QCheckBox::clicked, this, [write](bool on) {
      write(on ? QStringLiteral("true") : QStringLiteral("false"));
    });
    editor = box;
  } else if (!field.choices.isEmpty()) {
    auto* box = new QComboBox(this);
    box->addItems(field.choices);
    connect(box, &QComboBox::textActivated, this, write);
    editor = box;
  } else {
    auto* edit = new QLineEdit(this);
    edit->setPlaceholderText(field.fallback == QLatin1String("\"\"") ? tr("none") : field.fallback);
    connect(edit, &QLineEdit::textEdited, this, write);
    connect(edit, &QLineEdit::editingFinished, this, &SpecFormView::refresh);
    editor = edit;
  }
  editor->setAccessibleName(key);
  editor->setObjectName(key);
  QString tip = field.help;
  if (!field.range.isEmpty()) {
    tip += tr("\nAllowed: %1").arg(field.range);
  }
  editor->setToolTip(tip + tr("\nKey: %1, default %2").arg(key, field.fallback));
  return editor;
}

QToolButton* SpecFormView::makeBrowse(const QString& key, QWidget* parent) {
  if (session::pathKind(key, {}) == session::PathKind::kNone) {
    return nullptr;
  }
  auto* button = new QToolButton(parent);
  button->setIcon(icon(QStringLiteral("open")));
  button->setToolTip(tr("Browse…"));
  button->setAccessibleName(tr("Browse for %1").arg(key));
  connect(button, &QToolButton::clicked, this, [this, key] { browse(key); });
  return button;
}

void SpecFormView::browse(const QString& key) {
  const auto kind = session::pathKind(key, form_->spec().data.kind);
  const QString now = form_->value(key);
  const QString path = kind == session::PathKind::kFolder
                           ? QFileDialog::getExistingDirectory(this, key, now)
                           : QFileDialog::getOpenFileName(this, key, now);
  if (!path.isEmpty()) {
    form_->setValue(key, path);
    refresh();
  }
}

void SpecFormView::show(const session::SpecField& field) {
  const Row& row = rows_[field.key];
  if (auto* box = qobject_cast<QCheckBox*>(row.editor)) {
    box->setChecked(field.value == QLatin1String("true"));
  } else if (auto* combo = qobject_cast<QComboBox*>(row.editor)) {
    const QString value = field.value.isEmpty() ? field.fallback : field.value;
    if (combo->findText(value) < 0) {
      combo->addItem(value);
    }
    combo->setCurrentText(value);
  } else if (auto* edit = qobject_cast<QLineEdit*>(row.editor)) {
    if (writing_ != field.key && !edit->hasFocus() && edit->text() != field.value) {
      edit->setText(field.value);
      edit->setCursorPosition(0);
    }
  }
}

void SpecFormView::refresh() {
  const QHash<QString, QString> errors = form_->errors();
  for (const session::SpecField& field : form_->fields()) {
    if (!rows_.contains(field.key)) {
      continue;
    }
    show(field);
    const Row& row = rows_[field.key];
    const QString error = field.error.isEmpty() ? errors.value(field.key) : field.error;
    row.error->setText(error);
    row.error->setVisible(!error.isEmpty() && !row.editor->isHidden());
    setStyleProperty(row.editor, "invalid", !error.isEmpty());
    row.editor->setAccessibleDescription(error);
  }
}

QString SpecFormView::errorText(const QString& key) const {
  const Row row = rows_.value(key);
  return row.error ? row.error->text() : QString();
}

void SpecFormView::setFilter(const QString& text) {
  QSet<QWidget*> used;
  for (const QString& key : std::as_const(order_)) {
    const Row& row = rows_[key];
    const bool shown = text.isEmpty() || row.searched.contains(text, Qt::CaseInsensitive);
    row.editor->setVisible(shown);
    row.label->setVisible(shown);
    if (row.browse != nullptr) {
      row.browse->setVisible(shown);
    }
    row.error->setVisible(shown && !row.error->text().isEmpty());
    if (shown) {
      used.insert(row.group);
    }
  }
  for (const Row& row : std::as_const(rows_)) {
    row.group->setVisible(used.contains(row.group));
  }
}

void SpecFormView::reveal(const QString& key) {
  if (QWidget* target = editor(key)) {
    ensureWidgetVisible(target);
    target->setFocus(Qt::OtherFocusReason);
  }
}

}  // namespace batchscope::views
