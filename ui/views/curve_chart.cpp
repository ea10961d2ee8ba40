#include "ui/views/curve_chart.h"

#include "ui/views/chart_legend.h"
#include "ui/views/theme.h"
#include "ui/views/widgets.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QMenu>
#include <QPainter>
#include <QStackedLayout>
#include <QTableView>
#include <QTimer>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

QToolButton* headerButton(QWidget* parent,
                          const QString& name,
                          const QString& tip,
                          bool checkable) {
  auto* button = new QToolButton(parent);
  button->setIcon(icon(name, IconTint::kMuted));
  button->setIconSize(QSize(16, 16));
  button->setToolTip(tip);
  button->setAccessibleName(tip);
  button->setCheckable(checkable);
  button->setAutoRaise(true);
  button->setProperty("chartTool", true);
  return button;
}

}  // namespace

CurveChart::CurveChart(const QString& title, ChartLink* link, QWidget* parent)
    : QFrame(parent), title_(title), emptyText_(tr("Nothing recorded yet.")), link_(link) {
  build();
  connectLink();
  setAccessibleName(tr("Chart: %1").arg(title));
  setFocusPolicy(Qt::StrongFocus);
  showState();
}

QLayout* CurveChart::buildHeader() {
  titleLabel_ = new QLabel(title_, this);
  titleLabel_->setProperty("heading", true);
  note_ = new QLabel(this);
  note_->setProperty("muted", true);
  note_->setMinimumWidth(10);
  logButton_ = headerButton(this, QStringLiteral("log"), tr("Logarithmic values"), true);
  tableButton_ = headerButton(this, QStringLiteral("table"), tr("Show as table"), true);
  QToolButton* fitButton = headerButton(this, QStringLiteral("fit"), tr("Show everything"), false);
  QToolButton* more = headerButton(this, QStringLiteral("menu"), tr("Copy and more"), false);
  auto* menu = new QMenu(more);
  menu->addAction(
      icon(QStringLiteral("image")), tr("Copy chart as image"), this, &CurveChart::copyImage);
  menu->addAction(icon(QStringLiteral("copy")), tr("Copy data as CSV"), this, &CurveChart::copyCsv);
  more->setMenu(menu);
  more->setPopupMode(QToolButton::InstantPopup);
  connect(logButton_, &QToolButton::toggled, this, &CurveChart::setLogValues);
  connect(tableButton_, &QToolButton::toggled, this, [this] {
    showState();
    fillTable();
  });
  connect(fitButton, &QToolButton::clicked, this, &CurveChart::fit);
  auto* header = new QHBoxLayout;
  header->setSpacing(2);
  header->addWidget(titleLabel_);
  header->addSpacing(8);
  header->addWidget(note_, 1);
  for (QToolButton* button : {logButton_, tableButton_, fitButton, more}) {
    header->addWidget(button);
  }
  return header;
}

void CurveChart::build() {
  setProperty("card", true);
  plot_ = new CurvePlot(this);
  legend_ = new ChartLegend(this);
  table_ = new QTableView(this);
  tableModel_ = new session::CurveTableModel(this);
  table_->setModel(tableModel_);
  table_->setAccessibleName(tr("Samples of %1").arg(title_));
  table_->verticalHeader()->hide();
  table_->setAlternatingRowColors(true);
  setTextRows(table_);
  emptyLabel_ = new QLabel(this);
  emptyLabel_->setAlignment(Qt::AlignCenter);
  emptyLabel_->setWordWrap(true);
  emptyLabel_->setProperty("muted", true);
  stack_ = new QStackedLayout;
  stack_->addWidget(plot_);
  stack_->addWidget(table_);
  stack_->addWidget(emptyLabel_);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(10, 4, 8, 4);
  column->setSpacing(1);
  column->addLayout(buildHeader());
  column->addLayout(stack_, 1);
  column->addWidget(legend_);
}

void CurveChart::connectLink() {
  connect(link_, &ChartLink::rangeChanged, this, &CurveChart::refresh);
  connect(link_, &ChartLink::kindChanged, this, [this] {
    full_.reset();
    refresh();
  });
  connect(link_, &ChartLink::smoothingChanged, this, &CurveChart::refresh);
  connect(link_, &ChartLink::cursorChanged, this, [this] {
    plot_->setCursor(link_->cursor(), link_->cursorOrigin() == this);
  });
  connect(plot_, &CurvePlot::pixelsChanged, this, &CurveChart::refresh);
  connect(plot_, &CurvePlot::rangeWanted, this, &CurveChart::wantRange);
  connect(plot_, &CurvePlot::valueRangeWanted, this, [this](double low, double high) {
    plot_->setValueRange(AxisRange{low, high});
  });
  connect(plot_, &CurvePlot::fitWanted, this, &CurveChart::fit);
  connect(plot_, &CurvePlot::cursorWanted, this, [this](double x) {
    link_->setCursor(plot_->snapped(x), this);
  });
  connect(plot_, &CurvePlot::cursorLeft, this, [this] {
    if (link_->cursorOrigin() == this && !hasFocus()) {
      link_->setCursor(std::nullopt, nullptr);
    }
  });
  connect(legend_, &ChartLegend::hiddenChanged, plot_, &CurvePlot::setHidden);
  connect(&Theme::instance(), &Theme::changed, this, [this] { fitLegend(); });
}

void CurveChart::setTitle(const QString& title) {
  title_ = title;
  titleLabel_->setText(title);
  table_->setAccessibleName(tr("Samples of %1").arg(title));
  setAccessibleName(title);
}

void CurveChart::setHelp(const QString& help) {
  titleLabel_->setToolTip(help);
  setAccessibleDescription(help);
}

void CurveChart::setSource(ChartSource source, SampleSource samples) {
  source_ = std::move(source);
  samples_ = std::move(samples);
  full_.reset();
  refresh();
}

void CurveChart::setEmptyText(const QString& text) {
  emptyText_ = text;
  showState();
}

void CurveChart::setSaturatedFrom(std::optional<double> value) {
  plot_->setSaturatedFrom(value);
}

void CurveChart::setLogValues(bool on) {
  plot_->setLog(on);
  fitLegend();
  const QSignalBlocker blocker(logButton_);
  logButton_->setChecked(on);
}

bool CurveChart::isTableShown() const {
  return stack_->currentIndex() == 1;
}

void CurveChart::refresh() {
  dirty_ = true;
  if (!isVisible() || queued_) {
    return;
  }
  queued_ = true;
  QTimer::singleShot(0, this, [this] {
    queued_ = false;
    if (isVisible()) {
      reload();
    }
  });
}

void CurveChart::reload() {
  if (!source_) {
    return;
  }
  dirty_ = false;
  const ChartContent content =
      source_({link_->kind(), link_->range(), plot_->pixels(), link_->smoothing()});
  empty_ = std::all_of(content.curves.cbegin(), content.curves.cend(), [](const Curve& c) {
    return c.points.isEmpty() && c.nonfinite.isEmpty();
  });
  loading_ = content.loading;
  if (!link_->range()) {
    full_ = content.range;
  } else if (!full_) {
    // First seen while zoomed: how far there is to zoom out to.
    full_ = source_({link_->kind(), std::nullopt, 1, 0}).range;
  }
  const session::XKind kind = link_->kind();
  plot_->setXAxis(session::xKindTitle(kind), kind != session::XKind::kSeconds, [kind](double x) {
    return xText(kind, x);
  });
  plot_->setSampleAt(content.at);
  plot_->setCurves(content.curves, content.range);
  plot_->setMarks(content.marks);
  fitLegend();
  note_->setText(content.notes.join(QStringLiteral(" · ")));
  note_->setToolTip(content.notes.join(QLatin1Char('\n')));
  showState();
  if (isTableShown()) {
    fillTable();
  }
}

void CurveChart::fitLegend() {
  legend_->update(*plot_);
  // Of a low chart it would leave nothing; the box of the cross-hair has the names too.
  constexpr int kShare = 4;
  const QMargins margins = layout()->contentsMargins();
  const int wide = width() - margins.left() - margins.right();
  const bool fits = legend_->heightForWidth(wide) * kShare <= height();
  legend_->setVisible(fits && !legend_->series().isEmpty());
}

void CurveChart::resizeEvent(QResizeEvent* event) {
  QFrame::resizeEvent(event);
  fitLegend();
}

void CurveChart::showState() {
  // A zoom into a place without samples keeps the axis; a chart that never had any shows why.
  const bool nothing = empty_ && !link_->range();
  emptyLabel_->setText(loading_ ? tr("Reading…") : emptyText_);
  if (nothing) {
    stack_->setCurrentIndex(2);
  } else {
    stack_->setCurrentIndex(tableButton_->isChecked() ? 1 : 0);
  }
}

void CurveChart::fillTable() {
  if (isTableShown() && samples_) {
    tableModel_->setColumns(samples_(link_->kind(), plot_->xRange()), link_->kind());
    table_->resizeColumnsToContents();
  }
}

void CurveChart::toggleLog() {
  logButton_->toggle();
}

void CurveChart::toggleTable() {
  tableButton_->toggle();
}

void CurveChart::showEvent(QShowEvent* event) {
  QFrame::showEvent(event);
  if (dirty_) {
    refresh();
  }
}

void CurveChart::paintEvent(QPaintEvent* event) {
  QFrame::paintEvent(event);
  if (hasFocus()) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(colours().accent, 2));
    painter.drawRoundedRect(QRectF(rect()).adjusted(1, 1, -1, -1), 8, 8);
  }
}

void CurveChart::focusInEvent(QFocusEvent* event) {
  QFrame::focusInEvent(event);
  update();
}

void CurveChart::focusOutEvent(QFocusEvent* event) {
  QFrame::focusOutEvent(event);
  update();
}

bool CurveChart::event(QEvent* event) {
  if (event->type() == QEvent::PaletteChange) {
    update();
  }
  return QFrame::event(event);
}

}  // namespace batchscope::views
