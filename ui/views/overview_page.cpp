#include "ui/views/overview_page.h"

#include "ui/views/probe_view.h"
#include "ui/views/widgets.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QPushButton>
#include <QSplitter>
#include <QVBoxLayout>

#include <cmath>

namespace batchscope::views {

namespace {

constexpr int kMostStripPictures = 8;

QList<SeriesChoice> lossChoices(session::RunSession* run) {
  QList<SeriesChoice> choices;
  const QString prefix = QStringLiteral("loss/");
  if (run->hasSeries(QStringLiteral("loss"))) {
    choices.append({QStringLiteral("loss"), OverviewPage::tr("total"), 0});
  }
  for (const QString& name : run->seriesWithPrefix(prefix)) {
    choices.append({name, name.mid(prefix.size()), static_cast<int>(choices.size())});
  }
  return choices;
}

}  // namespace

ChartSource evalSource(session::RunSession* run, const QStringList& metrics) {
  return [run, metrics](const ChartRequest& request) {
    ChartContent content;
    const QPointF full = run->xRange(request.kind);
    content.range = request.range.value_or(AxisRange{full.x(), full.y()});
    for (int i = 0; i < metrics.size(); ++i) {
      Curve live;
      live.id = live.series = live.name = metrics[i];
      live.help = OverviewPage::tr("%1 of the evaluations").arg(metrics[i]);
      live.colour = i;
      Curve undone = live;
      undone.id += QStringLiteral("#undone");
      undone.abandoned = true;
      for (const session::EvalItem& eval : run->evals()) {
        const auto found = eval.metrics.constFind(metrics[i]);
        const double x = eval.x(request.kind);
        if (found == eval.metrics.cend() || !content.range.contains(x)) {
          continue;
        }
        Curve& curve = eval.abandoned ? undone : live;
        if (std::isfinite(*found)) {
          curve.points.append({x, *found});
        } else {
          curve.nonfinite.append({x, *found});
          ++curve.nonfiniteSamples;
        }
        ++curve.samples;
      }
      if (!undone.points.isEmpty()) {
        content.curves.append(undone);
      }
      if (live.samples > 0) {
        content.curves.append(live);
      }
    }
    content.known = !content.curves.isEmpty();
    content.marks = marksOf(run->events(), request.kind);
    return content;
  };
}

SampleSource evalSamples(session::RunSession* run, const QStringList& metrics) {
  return [run, metrics](session::XKind kind, const AxisRange& range) {
    QList<session::ExportColumn> columns;
    for (const QString& metric : metrics) {
      session::ExportColumn column{metric, {}};
      for (const session::EvalItem& eval : run->evals()) {
        const auto found = eval.metrics.constFind(metric);
        if (found != eval.metrics.cend() && range.contains(eval.x(kind))) {
          session::SampleItem sample;
          sample.valid = true;
          sample.x = eval.x(kind);
          sample.value = *found;
          sample.step = eval.step;
          sample.images = eval.images;
          sample.seconds = eval.seconds;
          sample.segment = eval.segment;
          sample.abandoned = eval.abandoned;
          column.samples.append(sample);
        }
      }
      columns.append(column);
    }
    return columns;
  };
}

OverviewPage::OverviewPage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  loss_ = new CurveChart(tr("Loss"), link, this);
  loss_->setHelp(tr("Mean loss over the pictures of an update, all ranks, and its parts."));
  accuracy_ = new CurveChart(tr("Evaluations"), link, this);
  accuracy_->setHelp(
      tr("Figures on the validation pictures: average precision, panoptic quality, "
         "mean IoU."));
  lr_ = new CurveChart(tr("Learning rate"), link, this);
  lr_->setHelp(tr("Scheduled learning rate, before module factors."));
  speed_ = new CurveChart(tr("Pictures per second"), link, this);
  speed_->setHelp(tr("Pictures trained on per second of training time, all ranks."));

  auto* top = new QSplitter(Qt::Horizontal, this);
  top->addWidget(loss_);
  top->addWidget(accuracy_);
  top->setStretchFactor(0, 3);
  top->setStretchFactor(1, 2);
  auto* bottom = new QSplitter(Qt::Horizontal, this);
  bottom->addWidget(lr_);
  bottom->addWidget(speed_);
  auto* column = new QSplitter(Qt::Vertical, this);
  column->addWidget(top);
  column->addWidget(bottom);
  strip_ = makeStrip();
  column->addWidget(strip_);
  column->setStretchFactor(0, 5);
  column->setStretchFactor(1, 3);
  column->setStretchFactor(2, 0);
  for (QSplitter* splitter : {top, bottom, column}) {
    splitter->setChildrenCollapsible(false);
    splitter->setHandleWidth(6);
  }
  top->setObjectName(QStringLiteral("overviewTop"));
  bottom->setObjectName(QStringLiteral("overviewBottom"));
  column->setObjectName(QStringLiteral("overviewColumn"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(8, 8, 8, 8);
  layout->addWidget(column);
}

QWidget* OverviewPage::makeStrip() {
  auto* card = new QFrame(this);
  card->setProperty("card", true);
  auto* column = new QVBoxLayout(card);
  column->setContentsMargins(10, 6, 10, 8);
  column->setSpacing(4);
  auto* header = new QHBoxLayout;
  header->addWidget(headingLabel(tr("Fixed pictures"), card));
  stripNote_ = mutedLabel({}, card);
  header->addWidget(stripNote_, 1);
  auto* more = new QPushButton(tr("All samples"), card);
  more->setProperty("flat", true);
  connect(more, &QPushButton::clicked, this, &OverviewPage::samplesWanted);
  header->addWidget(more);
  column->addLayout(header);
  stripRow_ = new QHBoxLayout;
  stripRow_->setSpacing(6);
  column->addLayout(stripRow_, 1);
  followTheme(card, [card] {
    const int words = 2 * card->fontMetrics().height();
    card->setMinimumHeight(120 + words);
    card->setMaximumHeight(160 + words);
  });
  return card;
}

void OverviewPage::runChanged() {
  session::RunSession* current = run();
  if (current == nullptr) {
    return;
  }
  const auto use = [&](CurveChart* chart, const std::function<QList<SeriesChoice>()>& choices) {
    chart->setSource(runSource(current, choices), runSamples(current, choices));
  };
  use(loss_, [current] { return lossChoices(current); });
  use(lr_, fixedChoices(current, {{QStringLiteral("lr"), tr("learning rate"), 0}}));
  use(speed_, fixedChoices(current, {{QStringLiteral("images_per_s"), tr("pictures/s"), 0}}));
  const QStringList metrics = {QStringLiteral("AP"),
                               QStringLiteral("AP50"),
                               QStringLiteral("AP75"),
                               QStringLiteral("segm_AP"),
                               QStringLiteral("PQ"),
                               QStringLiteral("mIoU"),
                               QStringLiteral("OpenImages_AP50")};
  accuracy_->setSource(evalSource(current, metrics), evalSamples(current, metrics));
}

void OverviewPage::dataChanged() {
  const QString waiting = waitingText();
  for (CurveChart* chart : {loss_, lr_, speed_}) {
    chart->setEmptyText(waiting.isEmpty() ? tr("Nothing recorded yet.") : waiting);
  }
  accuracy_->setEmptyText(tr("No evaluation yet."));
  if (run() == nullptr) {
    return;
  }
  const QList<session::ProbeItem>& items = run()->probes();
  strip_->setVisible(!items.isEmpty());
  if (items.isSharedWith(shown_)) {
    return;
  }
  shown_ = items;
  const auto count = std::min<qsizetype>(items.size(), kMostStripPictures);
  while (probes_.size() > count) {
    delete probes_.takeLast();
  }
  while (probes_.size() < count) {
    auto* view = new ProbeView(strip_);
    view->setCompact(true);
    stripRow_->addWidget(view, 1);
    probes_.append(view);
  }
  for (qsizetype i = 0; i < count; ++i) {
    probes_[i]->setProbe(items[i]);
  }
  if (count > 0) {
    const auto step = items.first().predictedStep;
    stripNote_->setText(step < 0
                            ? tr("truth dashed; nothing is predicted yet")
                            : tr("truth dashed, predictions of step %1").arg(formatCount(step)));
  }
}

}  // namespace batchscope::views
