#include "ui/session/rescue.h"

#include "engine/contract/error.h"
#include "engine/contract/run_spec.h"

#include <algorithm>

namespace batchscope::session {

namespace {

constexpr double kClip = 1;
// An update of LAMB is about this part of the weights, whatever the gradients: no rate of another
// method tells it.
const QString kLambRate = QStringLiteral("0.02");

/// The clip norm of the run's start; 0: none.
double clipNorm(const RunSession& run) {
  try {
    return contract::parse_spec(run.info().specToml.toStdString()).optim.clip_norm;
  } catch (const contract::Error&) {
    return 0;
  }
}

}  // namespace

std::int64_t firstAbnormalStep(const EventItem& event) {
  bool known = false;
  const auto step = event.kind == QLatin1String("diverged")
                        ? event.args.value(QStringLiteral("first_step")).toLongLong(&known)
                        : -1;
  return known ? step : -1;
}

QList<Rescue> rescuesFrom(const RunSession& run, const EventItem& divergence) {
  QList<Rescue> rescues;
  const auto first = firstAbnormalStep(divergence);
  if (first < 0)
    return rescues;
  const auto from = std::max<std::int64_t>(0, run.savedStep(first - 1, false));
  const auto& status = run.status();
  if (status.lr > 0)
    rescues.append(
        {QStringLiteral("lr ½"), from, {{}, {}, QString::number(status.lr / 2, 'g', 12), {}, {}}});
  if (const auto clip = clipNorm(run); clip <= 0 || clip > kClip)
    rescues.append({QStringLiteral("clip 1.0"), from, {{}, {}, {}, QStringLiteral("1.0"), {}}});
  if (!status.optimizer.startsWith(QLatin1String("lamb")))
    rescues.append({QStringLiteral("LAMB"), from, {QStringLiteral("lamb"), {}, kLambRate, {}, {}}});
  return rescues;
}

}  // namespace batchscope::session
