#include "ui/views/samples_page.h"

#include "ui/views/probe_view.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QSlider>
#include <QVBoxLayout>

#include <algorithm>
#include <cmath>

namespace batchscope::views {

SamplesPage::SamplesPage(ChartLink* link, QWidget* parent) : RunPage(link, parent) {
  slider_ = new QSlider(Qt::Horizontal, this);
  slider_->setRange(0, 100);
  slider_->setValue(50);
  slider_->setMaximumWidth(260);
  slider_->setAccessibleName(tr("Lowest score shown"));
  slider_->setToolTip(tr("Predictions below this score are hidden"));
  auto* label = mutedLabel(tr("&Score at least"), this);
  label->setBuddy(slider_);
  score_ = new QLabel(this);
  truth_ = new QCheckBox(tr("&Truth (dashed)"), this);
  predictions_ = new QCheckBox(tr("P&redictions"), this);
  pixels_ = new QCheckBox(tr("&Masks"), this);
  pixels_->setToolTip(tr("Masks and classes of pixels: predicted ones filled, true ones outlined"));
  pixels_->setChecked(true);
  truth_->setChecked(true);
  predictions_->setChecked(true);
  note_ = mutedLabel({}, this);
  auto* bar = new QHBoxLayout;
  bar->addWidget(label);
  bar->addWidget(slider_, 1);
  bar->addWidget(score_);
  bar->addSpacing(16);
  bar->addWidget(truth_);
  bar->addWidget(predictions_);
  bar->addWidget(pixels_);
  bar->addStretch(1);
  bar->addWidget(note_);
  sheet_ = new QWidget(this);
  grid_ = new QGridLayout(sheet_);
  grid_->setContentsMargins(0, 0, 0, 0);
  grid_->setSpacing(10);
  empty_ = mutedLabel({}, this);
  empty_->setAlignment(Qt::AlignCenter);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(12, 8, 12, 10);
  column->addLayout(bar);
  column->addWidget(sheet_, 1);
  column->addWidget(empty_, 1);
  connect(slider_, &QSlider::valueChanged, this, &SamplesPage::apply);
  connect(truth_, &QCheckBox::toggled, this, &SamplesPage::apply);
  connect(predictions_, &QCheckBox::toggled, this, &SamplesPage::apply);
  connect(pixels_, &QCheckBox::toggled, this, &SamplesPage::apply);
  apply();
}

void SamplesPage::apply() {
  score_->setText(QLocale().toString(slider_->value() / 100.0, 'f', 2));
  for (ProbeView* view : std::as_const(views_)) {
    view->setThreshold(slider_->value() / 100.0);
    view->setShown(truth_->isChecked(), predictions_->isChecked());
    view->setPixelsShown(pixels_->isChecked());
  }
}

void SamplesPage::arrange() {
  const auto count = static_cast<int>(views_.size());
  if (count == 0) {
    return;
  }
  // The widest pictures; of equal ones the grid with the fewest empty places.
  int columns = 1;
  double best = -1;
  for (int c = 1; c <= count; ++c) {
    const int rows = (count + c - 1) / c;
    const double side = std::min(double(sheet_->width()) / c, double(sheet_->height()) / rows);
    const double worth = side - 0.01 * (rows * c - count);
    if (worth > best) {
      best = worth;
      columns = c;
    }
  }
  for (int i = 0; i < count; ++i) {
    grid_->addWidget(views_[i], i / columns, i % columns);
  }
}

void SamplesPage::resizeEvent(QResizeEvent* event) {
  RunPage::resizeEvent(event);
  arrange();
}

void SamplesPage::dataChanged() {
  const QList<session::ProbeItem> items = run() ? run()->probes() : QList<session::ProbeItem>{};
  const bool grown = views_.size() != items.size();
  while (views_.size() > items.size()) {
    delete views_.takeLast();
  }
  while (views_.size() < items.size()) {
    views_.append(new ProbeView(sheet_));
  }
  for (qsizetype i = 0; i < items.size(); ++i) {
    views_[i]->setProbe(items[i]);
    views_[i]->show();
  }
  if (grown) {
    arrange();
    apply();
  }
  pixels_->setVisible(std::any_of(
      views_.cbegin(), views_.cend(), [](const ProbeView* view) { return view->hasPixels(); }));
  sheet_->setVisible(!items.isEmpty());
  empty_->setVisible(items.isEmpty());
  const QString waiting = waitingText();
  empty_->setText(waiting.isEmpty() ? tr("This run keeps no fixed pictures (eval.probes = 0), "
                                         "or the first evaluation is still to come.")
                                    : waiting);
  const auto step = items.isEmpty() ? -1 : items.first().predictedStep;
  note_->setText(step < 0 ? QString() : tr("predicted at step %1").arg(formatCount(step)));
}

}  // namespace batchscope::views
