#include "engine/train/number_text.h"
#include "engine/train/trainer.h"

#include <algorithm>

namespace batchscope::train {
namespace {

std::string label(const contract::RunSpec& spec) {
  return spec.optim.name + (spec.optim.agvm.enabled ? " + agvm" : "");
}

}  // namespace

contract::Reply Trainer::change_optimizer(const contract::OptimizerCommand& c,
                                          const std::string& source) {
  PlannedChange planned = updater_->plan_change(c);
  const OptimizerChange change = planned.change;
  const std::string table = describe(change, c);
  if (c.dry_run) {
    return done(table + describe(updater_->preview(std::move(planned), c)));
  }
  const contract::RunSpec old_spec = state_.spec;
  save_restore_point("optimizer " + label(change.spec));
  updater_->apply(std::move(planned), c);
  std::map<std::string, std::string> args = contract::command_args(c);
  args["old"] = label(old_spec);
  args["new"] = label(state_.spec);
  args["old_lr"] = number_text(change.lr_from);
  args["new_lr"] = number_text(change.lr_to);
  args["old_weight_decay"] = number_text(change.from.weight_decay);
  args["new_weight_decay"] = number_text(change.to.weight_decay);
  note("optimizer",
       source,
       "Optimizer " + label(old_spec) + " -> " + label(state_.spec) + ", learning rate " +
           number_text(change.lr_from) + " -> " + number_text(change.lr_to) + ", state " +
           contract::to_string(c.state) + ", " + contract::to_string(c.lr_mapping) + ".",
       args);
  return done(table);
}

contract::Reply Trainer::undo(const std::string& source) {
  if (state_.restore_points.empty()) {
    throw contract::SpecError("", "There is nothing to undo: no change was made.");
  }
  const RestorePoint point = state_.restore_points.back();
  const std::filesystem::path file = setup_.folder / point.file;
  const std::string bytes = read_on_rank_0(file);
  const std::int64_t from_step = state_.step, from_segment = state_.segment;
  const std::int64_t events_done = state_.events_done, serial = state_.restore_serial;
  const auto line = state_.segments;
  const auto checkpoints = state_.checkpoints;
  load(bytes, file.filename().string());
  state_.events_done = events_done;  // an undone script is not played again
  state_.restore_serial = serial;
  state_.checkpoints = checkpoints;
  // All that followed the restore point is abandoned, through every segment back to its own.
  for (contract::SegmentRecord segment : line) {
    const bool own = segment.segment == point.segment;
    const bool later = std::none_of(
        state_.segments.begin(), state_.segments.end(), [&](const contract::SegmentRecord& s) {
          return s.segment == segment.segment;
        });
    if (own || later) {
      segment.abandoned_after = own ? point.step : segment.start_step;
      if (setup_.sink != nullptr) {
        setup_.sink->segment(segment);
      }
    }
  }
  state_.segments.back().abandoned_after = point.step;
  open_segment(point.segment, "undo");
  loader_->cancel();
  announced_ = state_.images;
  guard_.forget();
  diverged_ = divergence_noted_ = false;
  evaluated_step_ = state_.metrics.empty() ? -1 : state_.step;
  note("undo",
       source,
       "Undid \"" + point.change + "\": back from step " + std::to_string(from_step) + " to step " +
           std::to_string(state_.step) + ".",
       {{"change", point.change},
        {"file", point.file},
        {"from_step", std::to_string(from_step)},
        {"from_segment", std::to_string(from_segment)},
        {"to_step", std::to_string(state_.step)}});
  save_checkpoint();
  return done("Undid \"" + point.change + "\".");
}

}  // namespace batchscope::train
