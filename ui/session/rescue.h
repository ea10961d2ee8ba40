#pragma once

#include "ui/session/fork_form.h"
#include "ui/session/run_session.h"

namespace batchscope::session {

/// A way out of a divergence: a child of the run that goes on from before its first abnormal
/// update.
struct Rescue {
  QString title;          // "lr ½"
  std::int64_t step = 0;  // of the newest state saved before it; 0: the run's start
  ForkChildRow child;
  /// From the first update on: a ramp from the rate that diverged would diverge again.
  QString lrMapping = QStringLiteral("target_now");
};

/// The first abnormal update of a divergence; -1: the event is no divergence.
std::int64_t firstAbnormalStep(const EventItem& event);
/// Half the learning rate, gradients clipped at 1 and LAMB, as far as the run has them not already.
QList<Rescue> rescuesFrom(const RunSession& run, const EventItem& divergence);

}  // namespace batchscope::session
