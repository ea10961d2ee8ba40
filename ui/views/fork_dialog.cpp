#include "ui/views/fork_dialog.h"

#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDialogButtonBox>
#include <QFormLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QSpinBox>
#include <QTableWidget>
#include <QVBoxLayout>

#include <algorithm>

namespace batchscope::views {

namespace {

enum Column { kOptimizer, kAgvm, kLr, kClip, kMore, kColumns };

QComboBox* choiceBox(QWidget* parent,
                     const QString& name,
                     const QList<std::pair<QString, QString>>& items,
                     const QString& chosen) {
  auto* box = new QComboBox(parent);
  for (const auto& [text, value] : items) {
    box->addItem(text, value);
  }
  box->setAccessibleName(name);
  box->setCurrentIndex(std::max(0, box->findData(chosen)));
  return box;
}

}  // namespace

ForkDialog::ForkDialog(session::RunSession* run, session::Launcher* launcher, QWidget* parent)
    : QDialog(parent), run_(run), launcher_(launcher) {
  setWindowTitle(tr("Fork from here"));
  resize(textSized(QSize(860, 620)));
  auto* column = new QVBoxLayout(this);
  column->setSpacing(10);
  refusal_ = new Banner(this);
  refusal_->hide();
  column->addWidget(refusal_);
  column->addWidget(buildOrigin());
  column->addWidget(buildChildren(), 1);
  column->addWidget(buildOptions());
  fault_ = new QLabel(this);
  fault_->setTextFormat(Qt::PlainText);
  fault_->setWordWrap(true);
  fault_->setProperty("fault", true);
  column->addWidget(fault_);
  command_ = new QPlainTextEdit(this);
  command_->setReadOnly(true);
  command_->setAccessibleName(tr("The same as a command"));
  setFixedFont(command_);
  command_->setFixedHeight(4 * fontMetrics().height());
  column->addWidget(mutedLabel(tr("The same as a command"), this));
  column->addWidget(command_);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Cancel, this);
  start_ = buttons->addButton(tr("&Start the children"), QDialogButtonBox::AcceptRole);
  start_->setDefault(true);
  column->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::accepted, this, &QDialog::accept);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(launcher_, &session::Launcher::engineChanged, this, &ForkDialog::refresh);
  connect(run_, &session::RunSession::statusChanged, this, &ForkDialog::refresh);
  setStep(run_->playheadSample().step);
  // Live and at its newest step, the present state is what is meant.
  now_->setChecked(run_->canControl() && step_->value() >= step_->maximum());
  addChild({});
  addChild({run_->status().optimizer.startsWith(QLatin1String("lamb")) ? QStringLiteral("sgd")
                                                                       : QStringLiteral("lamb"),
            {},
            {},
            {},
            {}});
  refresh();
}

QWidget* ForkDialog::buildOrigin() {
  auto* box = new QWidget(this);
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(headingLabel(tr("Go on from %1").arg(run_->info().name), box));
  auto* row = new QHBoxLayout;
  step_ = new QSpinBox(box);
  step_->setAccessibleName(tr("Step"));
  step_->setRange(0, static_cast<int>(std::max(run_->fullXRange(session::XKind::kStep).y(), 0.0)));
  auto* label = new QLabel(tr("Ste&p"), box);
  label->setBuddy(step_);
  now_ = new QCheckBox(tr("&Now: the training saves its state first"), box);
  now_->setVisible(run_->canControl());
  row->addWidget(label);
  row->addWidget(step_);
  row->addWidget(now_);
  row->addStretch(1);
  column->addLayout(row);
  origin_ = mutedLabel({}, box);
  origin_->setWordWrap(true);
  column->addWidget(origin_);
  connect(step_, &QSpinBox::valueChanged, this, &ForkDialog::refresh);
  connect(now_, &QCheckBox::toggled, this, &ForkDialog::refresh);
  return box;
}

QWidget* ForkDialog::buildChildren() {
  auto* box = new QWidget(this);
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(0, 0, 0, 0);
  table_ = new QTableWidget(0, kColumns, box);
  table_->setAccessibleName(tr("Children"));
  table_->setHorizontalHeaderLabels(
      {tr("Optimizer"), tr("AGVM"), tr("Learning rate"), tr("Clip norm"), tr("More settings")});
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  table_->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  table_->verticalHeader()->setDefaultSectionSize(fontMetrics().height() + 16);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setShowGrid(false);
  auto* row = new QHBoxLayout;
  auto* add = new QPushButton(icon(QStringLiteral("new_run")), tr("&Add a child"), box);
  auto* remove = new QPushButton(icon(QStringLiteral("close")), tr("&Remove it"), box);
  remove->setToolTip(tr("Remove the selected child"));
  row->addWidget(headingLabel(tr("Children: what stays empty is as it was"), box));
  row->addStretch(1);
  row->addWidget(add);
  row->addWidget(remove);
  column->addLayout(row);
  column->addWidget(table_);
  connect(add, &QPushButton::clicked, this, [this] { addChild({}); });
  connect(remove, &QPushButton::clicked, this, &ForkDialog::removeChild);
  return box;
}

QWidget* ForkDialog::buildOptions() {
  auto* box = new QWidget(this);
  auto* form = new QFormLayout(box);
  form->setContentsMargins(0, 0, 0, 0);
  seeds_ = new QLineEdit(box);
  seeds_->setPlaceholderText(tr("none: the run's own pictures; 1, 2, 3: each child three times"));
  seeds_->setToolTip(
      tr("Children of one seed see the same pictures, so that Compare can pair them"));
  state_ = choiceBox(box,
                     tr("Optimizer state"),
                     {{tr("carry"), QStringLiteral("carry")},
                      {tr("convert"), QStringLiteral("convert")},
                      {tr("reset"), QStringLiteral("reset")}},
                     QStringLiteral("carry"));
  mapping_ = choiceBox(box,
                       tr("Learning rate at the switch"),
                       {{tr("match the update, then ramp"), QStringLiteral("match_update")},
                        {tr("target at once"), QStringLiteral("target_now")},
                        {tr("warm up again"), QStringLiteral("rewarmup")}},
                       QStringLiteral("match_update"));
  atOnce_ = new QCheckBox(tr("Train all &at once (else one after another)"), box);
  form->addRow(tr("S&eeds"), seeds_);
  form->addRow(tr("S&tate"), state_);
  form->addRow(tr("&Learning rate"), mapping_);
  form->addRow(QString(), atOnce_);
  connect(seeds_, &QLineEdit::textChanged, this, &ForkDialog::refresh);
  connect(state_, &QComboBox::currentIndexChanged, this, &ForkDialog::refresh);
  connect(mapping_, &QComboBox::currentIndexChanged, this, &ForkDialog::refresh);
  connect(atOnce_, &QCheckBox::toggled, this, &ForkDialog::refresh);
  return box;
}

void ForkDialog::setLibrary(const QString& library) {
  library_ = library;
  refresh();
}

void ForkDialog::setStep(std::int64_t step) {
  now_->setChecked(false);
  step_->setValue(static_cast<int>(step));
}

void ForkDialog::setLrMapping(const QString& mapping) {
  mapping_->setCurrentIndex(std::max(0, mapping_->findData(mapping)));
}

void ForkDialog::setChildren(const QList<session::ForkChildRow>& rows) {
  table_->setRowCount(0);
  for (const session::ForkChildRow& row : rows) {
    addChild(row);
  }
  refresh();
}

void ForkDialog::addChild(const session::ForkChildRow& row) {
  const int at = table_->rowCount();
  table_->insertRow(at);
  const QString same = tr("as it was");
  QList<std::pair<QString, QString>> methods = {{same, QString()}};
  for (const char* name : {"sgd", "adamw", "lars", "lamb", "pmd_lamb"}) {
    methods.append({optimizerTitle(QLatin1String(name)), QLatin1String(name)});
  }
  auto* method = choiceBox(table_, tr("Optimizer of child %1").arg(at + 1), methods, row.optimizer);
  auto* agvm = choiceBox(
      table_,
      tr("AGVM of child %1").arg(at + 1),
      {{same, QString()}, {tr("on"), QStringLiteral("on")}, {tr("off"), QStringLiteral("off")}},
      row.agvm);
  table_->setCellWidget(at, kOptimizer, method);
  table_->setCellWidget(at, kAgvm, agvm);
  const auto edit = [&](Column column, const QString& text, const QString& hint) {
    auto* line = new QLineEdit(text, table_);
    line->setPlaceholderText(hint);
    line->setAccessibleName(
        QStringLiteral("%1 %2").arg(table_->horizontalHeaderItem(column)->text()).arg(at + 1));
    line->setFrame(false);
    table_->setCellWidget(at, column, line);
    connect(line, &QLineEdit::textChanged, this, &ForkDialog::refresh);
  };
  edit(kLr, row.lr, same);
  edit(kClip, row.clipNorm, same);
  edit(kMore, row.more, tr("optim.momentum=0.8, …"));
  connect(method, &QComboBox::currentIndexChanged, this, &ForkDialog::refresh);
  connect(agvm, &QComboBox::currentIndexChanged, this, &ForkDialog::refresh);
  refresh();
}

void ForkDialog::removeChild() {
  const int at = table_->currentRow() < 0 ? table_->rowCount() - 1 : table_->currentRow();
  if (at >= 0) {
    table_->removeRow(at);
  }
  refresh();
}

QList<session::ForkChildRow> ForkDialog::children() const {
  QList<session::ForkChildRow> rows;
  for (int r = 0; r < table_->rowCount(); ++r) {
    const auto chosen = [&](Column column) {
      return qobject_cast<QComboBox*>(table_->cellWidget(r, column))->currentData().toString();
    };
    const auto text = [&](Column column) {
      auto* line = qobject_cast<QLineEdit*>(table_->cellWidget(r, column));
      return line != nullptr ? line->text() : QString();
    };
    rows.append({chosen(kOptimizer), chosen(kAgvm), text(kLr), text(kClip), text(kMore)});
  }
  return rows;
}

}  // namespace batchscope::views
