// The part of RunSession that moves the playhead.
#include "ui/session/playhead.h"
#include "ui/session/run_session.h"
#include "ui/session/run_store.h"

#include <algorithm>

namespace batchscope::session {

SampleItem RunSession::rowAtStep(std::int64_t step) const {
  return store_->rowItem(store_->liveRowOfStep(step, store_->rows()));
}

void RunSession::seekToStep(std::int64_t step) {
  if (const auto row = rowAtStep(step); row.valid)
    playhead_->seek(row.playSeconds);
}

void RunSession::seekToEvent(std::int64_t eventId) {
  for (const auto& event : events_)
    if (event.id == eventId)
      playhead_->seek(event.playSeconds);
}

void RunSession::seekRows(int rows) {
  const auto last = store_->rows() - 1;
  if (last < 0)
    return;
  const auto row = std::clamp<std::int64_t>(rowLimit() - 1 + rows, 0, last);
  playhead_->seek(store_->rowItem(row).playSeconds);
}

void RunSession::seekNextEvent(int direction) {
  const auto now = playhead_->position();
  const EventItem* best = nullptr;
  for (const auto& event : events_) {
    const bool ahead = direction > 0 ? event.playSeconds > now : event.playSeconds < now;
    const bool nearer = !best || (direction > 0 ? event.playSeconds < best->playSeconds
                                                : event.playSeconds >= best->playSeconds);
    if (ahead && nearer)
      best = &event;
  }
  if (best)
    playhead_->seek(best->playSeconds);
}

}  // namespace batchscope::session
