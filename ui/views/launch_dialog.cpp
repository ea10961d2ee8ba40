#include "ui/views/launch_dialog.h"

#include "ui/views/spec_form_view.h"
#include "ui/views/widgets.h"

#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QFontDatabase>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QPushButton>
#include <QScrollArea>
#include <QTabWidget>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

constexpr int kCheckMs = 250;
constexpr int kTrialMs = 400;  // a process of the engine: not for every letter

QStringList mainKeys() {
  QStringList keys;
  for (const char* key : {"run.name",
                          "run.seed",
                          "data.kind",
                          "data.annotations",
                          "data.images",
                          "data.val_annotations",
                          "data.val_images",
                          "data.min_size",
                          "data.flip",
                          "model.name",
                          "model.norm",
                          "model.weights",
                          "batch.micro",
                          "batch.accumulation",
                          "batch.ranks",
                          "optim.name",
                          "optim.lr",
                          "optim.lr_rule",
                          "optim.base_batch",
                          "optim.weight_decay",
                          "optim.clip_norm",
                          "optim.agvm.enabled",
                          "optim.agvm.interval",
                          "schedule.epochs",
                          "schedule.steps",
                          "schedule.images",
                          "eval.every_steps",
                          "eval.target.metric",
                          "eval.target.value",
                          "checkpoint.every_steps"}) {
    keys.append(QLatin1String(key));
  }
  return keys;
}

}  // namespace

LaunchDialog::LaunchDialog(const QString& library, const QString& enginePath, QWidget* parent)
    : QDialog(parent),
      library_(library),
      enginePath_(enginePath),
      form_(new session::SpecForm(this)) {
  setWindowTitle(tr("New run"));
  resize(textSized(QSize(1080, 720)));
  auto* column = new QVBoxLayout(this);
  column->setSpacing(10);
  refusal_ = new Banner(this);
  refusal_->hide();
  column->addWidget(refusal_);
  column->addWidget(buildTop());
  auto* middle = new QHBoxLayout;
  middle->setSpacing(12);
  middle->addWidget(buildForms(), 5);
  middle->addWidget(buildSide(), 3);
  column->addLayout(middle, 1);
  column->addWidget(buildButtons());
  checkTimer_.setSingleShot(true);
  checkTimer_.setInterval(kCheckMs);
  connect(&checkTimer_, &QTimer::timeout, this, &LaunchDialog::runChecks);
  trialTimer_.setSingleShot(true);
  trialTimer_.setInterval(kTrialMs);
  connect(&trialTimer_, &QTimer::timeout, this, &LaunchDialog::askEngine);
  connect(&trial_, &session::StartTrial::finished, this, &LaunchDialog::runChecks);
  connect(&Theme::instance(), &Theme::changed, this, &LaunchDialog::fillChecks);
  connect(form_, &session::SpecForm::changed, this, &LaunchDialog::refresh);
  connect(form_, &session::SpecForm::fieldChanged, this, &LaunchDialog::refresh);
  refresh();
  runChecks();
  start_->setFocus();
}

QWidget* LaunchDialog::buildTop() {
  auto* top = new QWidget(this);
  auto* column = new QVBoxLayout(top);
  column->setContentsMargins(0, 0, 0, 0);
  auto* row = new QHBoxLayout;
  column->addLayout(row);
  presetHelp_ = mutedLabel({}, top);
  presetHelp_->setWordWrap(true);
  presetHelp_->hide();
  column->addWidget(presetHelp_);
  preset_ = new QComboBox(top);
  preset_->setAccessibleName(tr("Preset"));
  preset_->setToolTip(tr("Fills the form with a recipe that comes with the program"));
  preset_->setMinimumContentsLength(22);
  preset_->addItem(tr("Choose a preset…"), QString());
  for (const QString& name : session::SpecForm::presets()) {
    preset_->addItem(name, name);
    preset_->setItemData(
        preset_->count() - 1, session::SpecForm::presetHelp(name), Qt::ToolTipRole);
  }
  auto* presetLabel = new QLabel(tr("&Preset"), top);
  presetLabel->setBuddy(preset_);
  auto* open = new QPushButton(icon(QStringLiteral("open")), tr("&Open spec…"), top);
  auto* save = new QPushButton(icon(QStringLiteral("export")), tr("Sa&ve spec…"), top);
  save->setToolTip(tr("Writes what stands in the form as a TOML file"));
  device_ = new QComboBox(top);
  device_->setAccessibleName(tr("Device"));
  device_->addItem(tr("Automatic"), QString());
  device_->addItem(tr("CPU"), QStringLiteral("cpu"));
  device_->addItem(tr("CUDA"), QStringLiteral("cuda"));
  auto* deviceLabel = new QLabel(tr("D&evice"), top);
  deviceLabel->setBuddy(device_);
  row->addWidget(presetLabel);
  row->addWidget(preset_);
  row->addWidget(open);
  row->addWidget(save);
  row->addStretch(1);
  row->addWidget(deviceLabel);
  row->addWidget(device_);
  connect(preset_, &QComboBox::activated, this, [this] {
    if (!preset_->currentData().toString().isEmpty()) {
      loadPreset(preset_->currentData().toString());
    }
  });
  connect(device_, &QComboBox::currentIndexChanged, this, &LaunchDialog::runChecks);
  connect(save, &QPushButton::clicked, this, &LaunchDialog::saveSpec);
  connect(open, &QPushButton::clicked, this, [this] {
    const QString path = QFileDialog::getOpenFileName(
        this, tr("Open a run spec"), {}, tr("Run specs (*.toml);;All files (*)"));
    if (!path.isEmpty()) {
      loadFile(path);
    }
  });
  return top;
}

QWidget* LaunchDialog::buildForms() {
  auto* forms = new QWidget(this);
  auto* column = new QVBoxLayout(forms);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(buildTabs(), 1);
  help_ = mutedLabel({}, forms);
  help_->setWordWrap(true);
  help_->setTextFormat(Qt::PlainText);
  help_->setMinimumHeight(2 * fontMetrics().lineSpacing());
  help_->setAlignment(Qt::AlignTop | Qt::AlignLeft);
  column->addWidget(help_);
  for (const SpecFormView* form : {main_, all_}) {
    connect(form, &SpecFormView::entered, this, [this](const QString& key) {
      const session::SpecField field = form_->field(key);
      help_->setText(
          tr("%1: %2. Default %3%4")
              .arg(key,
                   field.help,
                   field.fallback,
                   field.range.isEmpty() ? QString() : tr(", allowed %1").arg(field.range)));
    });
  }
  return forms;
}

QWidget* LaunchDialog::buildTabs() {
  tabs_ = new QTabWidget(this);
  tabs_->setAccessibleName(tr("Ways to edit the run"));
  main_ = new SpecFormView(form_, mainKeys(), 2, tabs_);
  auto* every = new QWidget(tabs_);
  auto* everyColumn = new QVBoxLayout(every);
  everyColumn->setContentsMargins(0, 6, 0, 0);
  auto* filter = new QLineEdit(every);
  filter->setPlaceholderText(tr("Filter settings"));
  filter->setAccessibleName(tr("Filter settings"));
  filter->setClearButtonEnabled(true);
  all_ = new SpecFormView(form_, {}, 2, every);
  everyColumn->addWidget(filter);
  everyColumn->addWidget(all_, 1);
  connect(filter, &QLineEdit::textChanged, all_, &SpecFormView::setFilter);
  auto* text = new QWidget(tabs_);
  auto* textColumn = new QVBoxLayout(text);
  textColumn->setContentsMargins(0, 6, 0, 0);
  toml_ = new QPlainTextEdit(text);
  setFixedFont(toml_);
  toml_->setAccessibleName(tr("Spec as TOML text"));
  tomlFault_ = new QLabel(text);
  tomlFault_->setProperty("bad", true);
  tomlFault_->setWordWrap(true);
  tomlFault_->hide();
  textColumn->addWidget(toml_, 1);
  textColumn->addWidget(tomlFault_);
  connect(toml_, &QPlainTextEdit::textChanged, this, &LaunchDialog::tomlEdited);
  tabs_->addTab(main_, tr("&Main settings"));
  tabs_->addTab(every, tr("&All settings"));
  tabs_->addTab(text, tr("&TOML"));
  return tabs_;
}

QWidget* LaunchDialog::buildSide() {
  auto* side = new QWidget(this);
  auto* column = new QVBoxLayout(side);
  column->setContentsMargins(0, 0, 0, 0);
  auto* batch = new QFrame(side);
  batch->setProperty("card", true);
  auto* batchColumn = new QVBoxLayout(batch);
  batchColumn->setContentsMargins(14, 10, 14, 12);
  batchColumn->addWidget(mutedLabel(tr("Effective batch: micro × accumulation × ranks"), batch));
  formula_ = titleLabel({}, batch, TitleSize::kLarge);
  formula_->setAccessibleName(tr("Effective batch"));
  rate_ = mutedLabel({}, batch);
  length_ = mutedLabel({}, batch);
  for (QLabel* label : {rate_, length_}) {
    label->setWordWrap(true);
  }
  batchColumn->addWidget(formula_);
  batchColumn->addWidget(rate_);
  batchColumn->addWidget(length_);
  column->addWidget(batch);
  auto* checks = new QFrame(side);
  checks->setProperty("card", true);
  auto* checksOuter = new QVBoxLayout(checks);
  checksOuter->setContentsMargins(14, 10, 10, 10);
  checksOuter->addWidget(headingLabel(tr("Before the start"), checks));
  auto* scroll = new QScrollArea(checks);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  auto* list = new QWidget(scroll);
  checkColumn_ = new QVBoxLayout(list);
  checkColumn_->setContentsMargins(0, 0, 6, 0);
  checkColumn_->setSpacing(8);
  scroll->setWidget(list);
  checksOuter->addWidget(scroll, 1);
  column->addWidget(checks, 1);
  return side;
}

QWidget* LaunchDialog::buildButtons() {
  auto* bar = new QWidget(this);
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(0, 0, 0, 0);
  auto* copy = new QPushButton(icon(QStringLiteral("copy")), tr("&Copy as command"), bar);
  copy->setToolTip(tr("The command line that starts the same run"));
  whole_ = new QLabel(bar);
  whole_->setProperty("bad", true);
  whole_->setTextFormat(Qt::PlainText);
  whole_->setWordWrap(true);
  note_ = mutedLabel({}, bar);
  note_->setWordWrap(true);
  note_->hide();
  connect(form_, &session::SpecForm::changed, note_, &QWidget::hide);
  auto* cancel = new QPushButton(tr("Cancel"), bar);
  start_ = new QPushButton(tr("&Start"), bar);
  start_->setProperty("primary", true);
  start_->setDefault(true);
  row->addWidget(copy);
  row->addWidget(note_, 1);
  row->addWidget(whole_, 1);
  row->addWidget(cancel);
  row->addWidget(start_);
  connect(copy, &QPushButton::clicked, this, &LaunchDialog::copyCommand);
  connect(cancel, &QPushButton::clicked, this, &QDialog::reject);
  connect(start_, &QPushButton::clicked, this, &QDialog::accept);
  return bar;
}

session::LaunchRequest LaunchDialog::request() const {
  session::LaunchRequest request;
  request.spec = form_->spec();
  request.base = base_;
  request.library = library_;
  request.device = device_->currentData().toString();
  return request;
}

QString LaunchDialog::formulaText() const {
  return formula_->text();
}

void LaunchDialog::showTomlFault(const QString& fault) {
  tomlFault_->setText(fault);
  tomlFault_->setVisible(!fault.isEmpty());
  setStyleProperty(toml_, "invalid", !fault.isEmpty());
  showNumbers();
  runChecks();
}

void LaunchDialog::tomlEdited() {
  fromToml_ = true;
  const bool ok = form_->loadToml(toml_->toPlainText());
  fromToml_ = false;
  showTomlFault(ok ? QString() : form_->error());
}

void LaunchDialog::refresh() {
  if (!fromToml_) {
    const QSignalBlocker blocker(toml_);
    toml_->setPlainText(form_->toToml());
    tomlFault_->hide();
    tomlFault_->clear();
    setStyleProperty(toml_, "invalid", false);
  }
  showNumbers();
  showStartFault();
  checkTimer_.start();
}

}  // namespace batchscope::views
