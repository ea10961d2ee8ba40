#include "ui/session/playhead_status.h"

#include "engine/contract/run_spec.h"
#include "ui/session/convert.h"

#include <algorithm>

namespace batchscope::session {

namespace {

double numberOf(const EventItem& event, const char* name, double otherwise) {
  bool ok = false;
  const double value = event.args.value(QLatin1String(name)).toDouble(&ok);
  return ok ? value : otherwise;
}

std::int64_t countOf(const EventItem& event, const char* name, std::int64_t otherwise) {
  bool ok = false;
  const auto value = event.args.value(QLatin1String(name)).toLongLong(&ok);
  return ok ? value : otherwise;
}

void takeOptimizer(StatusItem& status, const EventItem& event) {
  const QString now = event.args.value(QStringLiteral("new"));
  if (!now.isEmpty()) {
    status.agvm = now.contains(QLatin1String("agvm"));
    status.optimizer = now;
  }
  status.lr = numberOf(event, "new_lr", status.lr);
}

void takeBatch(StatusItem& status, const EventItem& event, std::int64_t totalImages) {
  status.accumulation = countOf(event, "value", status.accumulation);
  status.lr = numberOf(event, "new_lr", status.lr);
  // The planned pictures stay: the steps to come hold more or fewer of them.
  const auto batch = status.effectiveBatch();
  if (batch > 0 && totalImages > event.images)
    status.steps = event.step + (totalImages - event.images + batch - 1) / batch;
}

}  // namespace

StatusItem startOf(const RunItem& info) {
  StatusItem status;
  status.steps = info.steps;
  status.totalImages = info.totalImages;
  contract::RunSpec spec;
  try {
    spec = contract::parse_spec(info.specToml.toStdString());
  } catch (const std::exception&) {
    return status;  // of a newer version: its settings are not guessed at
  }
  status.agvm = spec.optim.agvm.enabled;
  status.optimizer = optimizerText(fromStd(spec.optim.name), status.agvm);
  status.micro = spec.batch.micro;
  status.accumulation = spec.batch.accumulation;
  status.ranks = spec.batch.ranks;
  try {
    status.lr = contract::resolve(spec, std::max<std::int64_t>(1, info.totalImages)).lr;
  } catch (const std::exception&) {
    status.lr = spec.optim.lr;
  }
  return status;
}

StatusItem inForce(StatusItem start, const QList<EventItem>& events, std::int64_t totalImages) {
  for (const auto& event : events) {
    if (event.abandoned)
      continue;
    if (event.kind == QLatin1String("optimizer"))
      takeOptimizer(start, event);
    else if (event.kind == QLatin1String("lr"))
      start.lr = numberOf(event, "value", start.lr);
    else if (event.kind == QLatin1String("accumulation"))
      takeBatch(start, event, totalImages);
    else if (event.kind == QLatin1String("end"))
      start.steps = countOf(event, "step", start.steps);
  }
  return start;
}

}  // namespace batchscope::session
