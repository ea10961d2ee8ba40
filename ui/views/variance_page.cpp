#include "ui/views/variance_page.h"

#include "ui/views/flow_layout.h"
#include "ui/views/heatmap_view.h"
#include "ui/views/widgets.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSpinBox>
#include <QSplitter>
#include <QVBoxLayout>

#include <limits>
#include <optional>

namespace batchscope::views {

namespace {

constexpr double kSaturated = 0.9;
// The noise scale is an average over measurements already; this only calms the drawn curve.
constexpr double kForecastSmoothing = 0.8;

}  // namespace

double expectedNoiseFraction(double noiseScale, double batch) {
  return 2 * noiseScale / (batch + 2 * noiseScale);
}

VariancePage::VariancePage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  QWidget* bar = makeBar();
  QWidget* charts = makeCharts();
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 6, 8, 8);
  layout->setSpacing(6);
  layout->addWidget(bar);
  layout->addWidget(charts, 1);
  connect(map_, &HeatmapView::rowChosen, this, &VariancePage::chooseModule);
  connect(curve_, &QComboBox::currentIndexChanged, this, &VariancePage::chooseCurve);
  connect(of_, &QComboBox::currentIndexChanged, scale_, &CurveChart::refresh);
  connect(batch_, &QSpinBox::valueChanged, fraction_, &CurveChart::refresh);
  connect(quantity_, &QComboBox::currentIndexChanged, this, &VariancePage::dataChanged);
  chooseCurve();
}

QWidget* VariancePage::makeCharts() {
  fraction_ = new CurveChart({}, link(), this);
  scale_ = new CurveChart(tr("Noise scale Bn"), link(), this);
  scale_->setHelp(tr(
      "Simple noise scale tr(Σ)/|G|² in pictures, averaged over measurements (weight 0.9).\n"
      "A batch well below it is dominated by noise. Unknown values are gaps.\n"
      "It speaks of SGD; of the preconditioned gradient it speaks of AdamW and the LAMB family."));
  scale_->setLogValues(true);
  factors_ = new CurveChart(tr("AGVM factors μ"), link(), this);
  factors_->setHelp(tr("AGVM's factor on the learning rate of each module; the anchor's is 1."));
  map_ = new HeatmapView(this);

  auto* bottom = new QSplitter(Qt::Horizontal, this);
  bottom->setObjectName(QStringLiteral("varianceBottom"));
  bottom->addWidget(scale_);
  bottom->addWidget(factors_);
  auto* column = new QSplitter(Qt::Vertical, this);
  column->setObjectName(QStringLiteral("varianceColumn"));
  column->addWidget(fraction_);
  column->addWidget(bottom);
  column->addWidget(map_);
  column->setStretchFactor(0, 4);
  column->setStretchFactor(1, 3);
  column->setStretchFactor(2, 2);
  for (QSplitter* splitter : {bottom, column}) {
    splitter->setChildrenCollapsible(false);
    splitter->setHandleWidth(6);
  }
  return column;
}

QWidget* VariancePage::makeBar() {
  auto* bar = new QWidget(this);
  bar->setLayout(new FlowLayout(12));
  // Each name beside its input; pairs that do not fit go to the next line.
  const auto add = [bar](const QString& name, QWidget* input) {
    auto* pair = new QWidget(bar);
    auto* row = new QHBoxLayout(pair);
    row->setContentsMargins(2, 0, 2, 0);
    QLabel* label = mutedLabel(name, pair);
    label->setBuddy(input);
    row->addWidget(label);
    row->addWidget(input);
    bar->layout()->addWidget(pair);
  };
  batch_ = new QSpinBox(bar);
  batch_->setRange(0, 1'000'000);
  batch_->setSpecialValueText(tr("the run's own"));
  batch_->setAccessibleName(tr("Batch of the expected noise fraction"));
  batch_->setToolTip(tr("Effective batch for which the expected noise fraction is drawn"));
  quantity_ = new QComboBox(bar);
  quantity_->setAccessibleName(tr("Quantity of the heat map"));
  quantity_->addItem(tr("Noise fraction d"), QStringLiteral("d/"));
  quantity_->addItem(tr("Variance (lr·μ)²·d"), QStringLiteral("phi/"));
  quantity_->addItem(tr("Noise scale Bn"), QStringLiteral("noise/"));
  quantity_->addItem(tr("AGVM factor μ"), QStringLiteral("mu/"));
  quantity_->addItem(tr("Gradient norm"), QStringLiteral("grad_norm/"));
  quantity_->addItem(tr("Update norm"), QStringLiteral("update_norm/"));
  quantity_->addItem(tr("Trust ratio"), QStringLiteral("trust/"));
  curve_ = new QComboBox(bar);
  curve_->setAccessibleName(tr("Curve of the gradient noise"));
  curve_->addItem(tr("Noise fraction d"), QStringLiteral("d/"));
  curve_->addItem(tr("Variance (lr·μ)²·d"), QStringLiteral("phi/"));
  curve_->setToolTip(tr("d itself, or AGVM's gradient variance, which its factors make equal"));
  of_ = new QComboBox(bar);
  of_->setAccessibleName(tr("Gradient of the noise scale"));
  of_->addItem(tr("gradient"), QStringLiteral("noise/"));
  of_->addItem(tr("preconditioned"), QStringLiteral("noise_pre/"));
  of_->setToolTip(tr("Noise scale of the gradient, or of the gradient as AdamW and LAMB use it"));
  add(tr("C&urve"), curve_);
  add(tr("Expected d at &batch"), batch_);
  add(tr("B&n of"), of_);
  add(tr("Heat map"), quantity_);
  return bar;
}

double VariancePage::batchForForecast() const {
  if (batch_->value() > 0) {
    return batch_->value();
  }
  return run() ? static_cast<double>(run()->status().effectiveBatch()) : 0;
}

QString VariancePage::curvePrefix() const {
  return curve_->currentData().toString();
}

QString VariancePage::scalePrefix() const {
  return of_->currentData().toString();
}

void VariancePage::chooseCurve() {
  const bool fraction = curve_->currentIndex() == 0;
  fraction_->setTitle(fraction ? tr("Noise fraction d (1 − cos)")
                               : tr("Gradient variance (lr·μ)²·d"));
  fraction_->setHelp(
      fraction
          ? tr("One minus the cosine between the mean gradients of the two halves of a batch, per "
               "module.\n"
               "Expected value d(B) = 2·Bn / (B + 2·Bn), dotted, from the noise scale Bn of the "
               "same gradients.\n"
               "Grey, above 0.9: saturated, the batch is far below the noise scale and AGVM's "
               "factor near 1.")
          : tr("AGVM's gradient variance: the noise fraction times the square of the module's "
               "learning rate lr·μ.\nAGVM brings the modules to the anchor's."));
  fraction_->setSaturatedFrom(fraction ? std::optional<double>(kSaturated) : std::nullopt);
  fraction_->setLogValues(!fraction);
  batch_->setEnabled(fraction);
  fraction_->refresh();
}

ChartSource VariancePage::fractionSource() const {
  session::RunSession* current = run();
  return [this, current](const ChartRequest& request) {
    const auto choices = moduleChoices(current, curvePrefix());
    ChartContent content = runSource(current, choices)(request);
    if (curve_->currentIndex() == 0) {
      addExpected(content, request);
    }
    return content;
  };
}

void VariancePage::addExpected(ChartContent& content, const ChartRequest& request) const {
  const double batch = batchForForecast();
  if (batch <= 0) {
    return;
  }
  for (const SeriesChoice& choice : moduleChoices(run(), QStringLiteral("d/"))()) {
    // d is of the gradient as the method uses it, and so is what predicts it.
    QString noise = QStringLiteral("noise_pre/") + choice.label;
    if (!run()->hasSeries(noise)) {
      noise = QStringLiteral("noise/") + choice.label;
    }
    const session::SeriesView view = run()->view(noise,
                                                 request.kind,
                                                 content.range.low,
                                                 content.range.high,
                                                 request.pixels,
                                                 kForecastSmoothing);
    const SeriesChoice forecast{noise, choice.label, choice.colour, true};
    for (Curve curve : curvesOf(view, forecast)) {
      if (curve.abandoned) {
        continue;
      }
      for (QPointF& point : curve.points) {
        point.setY(point.y() > 0 ? expectedNoiseFraction(point.y(), batch)
                                 : std::numeric_limits<double>::quiet_NaN());
      }
      curve.nonfinite.clear();
      curve.nonfiniteSamples = 0;
      curve.thinned = false;
      curve.series = QStringLiteral("expected");
      curve.name = tr("expected");
      curve.help =
          tr("d(B) = 2·Bn / (B + 2·Bn) at B = %1").arg(formatCount(static_cast<qint64>(batch)));
      content.curves.append(curve);
    }
  }
  content.notes.append(
      tr("dotted: expected at batch %1").arg(formatCount(static_cast<qint64>(batch))));
}

ChartSource VariancePage::scaleSource() const {
  session::RunSession* current = run();
  return [this, current](const ChartRequest& request) {
    ChartContent content = runSource(current, moduleChoices(current, scalePrefix()))(request);
    for (Curve& curve : content.curves) {
      // No signal left after averaging: the scale is unknown there, which is no fault.
      curve.unknown = true;
      curve.nonfinite.clear();
    }
    return content;
  };
}

void VariancePage::runChanged() {
  session::RunSession* current = run();
  if (current == nullptr) {
    return;
  }
  const auto samples = [current](const std::function<QString()>& prefix) -> SampleSource {
    return [current, prefix](session::XKind kind, const AxisRange& range) {
      return runSamples(current, moduleChoices(current, prefix()))(kind, range);
    };
  };
  fraction_->setSource(fractionSource(), samples([this] { return curvePrefix(); }));
  scale_->setSource(scaleSource(), samples([this] { return scalePrefix(); }));
  const auto factors = moduleChoices(current, QStringLiteral("mu/"));
  factors_->setSource(runSource(current, factors), runSamples(current, factors));
}

void VariancePage::chooseModule(int row) {
  map_->setCurrentRow(row);
  if (run() == nullptr) {
    return;
  }
  const QStringList rows = run()->seriesWithPrefix(quantity_->currentData().toString());
  const QString module =
      row >= 0 && row < rows.size() ? rows[row].section(QLatin1Char('/'), 1) : QString();
  const QList<std::pair<CurveChart*, QString>> targets = {
      {fraction_, curvePrefix()}, {scale_, scalePrefix()}, {factors_, QStringLiteral("mu/")}};
  for (const auto& [chart, prefix] : targets) {
    chart->plot()->setCurrent(module.isEmpty() ? QString() : prefix + module);
  }
}

void VariancePage::dataChanged() {
  const QString waiting = waitingText();
  const QString none = tr(
      "This run recorded no per-module statistics: neither agvm.observe nor agvm.enabled was set, "
      "or no step has been measured yet.");
  for (CurveChart* chart : {fraction_, scale_}) {
    chart->setEmptyText(waiting.isEmpty() ? none : waiting);
  }
  factors_->setEmptyText(waiting.isEmpty() ? tr("AGVM has not been on yet: every factor is 1.")
                                           : waiting);
  map_->setTitle(
      tr("%1 by module").arg(quantity_->currentText()),
      tr("Colours on a logarithmic scale; a click on a row marks its module in the charts."));
  map_->setEmptyText(waiting.isEmpty() ? none : waiting);
  if (run() == nullptr) {
    return;
  }
  map_->setMarks(marksOf(run()->events(), link()->kind()));
  const QPointF full = run()->xRange(link()->kind());
  const AxisRange x = link()->range().value_or(AxisRange{full.x(), full.y()});
  map_->setData(run()->heatmap(quantity_->currentData().toString(),
                               link()->kind(),
                               x.low,
                               x.high,
                               map_->columnsWanted()),
                link()->kind(),
                true);
}

}  // namespace batchscope::views
