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

/// All that followed the restore point is abandoned, through every segment back to its own.
void Trainer::abandon_after(const RestorePoint& point,
                            const std::vector<contract::SegmentRecord>& line) {
  for (contract::SegmentRecord segment : line) {
    const bool own = segment.segment == point.segment;
    const bool later = std::none_of(
        state_.segments.begin(), state_.segments.end(), [&](const contract::SegmentRecord& s) {
          return s.segment == segment.segment;
        });
    if (own || later) {
      segment.abandoned_after = own ? point.step : segment.start_step;
      record_.segment(segment);
    }
  }
  state_.segments.back().abandoned_after = point.step;
}

contract::Reply Trainer::undo(const std::string& source) {
  // The list is rank 0's.
  const std::string found = setup_.group->broadcast_bytes(
      state_.restore_points.empty() ? "" : to_words(state_.restore_points.back()), 0);
  if (found.empty()) {
    throw contract::SpecError("", "There is nothing to undo: no change was made.");
  }
  const RestorePoint point = restore_point_from_words(found);
  const std::filesystem::path file = setup_.folder / point.file;
  const std::string bytes = read_on_rank_0(file);
  const TrainingState before = state_;
  load(bytes, file.filename().string());
  // What belongs to the process, or to what is on the disk, is not undone; nor is a script played
  // again.
  state_.events_done = before.events_done;
  state_.restore_serial = before.restore_serial;
  state_.checkpoints = before.checkpoints;
  state_.restore_points = before.restore_points;
  const contract::BatchSection saved = state_.spec.batch;
  adopt_settings(before.spec);
  if (state_.spec.batch.ranks != saved.ranks) {
    keep_effective_batch(saved);
  }
  abandon_after(point, before.segments);
  record_.open_segment(point.segment, "undo");
  loader_->cancel();
  announced_ = state_.images;
  guard_.forget();
  diverged_ = divergence_noted_ = false;
  whole_ = true;
  note("undo",
       source,
       "Undid \"" + point.change + "\": back from step " + std::to_string(before.step) +
           " to step " + std::to_string(state_.step) + ".",
       {{"change", point.change},
        {"file", point.file},
        {"from_step", std::to_string(before.step)},
        {"from_segment", std::to_string(before.segment)},
        {"to_step", std::to_string(state_.step)}});
  note_ranks();
  store_.touch();
  keep_undone(point);
  return done("Undid \"" + point.change + "\".");
}

/// The undo has happened, whether its state can be saved or not. The file that it came from goes
/// when there is another.
void Trainer::keep_undone(const RestorePoint& point) {
  if (store_.save_if_possible()) {
    store_.drop_restore_point(point.file);
  } else {
    std::erase(state_.restore_points, point);
  }
}

}  // namespace batchscope::train
