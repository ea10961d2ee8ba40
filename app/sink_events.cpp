#include "app/sink_events.h"

namespace batchscope::app {
namespace {

std::string plural(std::int64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

contract::EventRecord event_of(const std::string& kind, const std::string& text) {
  contract::EventRecord event;
  event.kind = kind;
  event.source = "engine";
  event.text = text;
  return event;
}

std::string text_of(const SinkLosses& losses) {
  const std::string rows = plural(losses.rows, "row");
  return losses.predictions == 0 ? rows : rows + " and " + plural(losses.predictions, "prediction");
}

std::string dropped_text(const SinkLosses& losses) {
  return text_of(losses) + (losses.rows + losses.predictions == 1 ? " was" : " were") + " dropped";
}

contract::EventRecord gap_event(std::int64_t seconds,
                                const std::string& reason,
                                const SinkLosses& losses) {
  const std::string time = seconds == 0 ? "less than a second" : plural(seconds, "second");
  contract::EventRecord event = event_of("telemetry_gap",
                                         "Telemetry could not be written for " + time + " (" +
                                             reason + "): " + dropped_text(losses) + ".");
  event.args = {{"rows", std::to_string(losses.rows)},
                {"predictions", std::to_string(losses.predictions)},
                {"seconds", std::to_string(seconds)},
                {"reason", reason}};
  return event;
}

contract::EventRecord loss_event(const std::string& sentence) {
  return event_of("error", "Telemetry was lost: " + sentence);
}

}  // namespace batchscope::app
