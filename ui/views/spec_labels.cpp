#include "ui/views/spec_labels.h"

#include "ui/views/spec_form_view.h"

#include <QHash>

namespace batchscope::views {

namespace {

QString tr(const char* text) {
  return SpecFormView::tr(text);
}

}  // namespace

QString sectionTitle(const QString& section) {
  static const QHash<QString, QString> titles = {
      {QStringLiteral("run"), tr("Run")},
      {QStringLiteral("data"), tr("Data")},
      {QStringLiteral("model"), tr("Model")},
      {QStringLiteral("batch"), tr("Batch and simulation")},
      {QStringLiteral("optim"), tr("Optimizer")},
      {QStringLiteral("schedule"), tr("Schedule")},
      {QStringLiteral("precision"), tr("Precision")},
      {QStringLiteral("eval"), tr("Evaluation")},
      {QStringLiteral("checkpoint"), tr("Checkpoints")},
      {QStringLiteral("distributed"), tr("Ranks")},
      {QStringLiteral("telemetry"), tr("Telemetry")},
      {QStringLiteral("guard"), tr("Guard")}};
  return titles.value(section, section);
}

QString labelOfKey(const QString& key) {
  static const QHash<QString, QString> labels = {
      {QStringLiteral("run.name"), tr("Name")},
      {QStringLiteral("run.seed"), tr("Seed")},
      {QStringLiteral("data.kind"), tr("Kind")},
      {QStringLiteral("data.annotations"), tr("Annotations")},
      {QStringLiteral("data.images"), tr("Pictures")},
      {QStringLiteral("data.val_annotations"), tr("Val annotations")},
      {QStringLiteral("data.val_images"), tr("Val pictures")},
      {QStringLiteral("data.min_size"), tr("Short side, px")},
      {QStringLiteral("data.flip"), tr("Share flipped")},
      {QStringLiteral("model.name"), tr("Detector")},
      {QStringLiteral("model.norm"), tr("Normalisation")},
      {QStringLiteral("model.weights"), tr("Start weights")},
      {QStringLiteral("batch.micro"), tr("Pictures a pass")},
      {QStringLiteral("batch.accumulation"), tr("Passes a step")},
      {QStringLiteral("batch.ranks"), tr("Ranks (processes)")},
      {QStringLiteral("optim.name"), tr("Method")},
      {QStringLiteral("optim.lr"), tr("Learning rate")},
      {QStringLiteral("optim.lr_rule"), tr("Rate and batch")},
      {QStringLiteral("optim.base_batch"), tr("Base batch")},
      {QStringLiteral("optim.weight_decay"), tr("Weight decay")},
      {QStringLiteral("optim.clip_norm"), tr("Clip norm")},
      {QStringLiteral("optim.agvm.enabled"), tr("AGVM")},
      {QStringLiteral("optim.agvm.interval"), tr("AGVM every, steps")},
      {QStringLiteral("schedule.epochs"), tr("Length in epochs")},
      {QStringLiteral("schedule.steps"), tr("… or in steps")},
      {QStringLiteral("schedule.images"), tr("… or in pictures")},
      {QStringLiteral("eval.every_steps"), tr("Evaluate every, steps")},
      {QStringLiteral("eval.target.metric"), tr("Target metric")},
      {QStringLiteral("eval.target.value"), tr("Target value")},
      {QStringLiteral("checkpoint.every_steps"), tr("Save every, steps")}};
  if (QString label = labels.value(key); !label.isEmpty()) {
    return label;
  }
  QString label = key.section(QLatin1Char('.'), 1);
  label.replace(QLatin1Char('_'), QLatin1Char(' '));
  return label.replace(QLatin1Char('.'), QStringLiteral(" · "));
}

}  // namespace batchscope::views
