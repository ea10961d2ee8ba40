#include "ui/views/shadow_box.h"

#include "ui/views/widgets.h"

#include <QComboBox>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QListWidget>
#include <QPushButton>
#include <QVBoxLayout>

#include <algorithm>

namespace batchscope::views {

namespace {

constexpr int kRowsShown = 3;

}  // namespace

ShadowBox::ShadowBox(QWidget* parent) : QGroupBox(tr("Shadow optimizers"), parent) {
  setToolTip(tr(
      "Other optimizers fed the same gradients, which never touch the weights: what they would do "
      "is on the Moments page. Each costs its state and a part of the step."));
  none_ = mutedLabel(tr("None."), this);
  list_ = new QListWidget(this);
  list_->setAccessibleName(tr("Shadow optimizers in force"));
  list_->setSelectionMode(QAbstractItemView::SingleSelection);
  remove_ = new QPushButton(tr("Remove"), this);
  remove_->setToolTip(tr("Removes the chosen shadow at the next step; its curves stay"));
  method_ = new QComboBox(this);
  method_->setAccessibleName(tr("Method of a new shadow"));
  for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
    method_->addItem(optimizerTitle(QLatin1String(name)), QLatin1String(name));
  }
  lr_ = new QLineEdit(this);
  lr_->setPlaceholderText(tr("the run's lr"));
  lr_->setAccessibleName(tr("Learning rate of a new shadow"));
  label_ = new QLineEdit(this);
  label_->setPlaceholderText(tr("the method"));
  label_->setAccessibleName(tr("Label of a new shadow"));
  label_->setToolTip(tr("What its curves are called; letters, digits and _ - . +"));
  add_ = new QPushButton(tr("Add"), this);
  add_->setToolTip(tr("Begins at the next step, without history"));

  auto* form = new QFormLayout;
  form->setHorizontalSpacing(10);
  form->setVerticalSpacing(5);
  form->addRow(tr("Method"), method_);
  form->addRow(tr("Learning rate"), lr_);
  form->addRow(tr("Label"), label_);
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(add_, 1);
  buttons->addWidget(remove_);
  auto* column = new QVBoxLayout(this);
  column->setSpacing(6);
  column->addWidget(none_);
  column->addWidget(list_);
  column->addLayout(form);
  column->addLayout(buttons);
  connect(add_, &QPushButton::clicked, this, &ShadowBox::add);
  connect(remove_, &QPushButton::clicked, this, &ShadowBox::remove);
  connect(list_, &QListWidget::currentRowChanged, this, &ShadowBox::enable);
  for (QLineEdit* input : {label_, lr_}) {
    connect(input, &QLineEdit::textEdited, this, [this] { setFault({}); });
  }
  setShadows({}, false);
}

void ShadowBox::setShadows(const QStringList& labels, bool can) {
  can_ = can;
  QStringList shown;
  for (int i = 0; i < list_->count(); ++i) {
    shown.append(list_->item(i)->text());
  }
  if (shown != labels) {
    list_->clear();
    list_->addItems(labels);
    list_->setCurrentRow(labels.isEmpty() ? -1 : 0);
  }
  none_->setVisible(labels.isEmpty());
  list_->setVisible(!labels.isEmpty());
  const auto rows = std::min<int>(kRowsShown, static_cast<int>(labels.size()));
  list_->setFixedHeight(rows * std::max(18, list_->sizeHintForRow(0)) + 2 * list_->frameWidth() +
                        4);
  enable();
}

void ShadowBox::enable() {
  add_->setEnabled(can_);
  remove_->setEnabled(can_ && list_->currentRow() >= 0);
}

void ShadowBox::add() {
  contract::ShadowCommand command;
  command.name = method_->currentData().toString().toStdString();
  command.label = label_->text().trimmed().toStdString();
  if (const QString lr = lr_->text().trimmed(); !lr.isEmpty()) {
    command.set["optim.lr"] = lr.toStdString();
  }
  Q_EMIT wanted(command);
}

void ShadowBox::remove() {
  if (const QListWidgetItem* item = list_->currentItem()) {
    contract::ShadowCommand command;
    command.action = contract::ShadowAction::kRemove;
    command.label = item->text().toStdString();
    Q_EMIT wanted(command);
  }
}

void ShadowBox::setFault(const QString& field) {
  setStyleProperty(label_, "invalid", field.endsWith(QLatin1String("label")));
  setStyleProperty(lr_, "invalid", field.endsWith(QLatin1String("lr")));
}

void ShadowBox::clearInput() {
  label_->clear();
  lr_->clear();
  setFault({});
}

}  // namespace batchscope::views
