#include "ui/views/compare_page.h"

#include "ui/views/flow_layout.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QDoubleSpinBox>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QSplitter>
#include <QStackedWidget>
#include <QTableView>
#include <QTableWidget>
#include <QToolButton>
#include <QVBoxLayout>

#include <cmath>
#include <memory>

namespace batchscope::views {

namespace {

constexpr int kRefreshMs = 150;
constexpr int kAllPoints = 1 << 30;  // columns: more than there are samples
const QString kDifference = QStringLiteral("difference");

/// Values of a metric's evaluations on the live line of a run.
Curve metricCurve(session::RunSession* run, const QString& metric, session::XKind kind) {
  Curve curve;
  for (const session::EvalItem& eval : run->allEvals()) {
    const auto found = eval.metrics.constFind(metric);
    if (!eval.abandoned && found != eval.metrics.cend() && std::isfinite(*found)) {
      curve.points.append({eval.x(kind), *found});
    }
  }
  curve.samples = curve.points.size();
  return curve;
}

/// Mean, and the lowest and highest of several pairs.
QList<Curve> curvesOf(const session::PairedDifference& one, int colour) {
  QList<Curve> curves;
  const auto add = [&](const QString& part, const QList<QPointF>& points, bool mean) {
    Curve curve;
    curve.id = curve.series = QStringLiteral("paired%1%2").arg(colour).arg(part);
    curve.name =
        mean ? ComparePage::tr("%1: mean of %n pair(s)", nullptr, one.pairs).arg(one.label) : part;
    curve.colour = colour;
    curve.forecast = !mean;
    curve.points = points;
    curve.samples = points.size();
    curves.append(curve);
  };
  add(ComparePage::tr("mean"), one.mean, true);
  if (one.pairs > 1) {
    add(ComparePage::tr("lowest"), one.low, false);
    add(ComparePage::tr("highest"), one.high, false);
  }
  return curves;
}

}  // namespace

ComparePage::ComparePage(session::RunCompare* compare, ChartLink* link, QWidget* parent)
    : QWidget(parent), compare_(compare), link_(link) {
  overlay_ = new CurveChart(tr("Runs over one another"), link, this);
  difference_ = new CurveChart(tr("Difference to the first run"), link, this);
  difference_->setHelp(
      tr("Each run minus the first one at equal x (pictures, where that is the axis), from every "
         "sample: the first one interpolated linearly where it has none.\nPaired over seeds: runs "
         "with equal settings are a group; the mean over the seeds that both groups have, and "
         "between which values they lie."));
  accuracy_ = new CurveChart(tr("Evaluations"), link, this);
  for (CurveChart* chart : {overlay_, difference_}) {
    chart->plot()->setCalm(true);  // a run that diverged is seen to, and the others stay readable
  }
  overlay_->setSource(overlaySource(), overlaySamples());
  difference_->setSource(differenceSource(), {});
  difference_->setEmptyText(tr("Needs two runs that share a stretch of the axis."));
  accuracy_->setEmptyText(tr("None of the runs has been evaluated yet."));

  auto* bottom = new QSplitter(Qt::Horizontal, this);
  bottom->addWidget(accuracy_);
  bottom->addWidget(difference_);
  auto* charts = new QSplitter(Qt::Vertical, this);
  charts->addWidget(overlay_);
  charts->addWidget(bottom);
  charts->addWidget(makeTables());
  charts->setSizes({400, 260, 150});
  charts->setStretchFactor(0, 4);
  charts->setStretchFactor(1, 3);
  charts->setStretchFactor(2, 2);
  for (QSplitter* splitter : {bottom, charts}) {
    splitter->setChildrenCollapsible(false);
    splitter->setHandleWidth(6);
  }
  auto* empty = new QWidget(this);
  auto* emptyColumn = new QVBoxLayout(empty);
  emptyColumn->addStretch(1);
  auto* words = mutedLabel(tr("Choose two to eight runs to lay over one another.\n"
                              "Right-click a run in the list, or press the button."),
                           empty);
  words->setAlignment(Qt::AlignCenter);
  emptyColumn->addWidget(words);
  auto* add = new QPushButton(icon(QStringLiteral("compare")), tr("Add the selected run"), empty);
  connect(add, &QPushButton::clicked, this, &ComparePage::addWanted);
  emptyColumn->addWidget(add, 0, Qt::AlignCenter);
  emptyColumn->addStretch(2);
  stack_ = new QStackedWidget(this);
  stack_->addWidget(empty);
  stack_->addWidget(charts);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(8, 6, 8, 8);
  column->setSpacing(6);
  column->addWidget(makeBar());
  column->addWidget(stack_, 1);
  accuracy_->setSource(metricSource(), {});

  timer_.setSingleShot(true);
  timer_.setInterval(kRefreshMs);
  connect(&timer_, &QTimer::timeout, this, &ComparePage::refresh);
  connect(compare_, &session::RunCompare::runsChanged, this, &ComparePage::runsChanged);
  connect(compare_, &session::RunCompare::dataChanged, this, [this] {
    if (!timer_.isActive()) {
      timer_.start();
    }
  });
  runsChanged();
}

QWidget* ComparePage::makeBar() {
  auto* bar = new QWidget(this);
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(2, 0, 2, 0);
  chips_ = new QWidget(bar);
  chips_->setLayout(new FlowLayout(6));
  missing_ = mutedLabel({}, bar);
  series_ = new QComboBox(bar);
  series_->setAccessibleName(tr("Curve to compare"));
  series_->setMinimumContentsLength(16);
  auto* label = mutedLabel(tr("C&urve"), bar);
  label->setBuddy(series_);
  row->addWidget(chips_, 1);
  row->addWidget(missing_);
  paired_ = new QCheckBox(tr("Paired over &seeds"), bar);
  paired_->setToolTip(
      tr("Mean and spread of the differences between runs of the same seed, which saw the same "
         "pictures"));
  row->addWidget(paired_);
  row->addWidget(label);
  row->addWidget(series_);
  connect(paired_, &QCheckBox::toggled, this, &ComparePage::refresh);
  connect(series_, &QComboBox::currentIndexChanged, this, &ComparePage::refresh);
  return bar;
}

QWidget* ComparePage::makeTables() {
  auto* split = new QSplitter(Qt::Horizontal, this);
  auto* left = new QFrame(split);
  left->setProperty("card", true);
  auto* leftColumn = new QVBoxLayout(left);
  leftColumn->setContentsMargins(10, 6, 8, 8);
  leftColumn->addWidget(headingLabel(tr("Settings that differ"), left));
  settings_ = new QTableView(left);
  settings_->setModel(compare_->settings());
  settings_->setAccessibleName(tr("Settings that differ"));
  settings_->verticalHeader()->hide();
  settings_->horizontalHeader()->setSectionResizeMode(QHeaderView::Stretch);
  settings_->setAlternatingRowColors(true);
  settings_->setWordWrap(false);
  settings_->setShowGrid(false);
  settings_->horizontalHeader()->setTextElideMode(Qt::ElideMiddle);
  settings_->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  setTextRows(settings_);
  leftColumn->addWidget(settings_);

  auto* right = new QFrame(split);
  right->setProperty("card", true);
  auto* rightColumn = new QVBoxLayout(right);
  rightColumn->setContentsMargins(10, 6, 8, 8);
  auto* header = new QHBoxLayout;
  header->addWidget(headingLabel(tr("To target"), right));
  header->addStretch(1);
  metric_ = new QComboBox(right);
  metric_->setAccessibleName(tr("Metric of the target"));
  value_ = new QDoubleSpinBox(right);
  value_->setRange(0, 1);
  value_->setDecimals(3);
  value_->setSingleStep(0.05);
  value_->setValue(0.25);
  value_->setAccessibleName(tr("Value of the target"));
  header->addWidget(metric_);
  header->addWidget(mutedLabel(QStringLiteral("≥"), right));
  header->addWidget(value_);
  rightColumn->addLayout(header);
  targets_ = new QTableWidget(0, 5, right);
  targets_->setHorizontalHeaderLabels(
      {tr("Run"), tr("Steps"), tr("Pictures"), tr("Seconds"), tr("Best")});
  targets_->setAccessibleName(tr("Steps, pictures and seconds to the target"));
  targets_->setEditTriggers(QAbstractItemView::NoEditTriggers);
  targets_->verticalHeader()->hide();
  targets_->setWordWrap(false);
  targets_->setShowGrid(false);
  setTextRows(targets_);
  targets_->horizontalHeader()->setSectionResizeMode(QHeaderView::ResizeToContents);
  targets_->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
  rightColumn->addWidget(targets_);
  split->addWidget(left);
  split->addWidget(right);
  split->setChildrenCollapsible(false);
  connect(metric_, &QComboBox::currentIndexChanged, this, [this] {
    fillTargets();
    accuracy_->refresh();
  });
  connect(value_, &QDoubleSpinBox::valueChanged, this, &ComparePage::fillTargets);
  return split;
}

QString ComparePage::series() const {
  return series_->currentText();
}

QList<EventMark> ComparePage::marks(session::XKind kind) const {
  QList<EventMark> all;
  const QStringList labels = compare_->labels();
  const QList<session::RunSession*> runs = compare_->sessions();
  for (int i = 0; i < runs.size(); ++i) {
    for (EventMark mark : marksOf(runs[i]->allEvents(), kind)) {
      mark.detail = QStringLiteral("%1 · %2").arg(labels.value(i), mark.detail);
      all.append(mark);
    }
  }
  return all;
}

ChartSource ComparePage::overlaySource() const {
  return [this](const ChartRequest& request) {
    ChartContent content;
    const QPointF full = compare_->xRange(request.kind);
    content.range = request.range.value_or(AxisRange{full.x(), full.y()});
    const QStringList labels = compare_->labels();
    const QList<session::SeriesView> views = compare_->views(series(),
                                                             request.kind,
                                                             content.range.low,
                                                             content.range.high,
                                                             request.pixels,
                                                             request.smoothing);
    for (int i = 0; i < views.size(); ++i) {
      content.known = content.known || views[i].known;
      content.loading = content.loading || views[i].loading;
      content.curves.append(
          curvesOf(views[i], {series(), labels.value(i), i}, QStringLiteral("%1:").arg(i)));
    }
    content.marks = marks(request.kind);
    content.at = [runs = compare_->sessions(), request](
                     const QString& series, double x, int offset) -> std::optional<QPointF> {
      // "2:loss", as the curves are named above.
      session::RunSession* run = runs.value(series.section(QLatin1Char(':'), 0, 0).toInt());
      return run != nullptr
                 ? runSampleAt(run, request)(series.section(QLatin1Char(':'), 1), x, offset)
                 : std::nullopt;
    };
    return content;
  };
}

SampleSource ComparePage::overlaySamples() const {
  return [this](session::XKind kind, const AxisRange& range) {
    QList<session::ExportColumn> columns;
    const QStringList labels = compare_->labels();
    const QList<session::RunSession*> runs = compare_->sessions();
    for (int i = 0; i < runs.size(); ++i) {
      columns.append(
          {QStringLiteral("%1 / %2").arg(labels.value(i), series()),
           runs[i]->samples(
               series(), kind, range.low, range.high, session::RunSession::Extent::kWhole)});
    }
    return columns;
  };
}

ChartSource ComparePage::differenceSource() const {
  return [this](const ChartRequest& request) {
    ChartContent content;
    const QPointF full = compare_->xRange(request.kind);
    content.range = request.range.value_or(AxisRange{full.x(), full.y()});
    content =
        paired_->isChecked() ? pairedDifferences(request, content) : differences(request, content);
    content.known = !content.curves.isEmpty();
    content.marks = marks(request.kind);
    return content;
  };
}

ChartContent ComparePage::differences(const ChartRequest& request, ChartContent content) const {
  const QStringList labels = compare_->labels();
  for (int i = 1; i < compare_->count(); ++i) {
    Curve curve;
    curve.id = curve.series = kDifference + QString::number(i);
    curve.name = tr("%1 − baseline").arg(labels.value(i));
    curve.colour = i;
    curve.points = compare_->difference(i,
                                        series(),
                                        request.kind,
                                        content.range.low,
                                        content.range.high,
                                        request.pixels,
                                        request.smoothing);
    curve.samples = curve.points.size();
    content.curves.append(curve);
  }
  // The drawn points are the extremes of their columns; the cross-hair reads what lies under them.
  content.at = [this, request, range = content.range, whole = std::make_shared<QList<Curve>>()](
                   const QString& name, double x, int offset) -> std::optional<QPointF> {
    if (whole->isEmpty()) {
      whole->resize(compare_->count());
      for (int i = 1; i < whole->size(); ++i) {
        (*whole)[i].points = compare_->difference(
            i, series(), request.kind, range.low, range.high, kAllPoints, request.smoothing);
      }
    }
    return pointAt(whole->value(name.mid(kDifference.size()).toInt()), x, offset);
  };
  return content;
}

ChartContent ComparePage::pairedDifferences(const ChartRequest& request,
                                            ChartContent content) const {
  const auto read = [this, request, range = content.range](int columns) {
    return compare_->pairedDifferences(
        series(), request.kind, range.low, range.high, columns, request.smoothing);
  };
  int colour = 1;
  for (const session::PairedDifference& one : read(request.pixels)) {
    content.curves += curvesOf(one, colour);
    content.notes.append(tr("at the end %1 ± %2 (%3 pairs)")
                             .arg(formatNumber(one.endMean, 3), formatNumber(one.endSpread, 2))
                             .arg(one.pairs));
    ++colour;
  }
  // As of single differences.
  content.at = [read, whole = std::make_shared<QHash<QString, Curve>>()](
                   const QString& name, double x, int offset) -> std::optional<QPointF> {
    if (whole->isEmpty()) {
      int group = 1;
      for (const session::PairedDifference& one : read(kAllPoints)) {
        for (const Curve& curve : curvesOf(one, group)) {
          whole->insert(curve.id, curve);
        }
        ++group;
      }
    }
    return pointAt(whole->value(name), x, offset);
  };
  return content;
}

ChartSource ComparePage::metricSource() const {
  return [this](const ChartRequest& request) {
    ChartContent content;
    const QPointF full = compare_->xRange(request.kind);
    content.range = request.range.value_or(AxisRange{full.x(), full.y()});
    const QStringList labels = compare_->labels();
    const QList<session::RunSession*> runs = compare_->sessions();
    for (int i = 0; i < runs.size(); ++i) {
      Curve curve = metricCurve(runs[i], metric_->currentText(), request.kind);
      curve.id = curve.series = QStringLiteral("metric%1").arg(i);
      curve.name = labels.value(i);
      curve.help = metric_->currentText();
      curve.colour = i;
      if (!curve.points.isEmpty()) {
        content.curves.append(curve);
      }
    }
    content.known = !content.curves.isEmpty();
    content.marks = marks(request.kind);
    return content;
  };
}

void ComparePage::fillChips() {
  while (QLayoutItem* item = chips_->layout()->takeAt(0)) {
    item->widget()->deleteLater();
    delete item;
  }
  const QStringList labels = compare_->labels();
  chipLabels_ = labels;
  const QList<session::RunSession*> runs = compare_->sessions();
  for (int i = 0; i < runs.size(); ++i) {
    auto* chip = new QToolButton(chips_);
    chip->setText(i == 0 ? tr("%1 (baseline)").arg(labels[i]) : labels[i]);
    chip->setIcon(icon(QStringLiteral("close"), IconTint::kMuted));
    chip->setIconSize(QSize(12, 12));
    chip->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
    chip->setToolTip(tr("Remove %1 from the comparison").arg(labels[i]));
    chip->setAccessibleName(chip->toolTip());
    followTheme(chip, [chip] {
      chip->setFixedWidth(chip->fontMetrics().horizontalAdvance(chip->text()) + 36);
    });
    session::RunSession* run = runs[i];
    connect(chip, &QToolButton::clicked, this, [this, run] { compare_->remove(run); });
    chips_->layout()->addWidget(chip);
    chip->show();
  }
}

void ComparePage::runsChanged() {
  stack_->setCurrentIndex(compare_->count() > 0 ? 1 : 0);
  refresh();
}

void ComparePage::refresh() {
  // A run's name becomes known only after it was added.
  if (chipLabels_ != compare_->labels()) {
    fillChips();
  }
  const auto renew = [](QComboBox* box, const QStringList& items, const QString& preferred) {
    QStringList present;
    for (int i = 0; i < box->count(); ++i) {
      present.append(box->itemText(i));
    }
    if (present != items) {
      const QString before = box->currentText();
      const QSignalBlocker blocker(box);
      box->clear();
      box->addItems(items);
      const auto at = items.indexOf(items.contains(before) ? before : preferred);
      box->setCurrentIndex(static_cast<int>(std::max<qsizetype>(at, 0)));
    }
  };
  renew(series_, compare_->seriesNames(), QStringLiteral("loss"));
  renew(metric_, compare_->metricNames(), compare_->headlineMetric());
  const QStringList without =
      compare_->count() > 0 ? compare_->runsWithout(series()) : QStringList{};
  missing_->setText(without.isEmpty()
                        ? QString()
                        : tr("not recorded in %1").arg(without.join(QStringLiteral(", "))));
  difference_->setEmptyText(
      paired_->isChecked() ? tr("Needs two groups of runs with equal settings that share a seed.")
                           : tr("Needs two runs that share a stretch of the axis."));
  overlay_->setEmptyText(tr("None of the runs recorded %1.").arg(series()));
  for (CurveChart* chart : {overlay_, difference_, accuracy_}) {
    chart->refresh();
  }
  fillTargets();
}

void ComparePage::fillTargets() {
  const QList<session::TargetReached> rows =
      compare_->count() > 0 ? compare_->timeToTarget(metric_->currentText(), value_->value())
                            : QList<session::TargetReached>{};
  targets_->setRowCount(static_cast<int>(rows.size()));
  for (int r = 0; r < rows.size(); ++r) {
    const session::TargetReached& row = rows[r];
    const QString never = tr("not reached");
    const QStringList cells = {
        row.run,
        row.reached() ? formatCount(row.step) : never,
        row.reached() ? formatCount(row.images) : never,
        row.reached() ? formatNumber(row.seconds) : never,
        std::isnan(row.best) ? QStringLiteral("–") : formatNumber(row.best, 3)};
    for (int c = 0; c < cells.size(); ++c) {
      QTableWidgetItem* item = targets_->item(r, c);
      if (item == nullptr) {
        item = new QTableWidgetItem;
        item->setTextAlignment(c == 0 ? Qt::AlignLeft | Qt::AlignVCenter
                                      : Qt::AlignRight | Qt::AlignVCenter);
        targets_->setItem(r, c, item);
      }
      if (item->text() != cells[c]) {  // a live run asks several times a second
        item->setText(cells[c]);
        item->setToolTip(cells[c]);
      }
    }
  }
}

}  // namespace batchscope::views
