#include "app/fork_point.h"

namespace batchscope::app {

train::ResumePoint fork_point(const ForkNote& note) {
  train::ForkStart start;
  start.step = note.step;
  start.changes = note.changes;
  start.losses = note.losses;
  start.seed = note.seed;
  start.seconds = note.seconds;
  start.args = {{"parent", note.parent},
                {"parent_step", std::to_string(note.step)},
                {"parent_segment", std::to_string(note.segment)}};
  if (note.state.empty()) {
    start.spec = note.spec;
  }
  train::ResumePoint point;
  point.checkpoint = note.state;
  point.text =
      "Goes on from run " + note.parent + " after its update " + std::to_string(note.step) + ".";
  point.fork = start;
  return point;
}

}  // namespace batchscope::app
