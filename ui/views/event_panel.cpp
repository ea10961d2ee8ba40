#include "ui/views/event_panel.h"

#include "ui/session/event_model.h"
#include "ui/views/log_view.h"
#include "ui/views/widgets.h"

#include <QComboBox>
#include <QDir>
#include <QHeaderView>
#include <QLabel>
#include <QScrollBar>
#include <QTableView>
#include <QVBoxLayout>

namespace batchscope::views {

namespace {

constexpr int kListMs = 1000;

}  // namespace

EventPanel::EventPanel(QWidget* parent) : QWidget(parent) {
  view_ = new QTableView(this);
  view_->setAccessibleName(tr("Events"));
  view_->verticalHeader()->hide();
  view_->setShowGrid(false);
  view_->setAlternatingRowColors(true);
  view_->setSelectionBehavior(QAbstractItemView::SelectRows);
  view_->setSelectionMode(QAbstractItemView::SingleSelection);
  view_->setWordWrap(false);
  setTextRows(view_);
  followTheme(view_, [this] { sizeColumns(); });
  view_->setToolTip(tr("Double-click an event to move the replay there"));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->addWidget(view_);
  connect(view_, &QTableView::activated, this, [this](const QModelIndex& index) {
    if (run_) {
      run_->seekToEvent(index.data(session::EventModel::kIdRole).toLongLong());
    }
  });
}

void EventPanel::setRun(session::RunSession* run) {
  if (run_ == run) {
    return;
  }
  run_ = run;
  view_->setModel(run ? run->eventModel() : nullptr);
  if (run == nullptr) {
    return;
  }
  using Model = session::EventModel;
  QHeaderView* header = view_->horizontalHeader();
  header->setSectionResizeMode(QHeaderView::Interactive);
  header->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  header->setSectionResizeMode(Model::kTextColumn, QHeaderView::Stretch);
  sizeColumns();
  const auto follow = [this] {
    if (view_->verticalScrollBar()->value() >= view_->verticalScrollBar()->maximum() - 2) {
      view_->scrollToBottom();
    }
  };
  disconnect(follow_);
  follow_ = connect(run->eventModel(), &QAbstractItemModel::rowsInserted, view_, follow);
}

void EventPanel::sizeColumns() {
  if (view_->model() == nullptr) {
    return;
  }
  using Model = session::EventModel;
  const QFontMetrics metrics = view_->fontMetrics();
  for (const auto& [column, widest] :
       {std::pair{Model::kStepColumn, "00,000,000"},
        std::pair{Model::kKindColumn, "Optimizer switch mm"},
        std::pair{Model::kSourceColumn, "supervisor mm"},
        std::pair{Model::kTimeColumn, "2026-11-20T22:30:00.000Z mm"}}) {
    view_->horizontalHeader()->resizeSection(column,
                                             metrics.horizontalAdvance(QLatin1String(widest)));
  }
}

LogPanel::LogPanel(QWidget* parent) : QWidget(parent) {
  file_ = new QComboBox(this);
  file_->setAccessibleName(tr("Log file"));
  text_ = new LogView(this);
  auto* row = new QHBoxLayout;
  auto* label = mutedLabel(tr("F&ile"), this);
  label->setBuddy(file_);
  row->addWidget(label);
  row->addWidget(file_);
  row->addStretch(1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(8, 4, 8, 6);
  column->addLayout(row);
  column->addWidget(text_, 1);
  connect(&timer_, &QTimer::timeout, this, [this] {
    if (isVisible()) {
      listFiles();
    }
  });
  connect(file_, &QComboBox::currentIndexChanged, this, [this] {
    text_->setPath(file_->currentData().toString());
  });
  timer_.start(kListMs);
}

QString LogPanel::text() const {
  return text_->toPlainText();
}

void LogPanel::setRun(session::RunSession* run) {
  run_ = run;
  file_->clear();
  text_->setPath({});
  listFiles();
}

void LogPanel::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  listFiles();
}

void LogPanel::listFiles() {
  const QString folder = run_ ? run_->info().folder : QString();
  if (folder.isEmpty()) {
    text_->setPlaceholderText(tr("This run has no log files here."));
    return;
  }
  const QDir logs(folder + QStringLiteral("/logs"));
  const QStringList names = logs.entryList({QStringLiteral("*.log")}, QDir::Files, QDir::Name);
  if (names.size() != file_->count()) {
    const QString before = file_->currentText();
    const QSignalBlocker blocker(file_);
    file_->clear();
    for (const QString& name : names) {
      file_->addItem(name, logs.filePath(name));
    }
    file_->setCurrentIndex(static_cast<int>(std::max<qsizetype>(names.indexOf(before), 0)));
    text_->setPath(file_->currentData().toString());
  }
  text_->setPlaceholderText(names.isEmpty() ? tr("This run has no log files here.")
                                            : tr("The log is empty."));
}

}  // namespace batchscope::views
