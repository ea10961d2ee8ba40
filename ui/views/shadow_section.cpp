#include "ui/views/shadow_section.h"

#include "ui/views/widgets.h"

#include <QComboBox>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>

namespace batchscope::views {

namespace {

const QString kShadow = QStringLiteral("shadow/");
const QString kModule = QStringLiteral("module/");

}  // namespace

QStringList shadowLabels(const session::RunSession& run) {
  QStringList labels;
  for (const session::SeriesItem& series : run.series()) {
    const QString label = series.name.section(QLatin1Char('/'), 1, 1);
    if (series.name.startsWith(kShadow) && !labels.contains(label)) {
      labels.append(label);
    }
  }
  return labels;
}

ShadowSection::ShadowSection(ChartLink* link, QWidget* parent) : QWidget(parent) {
  what_ = new QComboBox(this);
  what_->setAccessibleName(tr("Which shadow or module"));
  what_->setToolTip(tr("One shadow in every module, or every shadow in one module"));
  what_->setSizeAdjustPolicy(QComboBox::AdjustToContents);
  auto* label = mutedLabel(tr("Sho&w"), this);
  label->setBuddy(what_);
  cosine_ = new CurveChart(tr("Cosine to the real update"), link, this);
  cosine_->setHelp(
      tr("Cosine of the angle between the change that the shadow would have made to a module's\n"
         "weights and the change that the run's own optimizer made. 1: the same direction."));
  update_ = new CurveChart(tr("Update norm"), link, this);
  update_->setHelp(
      tr("L2 norm of the change of a module's weights: what the shadow would have made, and what "
         "was made."));
  update_->setLogValues(true);
  rate_ = new CurveChart(tr("Effective learning rate"), link, this);
  rate_->setHelp(tr("Scheduled learning rate times AGVM's factor times the mean trust ratio."));
  rate_->setLogValues(true);
  time_ = new CurveChart(tr("Time of the shadows (ms)"), link, this);
  time_->setHelp(tr("Part of an update's time that the shadow optimizers took, all together."));
  auto* bar = new QHBoxLayout;
  bar->setContentsMargins(2, 0, 2, 0);
  bar->addWidget(label);
  bar->addWidget(what_);
  bar->addStretch(1);
  auto* grid = new QGridLayout(this);
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setSpacing(6);
  grid->addLayout(bar, 0, 0, 1, 2);
  const QList<CurveChart*> charts = {cosine_, update_, rate_, time_};
  for (int i = 0; i < charts.size(); ++i) {
    grid->addWidget(charts[i], 1 + i / 2, i % 2);
    grid->setRowStretch(1 + i / 2, i < 2 ? 4 : 3);
    grid->setColumnStretch(i % 2, 1);
  }
  connect(what_, &QComboBox::currentIndexChanged, this, [charts] {
    for (CurveChart* chart : charts) {
      chart->refresh();
    }
  });
}

void ShadowSection::setRun(session::RunSession* run) {
  run_ = run;
  refreshChoices();
  setSources();
}

void ShadowSection::refreshChoices() {
  if (!run_) {
    return;
  }
  QList<std::pair<QString, QString>> items;
  for (const QString& label : shadowLabels(*run_)) {
    items.append({tr("%1, every module").arg(label), kShadow + label});
  }
  for (const QString& module : items.isEmpty() ? QStringList() : run_->info().modules) {
    items.append({tr("every shadow, %1").arg(module), kModule + module});
  }
  bool same = items.size() == what_->count();
  for (int i = 0; same && i < items.size(); ++i) {
    same = what_->itemData(i).toString() == items[i].second;
  }
  if (same) {
    return;
  }
  const QSignalBlocker quiet(what_);
  const QVariant chosen = what_->currentData();
  what_->clear();
  for (const auto& [text, value] : items) {
    what_->addItem(text, value);
  }
  what_->setCurrentIndex(std::max(0, what_->findData(chosen)));
}

QList<SeriesChoice> ShadowSection::choices(const QString& quantity, bool withReal) const {
  QList<SeriesChoice> list;
  const QString what = what_->currentData().toString();
  const auto add = [&](const QString& series, const QString& label, int colour) {
    if (run_->hasSeries(series)) {
      list.append({series, label, colour});
    }
  };
  const auto name = [&](const QString& label, const QString& module) {
    return kShadow + label + QLatin1Char('/') + quantity + QLatin1Char('/') + module;
  };
  const QString chosen = what.section(QLatin1Char('/'), 1);
  if (what.startsWith(kShadow)) {
    const QStringList modules = run_->info().modules;
    for (int m = 0; m < modules.size(); ++m) {
      add(name(chosen, modules[m]), modules[m], m);
    }
    return list;
  }
  if (withReal) {
    add(quantity + QLatin1Char('/') + chosen, tr("real"), 0);
  }
  const QStringList labels = shadowLabels(*run_);
  for (int i = 0; i < labels.size(); ++i) {
    add(name(labels[i], chosen), labels[i], i + 1);
  }
  return list;
}

void ShadowSection::setSources() {
  if (!run_) {
    return;
  }
  const auto use = [this](CurveChart* chart, const QString& quantity, bool withReal) {
    const auto chosen = [this, quantity, withReal] {
      return run_ ? choices(quantity, withReal) : QList<SeriesChoice>();
    };
    chart->setSource(runSource(run_, chosen), runSamples(run_, chosen));
  };
  use(cosine_, QStringLiteral("cos"), false);
  use(update_, QStringLiteral("update_norm"), true);
  use(rate_, QStringLiteral("lr_eff"), true);
  const auto time = fixedChoices(run_, {{QStringLiteral("shadow_ms"), tr("all shadows"), 0}});
  time_->setSource(runSource(run_, time), runSamples(run_, time));
}

void ShadowSection::setEmptyText(const QString& text) {
  for (CurveChart* chart : {cosine_, update_, rate_, time_}) {
    chart->setEmptyText(text);
  }
}

}  // namespace batchscope::views
