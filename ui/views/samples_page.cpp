#include "ui/views/samples_page.h"

#include "engine/contract/stored_predictions.h"
#include "ui/views/probe_view.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QLabel>
#include <QLocale>
#include <QSlider>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

namespace {

QString storedText() {
  return SamplesPage::tr("stored: the best %1 of a picture, from score %2 on")
      .arg(contract::kMostStoredBoxes)
      .arg(QLocale().toString(contract::kLowestStoredScore, 'f', 2));
}

}  // namespace

SamplesPage::SamplesPage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 8, 12, 10);
  column->addLayout(makeBar());
  note_ = mutedLabel({}, this);
  note_->setWordWrap(true);
  column->addWidget(note_);
  grid_ = new ProbeGrid(this);
  column->addWidget(grid_, 1);
  empty_ = mutedLabel({}, this);
  empty_->setAlignment(Qt::AlignCenter);
  empty_->setWordWrap(true);
  column->addWidget(empty_, 1);
  connect(slider_, &QSlider::valueChanged, this, &SamplesPage::apply);
  connect(truth_, &QCheckBox::toggled, this, &SamplesPage::apply);
  connect(predictions_, &QCheckBox::toggled, this, &SamplesPage::apply);
  connect(pixels_, &QCheckBox::toggled, this, &SamplesPage::apply);
  apply();
}

QLayout* SamplesPage::makeBar() {
  slider_ = new QSlider(Qt::Horizontal, this);
  // Below what is stored there is nothing to show.
  slider_->setRange(static_cast<int>(std::lround(100 * contract::kLowestStoredScore)), 100);
  slider_->setValue(50);
  slider_->setMaximumWidth(260);
  slider_->setAccessibleName(tr("Lowest score shown"));
  slider_->setToolTip(tr("Predictions below this score are hidden; %1").arg(storedText()));
  auto* label = mutedLabel(tr("&Score at least"), this);
  label->setBuddy(slider_);
  score_ = new QLabel(this);
  truth_ = new QCheckBox(tr("Tr&uth (dashed)"), this);
  predictions_ = new QCheckBox(tr("Predictio&ns"), this);
  pixels_ = new QCheckBox(tr("Mas&ks"), this);
  pixels_->setToolTip(tr("Masks and classes of pixels: predicted ones filled, true ones outlined"));
  for (QCheckBox* box : {truth_, predictions_, pixels_}) {
    box->setChecked(true);
  }
  auto* bar = new QHBoxLayout;
  bar->addWidget(label);
  bar->addWidget(slider_, 1);
  bar->addWidget(score_);
  bar->addSpacing(16);
  bar->addWidget(truth_);
  bar->addWidget(predictions_);
  bar->addWidget(pixels_);
  bar->addStretch(1);
  return bar;
}

void SamplesPage::apply() {
  score_->setText(QLocale().toString(slider_->value() / 100.0, 'f', 2));
  for (ProbeView* view : views()) {
    view->setThreshold(slider_->value() / 100.0);
    view->setShown(truth_->isChecked(), predictions_->isChecked());
    view->setPixelsShown(pixels_->isChecked());
  }
}

QString SamplesPage::note() const {
  if (shown_.isEmpty()) {
    return {};
  }
  const auto step = shown_.first().predictedStep;
  if (step < 0) {
    return tr("nothing is predicted yet");
  }
  const QString when = tr("predicted at step %1").arg(formatCount(step));
  const bool boxes = std::any_of(shown_.cbegin(), shown_.cend(), [](const auto& probe) {
    return !probe.predictions.isEmpty();
  });
  return boxes ? when + QStringLiteral(" · ") + storedText() : when;
}

void SamplesPage::dataChanged() {
  const QList<session::ProbeItem> items = run() ? run()->probes() : QList<session::ProbeItem>{};
  // Most refreshes are about curves: the pictures are as they were.
  if (!items.isSharedWith(shown_)) {
    shown_ = items;
    if (grid_->setProbes(items)) {
      apply();
    }
  }
  pixels_->setVisible(std::any_of(
      views().cbegin(), views().cend(), [](const ProbeView* view) { return view->hasPixels(); }));
  grid_->setVisible(!items.isEmpty());
  note_->setVisible(!items.isEmpty());
  note_->setText(note());
  empty_->setVisible(items.isEmpty());
  const QString waiting = waitingText();
  empty_->setText(waiting.isEmpty() ? tr("This run keeps no fixed pictures (eval.probes = 0).")
                                    : waiting);
}

}  // namespace batchscope::views
