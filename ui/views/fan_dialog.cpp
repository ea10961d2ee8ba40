#include "ui/views/fan_dialog.h"

#include "ui/session/fork_form.h"
#include "ui/views/axis_ticks.h"
#include "ui/views/widgets.h"

#include <QDialogButtonBox>
#include <QFormLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLineEdit>
#include <QProgressBar>
#include <QPushButton>
#include <QSpinBox>
#include <QSplitter>
#include <QTableWidget>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

FanDialog::FanDialog(session::RunSession* run,
                     const session::Launcher* launcher,
                     const QString& library,
                     QWidget* parent)
    : QDialog(parent), run_(run), launcher_(launcher), library_(library) {
  setWindowTitle(tr("Learning-rate fan"));
  resize(textSized(QSize(980, 720)));
  runner_ = new session::FanRunner(this);
  link_ = new ChartLink(this);
  auto* column = new QVBoxLayout(this);
  column->setSpacing(10);
  column->addWidget(headingLabel(tr("Short probes of %1").arg(run_->info().name), this));
  column->addWidget(buildForm());
  column->addWidget(buildResults(), 1);
  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close, this);
  use_ = buttons->addButton(tr("&Use this"), QDialogButtonBox::ActionRole);
  start_ = buttons->addButton(tr("&Start the probes"), QDialogButtonBox::ActionRole);
  start_->setDefault(true);
  column->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  connect(start_, &QPushButton::clicked, this, &FanDialog::start);
  connect(use_, &QPushButton::clicked, this, &FanDialog::use);
  connect(
      runner_, &session::FanRunner::progress, this, [this](int done, int all, const QString& text) {
        progress_->setRange(0, all);
        progress_->setValue(done);
        words_->setText(text);
      });
  connect(runner_,
          &session::FanRunner::finished,
          this,
          qOverload<const session::FanOutcome&>(&FanDialog::show));
  connect(runner_, &session::FanRunner::failed, this, [this](const QString& sentence) {
    words_->setText(sentence);
    refresh();
  });
  connect(run_, &session::RunSession::statusChanged, this, &FanDialog::refresh);
  connect(launcher_, &session::Launcher::engineChanged, this, &FanDialog::refresh);
  refresh();
}

QWidget* FanDialog::buildForm() {
  auto* box = new QWidget(this);
  auto* form = new QFormLayout(box);
  form->setContentsMargins(0, 0, 0, 0);
  lr_ = new QLineEdit(QStringLiteral("x2^-2..2"), box);
  lr_->setToolTip(
      tr("x2^-2..2: a quarter to four times the run's rate; x2^-2..2/0.5 in half steps; or rates: "
         "0.01, 0.02"));
  optimizers_ = new QLineEdit(box);
  optimizers_->setPlaceholderText(tr("as it is; or lamb, sgd+clip, adamw+agvm"));
  optimizers_->setToolTip(tr("+clip: L2 norm 1, +clip=X, +agvm; what is not named is off"));
  steps_ = new QSpinBox(box);
  steps_->setRange(3, 100000);
  steps_->setValue(30);
  seeds_ = new QLineEdit(box);
  seeds_->setPlaceholderText(tr("the run's own pictures; or 1, 2, 3"));
  form->addRow(tr("&Learning rates"), lr_);
  form->addRow(tr("&Optimizers"), optimizers_);
  form->addRow(tr("Up&dates of a probe"), steps_);
  form->addRow(tr("S&eeds"), seeds_);
  return box;
}

QWidget* FanDialog::buildResults() {
  auto* box = new QWidget(this);
  auto* column = new QVBoxLayout(box);
  column->setContentsMargins(0, 0, 0, 0);
  auto* row = new QHBoxLayout;
  progress_ = new QProgressBar(box);
  progress_->setRange(0, 1);
  progress_->setFixedWidth(180);
  progress_->setAccessibleName(tr("Probes done"));
  words_ = mutedLabel(tr("The run itself goes on; a run that trains saves its state first."), box);
  words_->setWordWrap(true);
  fault_ = new QLabel(box);
  fault_->setTextFormat(Qt::PlainText);
  fault_->setWordWrap(true);
  row->addWidget(progress_);
  row->addWidget(words_, 1);
  column->addLayout(row);
  column->addWidget(fault_);
  auto* split = new QSplitter(Qt::Vertical, box);
  split->setChildrenCollapsible(false);
  table_ = new QTableWidget(0, 7, split);
  table_->setAccessibleName(tr("Probes"));
  table_->setHorizontalHeaderLabels({tr("No"),
                                     tr("Optimizer"),
                                     tr("Learning rate"),
                                     tr("Seed"),
                                     tr("Loss at start → end"),
                                     tr("Fall per 1,000 pictures"),
                                     tr("Verdict")});
  table_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table_->setSelectionBehavior(QAbstractItemView::SelectRows);
  table_->setSelectionMode(QAbstractItemView::SingleSelection);
  table_->setShowGrid(false);
  table_->verticalHeader()->hide();
  setTextRows(table_);
  table_->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  table_->horizontalHeader()->setStretchLastSection(true);
  table_->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  chart_ = new CurveChart(tr("Loss of the probes"), link_, split);
  chart_->setEmptyText(tr("No probe was trained yet."));
  chart_->setSource(lossSource(), {});
  split->addWidget(table_);
  split->addWidget(chart_);
  split->setSizes({280, 240});
  column->addWidget(split, 1);
  edges_ = new QLabel(box);
  edges_->setWordWrap(true);
  edges_->setTextInteractionFlags(Qt::TextSelectableByMouse);
  column->addWidget(edges_);
  connect(table_, &QTableWidget::itemSelectionChanged, this, [this] {
    chart_->refresh();
    refresh();
  });
  return box;
}

session::FanRequest FanDialog::request() const {
  session::FanRequest request;
  request.run = run_->path();
  request.library = library_;
  request.lr = lr_->text();
  request.optimizers = optimizers_->text();
  request.steps = steps_->value();
  request.seeds = session::seedList(seeds_->text()).join(QLatin1Char(','));
  if (!run_->isLive()) {
    request.at = run_->playheadSample().step;
  }
  return request;
}

void FanDialog::start() {
  if (runner_->isRunning()) {
    runner_->cancel();
    return;
  }
  words_->setText(tr("Reading the state of the run…"));
  progress_->setValue(0);
  runner_->start(launcher_->enginePath(), request());
  refresh();
}

void FanDialog::show(const session::FanOutcome& outcome) {
  outcome_ = outcome;
  table_->setRowCount(0);
  int best = -1;
  for (const session::FanRow& row : outcome.probes) {
    const int r = table_->rowCount();
    table_->insertRow(r);
    const QStringList cells = {
        QString::number(row.number),
        row.optimizer,
        formatNumber(row.lr),
        row.seed ? QString::number(*row.seed) : QString(),
        QStringLiteral("%1 → %2").arg(
            formatNumber(row.startLoss, 3),
            std::isfinite(row.endLoss) ? formatNumber(row.endLoss, 3) : tr("not finite")),
        std::isfinite(row.fall) ? formatNumber(row.fall, 3) : QStringLiteral("–"),
        row.survives ? tr("survives") : tr("fails: %1").arg(row.why)};
    for (int c = 0; c < cells.size(); ++c) {
      auto* item = new QTableWidgetItem(cells[c]);
      item->setToolTip(cells[c]);
      if (c + 1 == cells.size()) {
        item->setIcon(icon(row.survives ? QStringLiteral("check") : QStringLiteral("error")));
      }
      table_->setItem(r, c, item);
    }
    if (row.survives && (best < 0 || row.fall > outcome.probes[best].fall)) {
      best = r;
    }
  }
  QStringList edges;
  for (const session::FanEdgeRow& edge : outcome.edges) {
    edges.append(
        edge.edge > 0 ? tr("%1: edge near %2 (%3 survives, %4 fails)")
                            .arg(edge.optimizer,
                                 formatNumber(edge.edge, 3),
                                 formatNumber(edge.survives, 3),
                                 formatNumber(edge.fails, 3))
        : edge.fails > 0
            ? tr("%1: the edge lies below %2").arg(edge.optimizer, formatNumber(edge.fails))
            : tr("%1: the edge lies above %2").arg(edge.optimizer, formatNumber(edge.survives)));
  }
  edges_->setText(edges.join(QStringLiteral("\n")));
  edges_->setToolTip(outcome.criterion);
  words_->setText(tr("%1 probes after update %2 in %3 s; the fastest that survives is selected.")
                      .arg(outcome.probes.size())
                      .arg(outcome.step)
                      .arg(outcome.seconds, 0, 'f', 1));
  progress_->setRange(0, 1);
  progress_->setValue(1);
  if (best >= 0) {
    table_->selectRow(best);
  }
  chart_->refresh();
  refresh();
}

const session::FanRow* FanDialog::chosen() const {
  const int row = table_->currentRow();
  const bool one = row >= 0 && row < outcome_.probes.size() && !table_->selectedItems().isEmpty();
  return one ? &outcome_.probes[row] : nullptr;
}

void FanDialog::use() {
  const session::FanRow* row = chosen();
  if (row == nullptr) {
    return;
  }
  if (run_->canControl()) {
    run_->sendCommand(row->command);
    words_->setText(tr("Probe %1 was sent to the training; the log says when it took effect.")
                        .arg(row->number));
  } else {
    Q_EMIT forkWanted(outcome_.step, *row);
    accept();
  }
}

ChartSource FanDialog::lossSource() const {
  return [this](const ChartRequest& request) {
    ChartContent content;
    // A loss that explodes would press all others to a line.
    double highest = 0, updates = 1;
    for (const session::FanRow& row : outcome_.probes) {
      highest = std::max(highest, std::isfinite(row.startLoss) ? 3 * row.startLoss : 0);
      updates = row.losses.isEmpty() ? updates : std::max(updates, row.losses.last().x());
    }
    content.range = request.range.value_or(AxisRange{1, updates});
    const session::FanRow* strong = chosen();
    for (const session::FanRow& row : outcome_.probes) {
      Curve curve;
      curve.id = curve.series = QStringLiteral("probe%1").arg(row.number);
      curve.name = QStringLiteral("%1 %2").arg(row.optimizer, formatNumber(row.lr, 3));
      curve.colour = row.number - 1;
      curve.forecast = !row.survives;
      curve.abandoned = strong != nullptr && strong->number != row.number;
      for (const QPointF& point : row.losses) {
        if (point.y() <= highest && content.range.contains(point.x())) {
          curve.points.append(point);
        }
      }
      curve.samples = curve.points.size();
      content.curves.append(curve);
    }
    content.known = !content.curves.isEmpty();
    return content;
  };
}

void FanDialog::refresh() {
  if (start_ == nullptr) {
    return;
  }
  const bool running = runner_->isRunning();
  start_->setText(running ? tr("&End the probes") : tr("&Start the probes"));
  const QString engine = launcher_->engineFault();
  start_->setEnabled(running || engine.isEmpty());
  start_->setToolTip(running ? QString() : engine);
  fault_->setText(engine);
  fault_->setVisible(!running && !engine.isEmpty());
  setStyleProperty(fault_, "bad", !launcher_->engineIsComing());
  use_->setText(run_->canControl() ? tr("&Use this") : tr("&Fork with this…"));
  use_->setEnabled(!running && chosen() != nullptr);
}

}  // namespace batchscope::views
