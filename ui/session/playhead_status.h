#pragma once

#include "ui/session/view_data.h"

namespace batchscope::session {

/// What a run began with, from its spec: optimizer, base rate, batch and length.
StatusItem startOf(const RunItem& info);
/// What was in force after these events (in order; abandoned ones are passed over), from `start`.
StatusItem inForce(StatusItem start, const QList<EventItem>& events, std::int64_t totalImages);

}  // namespace batchscope::session
