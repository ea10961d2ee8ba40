#include "ui/session/view_data.h"

#include <QLocale>

namespace batchscope::session {

QString SeriesView::provenance() const {
  QStringList notes;
  if (thinned)
    notes << QStringLiteral("%1 of %2 samples drawn")
                 .arg(QLocale().toString(static_cast<qlonglong>(drawn)),
                      QLocale().toString(static_cast<qlonglong>(samples)));
  if (smoothing > 0)
    notes << QStringLiteral("smoothed %1 (debiased exponential mean)")
                 .arg(QLocale().toString(smoothing, 'g', 3));
  if (nonFinite > 0)
    notes << QStringLiteral("%1 not finite").arg(nonFinite);
  return notes.join(QLatin1String(", "));
}

double EventItem::x(XKind kindOfAxis) const {
  if (kindOfAxis == XKind::kStep)
    return static_cast<double>(step);
  return kindOfAxis == XKind::kImages ? static_cast<double>(images) : seconds;
}

double EvalItem::x(XKind kindOfAxis) const {
  if (kindOfAxis == XKind::kStep)
    return static_cast<double>(step);
  return kindOfAxis == XKind::kImages ? static_cast<double>(images) : seconds;
}

bool StatusItem::isLive() const {
  switch (state) {
    case contract::RunState::kQueued:
    case contract::RunState::kStarting:
    case contract::RunState::kRunning:
    case contract::RunState::kPaused:
    case contract::RunState::kStopping:
      return true;
    default:
      return false;
  }
}

QString stateWord(contract::RunState state) {
  return QString::fromStdString(contract::to_string(state));
}

QString stateIcon(contract::RunState state) {
  return QStringLiteral("state-") + stateWord(state);
}

QString xKindName(XKind kind) {
  switch (kind) {
    case XKind::kStep:
      return QStringLiteral("step");
    case XKind::kImages:
      return QStringLiteral("images");
    case XKind::kSeconds:
      break;
  }
  return QStringLiteral("seconds");
}

QString xKindTitle(XKind kind) {
  switch (kind) {
    case XKind::kStep:
      return QStringLiteral("Step");
    case XKind::kImages:
      return QStringLiteral("Pictures");
    case XKind::kSeconds:
      break;
  }
  return QStringLiteral("Training time (s)");
}

QString effectiveBatchText(std::int64_t micro, std::int64_t accumulation, std::int64_t ranks) {
  const QChar times(0x00D7);
  return QStringLiteral("%1 %4 %2 %4 %3 = %5")
      .arg(micro)
      .arg(accumulation)
      .arg(ranks)
      .arg(times)
      .arg(micro * accumulation * ranks);
}

}  // namespace batchscope::session
