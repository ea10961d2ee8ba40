// The part of OptimizerPanel that makes its widgets.
#include "ui/session/command_log.h"
#include "ui/views/optimizer_panel.h"
#include "ui/views/shadow_box.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QGroupBox>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPushButton>
#include <QStyle>
#include <QTableView>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

QFormLayout* compactForm(QWidget* parent) {
  auto* form = new QFormLayout(parent);
  form->setContentsMargins(0, 0, 0, 0);
  form->setHorizontalSpacing(10);
  form->setVerticalSpacing(5);
  form->setFieldGrowthPolicy(QFormLayout::AllNonFixedFieldsGrow);
  return form;
}

template <typename Enum>
QComboBox* enumBox(QWidget* parent,
                   const QString& name,
                   const QString& tip,
                   const QList<std::pair<QString, Enum>>& items) {
  auto* box = new QComboBox(parent);
  for (const auto& [text, value] : items) {
    box->addItem(text, static_cast<int>(value));
  }
  box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  box->setMinimumContentsLength(9);
  box->setAccessibleName(name);
  box->setToolTip(tip);
  return box;
}

QLabel* wrapped(const QString& text, QWidget* parent) {
  QLabel* label = mutedLabel(text, parent);
  label->setWordWrap(true);
  return label;
}

}  // namespace

OptimizerPanel::OptimizerPanel(QWidget* parent) : QScrollArea(parent) {
  setWidgetResizable(true);
  setFrameShape(QFrame::NoFrame);
  setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  setAccessibleName(tr("Optimizer"));
  build();
  refresh();
}

void OptimizerPanel::build() {
  auto* body = new QWidget(this);
  auto* column = new QVBoxLayout(body);
  column->setContentsMargins(10, 8, 10, 10);
  column->setSpacing(8);
  column->addWidget(buildNow());
  column->addWidget(buildForm());
  column->addWidget(buildLr());
  shadows_ = new ShadowBox(this);
  connect(shadows_, &ShadowBox::wanted, this, [this](const contract::ShadowCommand& wanted) {
    if (run_ && run_->canControl()) {
      shadowId_ = run_->sendCommand(wanted);
    }
  });
  column->addWidget(shadows_);
  column->addWidget(buildLog(), 1);
  setWidget(body);
  followTheme(this, [this, body] {
    setMinimumWidth(body->minimumSizeHint().width() +
                    style()->pixelMetric(QStyle::PM_ScrollBarExtent) + 4);
  });
}

QWidget* OptimizerPanel::buildNow() {
  auto* card = new QFrame(this);
  card->setProperty("card", true);
  auto* column = new QVBoxLayout(card);
  column->setContentsMargins(12, 8, 12, 10);
  column->setSpacing(2);
  inForce_ = mutedLabel(tr("In force"), card);
  column->addWidget(inForce_);
  now_ = titleLabel({}, card, TitleSize::kMiddle);
  now_->setWordWrap(true);
  nowFacts_ = wrapped({}, card);
  control_ = wrapped({}, card);
  column->addWidget(now_);
  column->addWidget(nowFacts_);
  column->addWidget(control_);
  return card;
}

QWidget* OptimizerPanel::buildChoices(QWidget* group) {
  auto* top = new QWidget(group);
  QFormLayout* form = compactForm(top);
  method_ = new QComboBox(top);
  for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
    method_->addItem(optimizerTitle(QLatin1String(name)), QLatin1String(name));
  }
  method_->setAccessibleName(tr("Method"));
  method_->setToolTip(tr("The update rule from the next step on"));
  agvm_ = new QCheckBox(tr("with &AGVM"), top);
  agvm_->setToolTip(
      tr("Adaptive gradient variance modulator: a learning-rate factor for each module"));
  lr_ = new QLineEdit(top);
  lr_->setPlaceholderText(tr("as it is"));
  lr_->setAccessibleName(tr("Learning rate after the switch"));
  lr_->setToolTip(tr("Base learning rate of the new method; empty keeps the number"));
  using contract::DecayMapping;
  using contract::LrMapping;
  using contract::StatePolicy;
  policy_ = enumBox<StatePolicy>(top,
                                 tr("State"),
                                 tr("What becomes of momentum and moments"),
                                 {{tr("Carry over"), StatePolicy::kCarry},
                                  {tr("Convert"), StatePolicy::kConvert},
                                  {tr("Reset"), StatePolicy::kReset}});
  mapping_ = enumBox<LrMapping>(top,
                                tr("Learning-rate mapping"),
                                tr("How the step size goes from the old method to the new one"),
                                {{tr("Match update"), LrMapping::kMatchUpdate},
                                 {tr("At once"), LrMapping::kTargetNow},
                                 {tr("Warm up again"), LrMapping::kRewarmup}});
  decay_ = enumBox<DecayMapping>(
      top,
      tr("Weight-decay mapping"),
      tr("Weight decay means different things; match keeps the shrink per step"),
      {{tr("Match shrink"), DecayMapping::kMatch},
       {tr("Keep value"), DecayMapping::kKeep},
       {tr("Target value"), DecayMapping::kTarget}});
  form->addRow(tr("&Method"), method_);
  form->addRow(QString(), agvm_);
  form->addRow(tr("Base &lr"), lr_);
  form->addRow(tr("S&tate"), policy_);
  form->addRow(tr("LR mappin&g"), mapping_);
  form->addRow(tr("&Decay mapping"), decay_);
  return top;
}

QWidget* OptimizerPanel::buildForm() {
  auto* group = new QGroupBox(tr("Switch to"), this);
  auto* column = new QVBoxLayout(group);
  column->setSpacing(7);
  column->addWidget(buildChoices(group));
  parameterBox_ = new QWidget(group);
  parameters_ = compactForm(parameterBox_);
  column->addWidget(parameterBox_);
  all_ = new QCheckBox(tr("All parameters"), group);
  all_->setToolTip(tr("Every key of [optim] that the method reads, not only the common ones"));
  column->addWidget(all_);
  change_ = wrapped({}, group);
  column->addWidget(change_);
  apply_ = new QPushButton(tr("Apply"), group);
  apply_->setProperty("primary", true);
  preview_ = new QPushButton(tr("Preview"), group);
  preview_->setToolTip(tr("Asks the engine what the switch would do, without doing it"));
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(apply_, 1);
  buttons->addWidget(preview_);
  column->addLayout(buttons);
  state_ = new QLabel(group);
  state_->setWordWrap(true);
  state_->setAccessibleName(tr("State of the last command"));
  column->addWidget(state_);
  connectForm();
  showParameters();
  return group;
}

void OptimizerPanel::connectForm() {
  const auto changed = [this] {
    touched_ = true;
    setStyleProperty(method_, "invalid", false);
    showParameters();
    refresh();
  };
  connect(method_, &QComboBox::currentIndexChanged, this, changed);
  connect(agvm_, &QCheckBox::toggled, this, changed);
  connect(lr_, &QLineEdit::textEdited, this, [this] {
    setStyleProperty(lr_, "invalid", false);
    touched_ = true;
    refresh();
  });
  connect(all_, &QCheckBox::toggled, this, [this] {
    showParameters();
    refresh();
  });
  connect(apply_, &QPushButton::clicked, this, &OptimizerPanel::apply);
  connect(preview_, &QPushButton::clicked, this, &OptimizerPanel::preview);
}

QWidget* OptimizerPanel::buildLr() {
  auto* group = new QGroupBox(tr("Base learning rate"), this);
  auto* column = new QVBoxLayout(group);
  auto* row = new QHBoxLayout;
  half_ = new QPushButton(tr("× ½"), group);
  half_->setAccessibleName(tr("Halve the learning rate"));
  half_->setToolTip(tr("Halve the base learning rate at the next step"));
  twice_ = new QPushButton(tr("× 2"), group);
  twice_->setAccessibleName(tr("Double the learning rate"));
  twice_->setToolTip(tr("Double the base learning rate at the next step"));
  newLr_ = new QLineEdit(group);
  newLr_->setPlaceholderText(tr("value"));
  newLr_->setAccessibleName(tr("New learning rate"));
  followTheme(newLr_,
              [this] { newLr_->setMaximumWidth(newLr_->fontMetrics().averageCharWidth() * 14); });
  setLr_ = new QPushButton(tr("Set"), group);
  setLr_->setToolTip(tr("Sets the base learning rate; warm-up and decay scale it"));
  row->addWidget(half_);
  row->addWidget(twice_);
  row->addWidget(newLr_, 1);
  row->addWidget(setLr_);
  lrNow_ = wrapped({}, group);
  column->addLayout(row);
  column->addWidget(lrNow_);
  connect(half_, &QPushButton::clicked, this, [this] { scaleLr(0.5); });
  connect(twice_, &QPushButton::clicked, this, [this] { scaleLr(2); });
  connect(setLr_, &QPushButton::clicked, this, &OptimizerPanel::setLr);
  connect(newLr_, &QLineEdit::returnPressed, this, &OptimizerPanel::setLr);
  return group;
}

QWidget* OptimizerPanel::buildLog() {
  auto* group = new QGroupBox(tr("Changes"), this);
  auto* column = new QVBoxLayout(group);
  undo_ = new QPushButton(icon(QStringLiteral("undo")), tr("Undo last change"), group);
  undoText_ = wrapped({}, group);
  log_ = new QTableView(group);
  log_->setAccessibleName(tr("Commands and their answers"));
  log_->verticalHeader()->hide();
  log_->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  // The dock is narrow, and the end of a state is its step or reason: it takes a second line.
  log_->verticalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  log_->setSelectionBehavior(QAbstractItemView::SelectRows);
  log_->setShowGrid(false);
  log_->setWordWrap(true);
  followTheme(log_, [this] { log_->setMinimumHeight(5 * (log_->fontMetrics().height() + 8)); });
  column->addWidget(undo_);
  column->addWidget(undoText_);
  column->addWidget(log_, 1);
  connect(undo_, &QPushButton::clicked, this, &OptimizerPanel::undo);
  return group;
}

}  // namespace batchscope::views
