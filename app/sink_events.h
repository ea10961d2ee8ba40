#pragma once

#include "app/sink_queue.h"
#include "engine/contract/records.h"

#include <string>

namespace batchscope::app {

/// "3 rows", with the predictions where there are any.
std::string text_of(const SinkLosses& losses);
/// "3 rows were dropped".
std::string dropped_text(const SinkLosses& losses);

/// An event that the engine tells, without its place.
contract::EventRecord event_of(const std::string& kind, const std::string& text);
/// Telemetry is written again, after so many seconds.
contract::EventRecord gap_event(std::int64_t seconds,
                                const std::string& reason,
                                const SinkLosses& losses);
/// The record is closed in any case; this says that it has a gap.
contract::EventRecord loss_event(const std::string& sentence);

}  // namespace batchscope::app
