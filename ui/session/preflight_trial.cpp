// The part of the preflight that tells what the engine found (StartTrial).
#include "ui/session/preflight_parts.h"

#include <algorithm>

namespace batchscope::session {

using Level = PreflightItem::Level;

namespace {

PreflightItem* find(QList<PreflightItem>& items, const char* id) {
  const auto at = std::find_if(items.begin(), items.end(), [id](const PreflightItem& entry) {
    return entry.id == QLatin1String(id);
  });
  return at == items.end() ? nullptr : &*at;
}

QString dataText(const TrialResult& trial) {
  auto text =
      QStringLiteral("%1 pictures, %2 classes").arg(trial.pictures).arg(trial.things + trial.stuff);
  if (trial.stuff > 0)
    text += QStringLiteral(" (%1 of them pixels only)").arg(trial.stuff);
  return text + (trial.valPictures < 0
                     ? QStringLiteral("; none to evaluate on")
                     : QStringLiteral("; %1 to evaluate on").arg(trial.valPictures));
}

/// The line that a refusal belongs to.
const char* lineOf(const TrialResult& trial, const contract::RunSpec& spec) {
  const auto weights = QString::fromStdString(spec.model.weights);
  if (trial.field == QLatin1String("model.weights") ||
      (trial.field.isEmpty() && !weights.isEmpty() && trial.error.contains(weights)))
    return "weights";
  if (trial.field.startsWith(QLatin1String("model.")))
    return "model";
  if (trial.field == QLatin1String("--device"))
    return "device";
  return trial.field.isEmpty() || trial.field.startsWith(QLatin1String("data.")) ? "data" : "spec";
}

void addAnswer(QList<PreflightItem>& items,
               const contract::RunSpec& spec,
               const TrialResult& trial) {
  auto* data = find(items, "data");
  if (!trial.answered) {
    data->level = std::max(data->level, Level::kWarning);
    data->text += QStringLiteral("; not opened, for the engine gave no answer: ") + trial.error;
    return;
  }
  if (!trial.ok) {
    auto* line = find(items, lineOf(trial, spec));
    line->level = Level::kError;
    line->text = trial.error;
    line->field = trial.field;
    return;
  }
  data->text = dataText(trial);
  find(items, "model")->text += QStringLiteral(", %1 parameters").arg(trial.parameters);
  if (!trial.weights.isEmpty())
    find(items, "weights")->text = trial.weights;
  for (const auto& warning : trial.warnings)
    items.append(item("warning", Level::kWarning, QStringLiteral("Warning"), warning));
}

}  // namespace

void addTrial(QList<PreflightItem>& items,
              const contract::RunSpec& spec,
              const PreflightContext& context) {
  const auto at = std::find_if(items.begin(), items.end(), [](const PreflightItem& entry) {
    return entry.id == QLatin1String("weights");
  });
  items.insert(
      at - items.begin(),
      item("model", Level::kOk, QStringLiteral("Model"), QString::fromStdString(spec.model.name)));
  if (context.trial) {
    addAnswer(items, spec, *context.trial);
  } else if (context.trialRuns) {
    for (const char* id : {"data", "model", "weights"}) {
      if (auto* line = find(items, id); line->level == Level::kOk) {
        line->level = Level::kChecking;
        line->text += QStringLiteral(": the engine is looking at it");
      }
    }
  }
}

}  // namespace batchscope::session
