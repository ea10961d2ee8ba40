// The part of OptimizerPanel that knows the keys of [optim]: its parameters and its shadows.
#include "ui/views/optimizer_panel.h"
#include "ui/views/widgets.h"

#include <QCheckBox>
#include <QComboBox>
#include <QFormLayout>
#include <QLineEdit>

#include <algorithm>

namespace batchscope::views {

namespace {

/// Parameters that a method shows, without "optim."; a person sees the keys' own names. Those after
/// the common ones only when all are asked for.
QStringList parameterKeys(const QString& method, bool agvm, bool all) {
  const bool momentum = method == QLatin1String("sgd") || method == QLatin1String("lars");
  const bool lars = method == QLatin1String("lars"), pmd = method == QLatin1String("pmd_lamb");
  const bool lamb = pmd || method == QLatin1String("lamb");
  QString keys = momentum ? QStringLiteral("momentum ") : QStringLiteral("betas eps ");
  const auto add = [&](bool shown, const char* names) {
    keys += shown ? QLatin1String(names) + QLatin1Char(' ') : QString();
  };
  add(all && momentum, "dampening nesterov");
  add(all && lars, "eps");
  add(true, "weight_decay clip_norm");
  add(all, "clip_form");
  add(lars, "lars.trust_coefficient");
  add(all && lars,
      "lars.form lars.clip lars.exclude_1d lars.decay_in_ratio lars.always_adapt "
      "lars.compat_ratio1 "
      "lars.compat_untouched");
  add(lamb, "lamb.trust_max");
  add(all && lamb,
      "lamb.trust_min lamb.trust_clamp lamb.exclude_1d lamb.always_adapt lamb.bias_correction "
      "lamb.folded_bias lamb.grad_averaging lamb.decay lamb.skip_dead");
  add(pmd, "pmd.period pmd.curve pmd.variant");
  add(all && pmd, "pmd.hit_zero pmd.start");
  add(agvm, "agvm.interval agvm.alpha");
  add(all && agvm, "agvm.anchor agvm.clamp agvm.start agvm.stop agvm.interleave");
  return keys.split(QLatin1Char(' '), Qt::SkipEmptyParts);
}

}  // namespace

void OptimizerPanel::followSpec() {
  QList<session::EventItem> changes;
  QString text = run_->info().specToml;
  // What a change would leave as it is are the settings of now, wherever the playhead is.
  for (const session::EventItem& event : run_->canControl() ? run_->allEvents() : run_->events()) {
    if (event.kind == QLatin1String("optimizer") && !event.abandoned) {
      changes.append(event);
      text += QStringLiteral("\n# %1").arg(event.id);
    }
  }
  if (text == specText_) {
    return;
  }
  specText_ = text;
  spec_.loadToml(run_->info().specToml);
  for (const session::EventItem& event : std::as_const(changes)) {
    for (auto it = event.args.cbegin(); it != event.args.cend(); ++it) {
      if (it.key().startsWith(QLatin1String("optim."))) {
        spec_.setValue(it.key(), it.value());
      }
    }
    const QString decay = event.args.value(QStringLiteral("new_weight_decay"));
    if (!decay.isEmpty()) {
      spec_.setValue(QStringLiteral("optim.weight_decay"), decay);
    }
  }
  showParameters();
}

void OptimizerPanel::showParameters() {
  QHash<QString, QString> typed;
  for (auto it = inputs_.cbegin(); it != inputs_.cend(); ++it) {
    typed.insert(it.key(), inputText(it.value()));
  }
  while (parameters_->rowCount() > 0) {
    parameters_->removeRow(0);
  }
  inputs_.clear();
  const QString method = method_->currentData().toString();
  for (const QString& name : parameterKeys(method, agvm_->isChecked(), all_->isChecked())) {
    const QString key = QStringLiteral("optim.") + name;
    addParameter(key);
    setInput(inputs_[key], typed.value(key));
  }
}

void OptimizerPanel::addParameter(const QString& key) {
  const session::SpecField field = spec_.field(key);
  const QString now = spec_.value(key);
  const auto edited = [this](QWidget* input) {
    setStyleProperty(input, "invalid", false);
    touched_ = true;
    refresh();
  };
  QWidget* input = nullptr;
  if (field.choices.isEmpty()) {
    auto* edit = new QLineEdit(parameterBox_);
    edit->setPlaceholderText(now.isEmpty() ? tr("derived") : now);
    connect(edit, &QLineEdit::textEdited, this, [edited, edit] { edited(edit); });
    input = edit;
  } else {
    // The first item leaves the value as it is; the others carry theirs.
    auto* box = new QComboBox(parameterBox_);
    box->addItem(now.isEmpty() ? tr("derived") : now);
    for (const QString& choice : field.choices) {
      if (choice != now) {
        box->addItem(choice, choice);
      }
    }
    box->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
    box->setMinimumContentsLength(9);
    connect(box, &QComboBox::activated, this, [edited, box] { edited(box); });
    input = box;
  }
  input->setToolTip(QStringLiteral("%1\n%2 %3").arg(field.help, key, field.range).trimmed());
  input->setAccessibleName(key);
  inputs_.insert(key, input);
  parameters_->addRow(key.section(QLatin1Char('.'), 1), input);
}

QString OptimizerPanel::inputText(const QWidget* input) {
  if (const auto* box = qobject_cast<const QComboBox*>(input)) {
    return box->currentData().toString();
  }
  return static_cast<const QLineEdit*>(input)->text().trimmed();
}

void OptimizerPanel::setInput(QWidget* input, const QString& text) {
  if (auto* box = qobject_cast<QComboBox*>(input)) {
    box->setCurrentIndex(text.isEmpty() ? 0 : std::max(0, box->findData(text)));
  } else {
    static_cast<QLineEdit*>(input)->setText(text);
  }
}

QStringList OptimizerPanel::shadows() const {
  QStringList labels;
  for (const contract::ShadowSpec& shadow : spec_.spec().optim.shadow) {
    labels.append(QString::fromStdString(shadow.label));
  }
  for (const session::EventItem& event : run_ ? run_->events() : QList<session::EventItem>()) {
    const QString action = event.args.value(QStringLiteral("action"));
    if (event.kind != QLatin1String("shadow") || event.abandoned || action.isEmpty()) {
      continue;
    }
    const QString label = event.args.value(QStringLiteral("label"));
    labels.removeAll(label);
    if (action == QLatin1String("add")) {
      labels.append(label);
    }
  }
  return labels;
}

}  // namespace batchscope::views
