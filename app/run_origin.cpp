#include "app/run_origin.h"

#include "engine/contract/error.h"
#include "storage/run_files.h"
#include "storage/run_reader.h"

#include <algorithm>
#include <map>
#include <optional>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;
using storage::StoredEvent;

constexpr std::int64_t kAll = std::numeric_limits<std::int64_t>::max();

/// A segment of the live line, and where the next one leaves it.
struct Link {
  contract::SegmentRecord segment;
  std::int64_t end = kAll;        // its last step that counts
  std::int64_t end_event = kAll;  // events at that step count up to this one
};

bool changes_training(const std::string& kind) {
  return kind == "lr" || kind == "accumulation" || kind == "end" || kind == "optimizer";
}

/// What is needed of a run's record, read once.
class Line {
 public:
  explicit Line(const fs::path& path) : reader_(path), folder_(storage::folder_of_run(path)) {
    events_ = reader_.events(0);
    const std::vector<contract::SegmentRecord> segments = reader_.segments();
    const auto newest =
        std::max_element(segments.begin(), segments.end(), [](const auto& a, const auto& b) {
          return a.segment < b.segment;
        });
    if (newest == segments.end()) {
      return;
    }
    Link link{*newest, newest->abandoned_after >= 0 ? newest->abandoned_after : kAll, kAll};
    while (links_.size() < segments.size()) {
      links_.push_back(link);
      const std::int64_t parent = link.segment.parent;
      const auto found = std::find_if(segments.begin(), segments.end(), [&](const auto& record) {
        return record.segment == parent;
      });
      if (found == segments.end()) {
        break;
      }
      link = {*found,
              std::min(link.segment.start_step, link.end),
              link.segment.reason == "undo" ? undone_from(link.segment) : kAll};
    }
    std::reverse(links_.begin(), links_.end());
  }

  storage::RunReader& reader() { return reader_; }
  const std::vector<StoredEvent>& events() const { return events_; }

  /// True for what belongs to the live line; event: its id, 0 for a row.
  bool holds(std::int64_t segment, std::int64_t step, std::int64_t event) const {
    return std::any_of(links_.begin(), links_.end(), [&](const Link& link) {
      return link.segment.segment == segment && link.segment.start_step <= step &&
             (step < link.end || (step == link.end && event <= link.end_event));
    });
  }

  /// A saved state on the line; anchor: the newest event that it knows of.
  struct State {
    contract::CheckpointRecord record;
    std::int64_t anchor = 0;
  };
  std::vector<State> states() {
    std::vector<State> found;
    for (const contract::CheckpointRecord& record : reader_.checkpoints()) {
      const std::int64_t anchor = anchor_of(record);
      if (!folder_.empty() && holds(record.segment, record.step, anchor) &&
          fs::exists(folder_ / record.file)) {
        found.push_back({record, anchor});
      }
    }
    return found;
  }

  struct Rows {
    std::int64_t last_step = 0, last_segment = 0;
    std::map<std::int64_t, double> losses, seconds;  // by step
  };
  /// Rows with first <= step <= last; the newest of the line in any case.
  Rows rows(std::int64_t first, std::int64_t last) {
    storage::RowAxis axis;
    reader_.read_axis(0, axis);
    Rows rows;
    std::map<std::int64_t, std::int64_t> step_of;
    for (std::size_t i = 0; i < axis.seq.size(); ++i) {
      if (!holds(axis.segment[i], axis.step[i], 0)) {
        continue;
      }
      if (axis.step[i] >= rows.last_step) {
        rows.last_step = axis.step[i];
        rows.last_segment = axis.segment[i];
      }
      if (axis.step[i] >= first && axis.step[i] <= last) {
        step_of[axis.seq[i]] = axis.step[i];
        rows.seconds[axis.step[i]] = axis.seconds[i];
      }
    }
    const std::vector<contract::SeriesInfo> series = reader_.series();
    for (std::size_t i = 0; i < series.size() && !step_of.empty(); ++i) {
      if (series[i].name == "loss") {
        storage::SeriesSamples samples;
        reader_.read_series(static_cast<std::int32_t>(i), 0, samples);
        for (std::size_t k = 0; k < samples.seq.size(); ++k) {
          if (const auto at = step_of.find(samples.seq[k]); at != step_of.end()) {
            rows.losses[at->second] = samples.value[k];
          }
        }
      }
    }
    return rows;
  }

  std::int64_t segment_at(std::int64_t step) const {
    for (const Link& link : links_) {
      if (link.segment.start_step <= step && step <= link.end) {
        return link.segment.segment;
      }
    }
    return 0;
  }

 private:
  /// The restore point that an undo went back to: what its segment did at that step from there on
  /// is undone.
  std::int64_t undone_from(const contract::SegmentRecord& undo) const {
    std::string file, change;
    for (const StoredEvent& event : events_) {
      if (event.record.kind == "undo" && event.record.segment == undo.segment) {
        const auto& args = event.record.args;
        file = args.contains("file") ? args.at("file") : "";
        change = args.contains("change") ? args.at("change") : "";
        break;
      }
    }
    std::int64_t id = kAll;
    for (const StoredEvent& event : events_) {
      const contract::EventRecord& record = event.record;
      if (record.kind != "restore_point" || record.segment != undo.parent ||
          record.step != undo.start_step) {
        continue;
      }
      const bool same = file.empty()
                            ? record.text.find('"' + change + '"') != std::string::npos
                            : record.args.contains("file") && record.args.at("file") == file;
      id = same ? event.id : id;
    }
    return id;
  }

  std::int64_t anchor_of(const contract::CheckpointRecord& state) const {
    std::int64_t last = 0;
    for (const StoredEvent& event : events_) {
      const contract::EventRecord& record = event.record;
      const bool names = record.args.contains("file") && record.args.at("file") == state.file;
      if (names && (record.kind == "restore_point" || record.kind == "checkpoint")) {
        return event.id;
      }
      if (record.segment == state.segment && record.step <= state.step) {
        last = event.id;
      }
    }
    return last;
  }

  storage::RunReader reader_;
  fs::path folder_;
  std::vector<StoredEvent> events_;
  std::vector<Link> links_;
};

/// Accumulation on `ranks` ranks that gives the batch of the event, which may have had others.
/// Throws contract::SpecError where there is none.
std::int64_t accumulation_on(std::int64_t ranks, const contract::EventRecord& event) {
  const auto number = [&](const char* key, std::int64_t missing) {
    const auto found = event.args.find(key);
    return found == event.args.end() ? missing : std::stoll(found->second);
  };
  const std::int64_t value = number("value", 1), own = number("new_ranks", ranks);
  if (value * own % ranks != 0) {
    throw contract::SpecError("batch.ranks",
                              "From step " + std::to_string(event.step) + " on the run had " +
                                  std::to_string(value * own) + " micro-batches an update on " +
                                  std::to_string(own) + " ranks: " + std::to_string(ranks) +
                                  " ranks, which it began with, cannot repeat that.");
  }
  return value * own / ranks;
}

/// The command that an event tells of, or nothing; of a run that began on `ranks` ranks.
std::optional<contract::CommandBody> command_of(const contract::EventRecord& event,
                                                std::int64_t ranks) {
  if (!changes_training(event.kind)) {
    return std::nullopt;
  }
  if (event.kind == "accumulation") {
    return contract::AccumulationCommand{accumulation_on(ranks, event)};
  }
  std::map<std::string, std::string> args;
  for (const auto& [key, value] : event.args) {
    const bool outcome =
        key == "old" || key == "new" || key.starts_with("old_") || key.starts_with("new_");
    if (!outcome) {
      args[key] = value;
    }
  }
  return contract::make_command(event.kind, args);
}

/// What a change leaves in the spec, as far as its event tells.
void adopt(contract::RunSpec& spec, const contract::EventRecord& event) {
  const auto value = [&](const char* key) {
    const auto found = event.args.find(key);
    return found == event.args.end() ? std::string() : found->second;
  };
  const auto set = [&](const char* key, const std::string& text) {
    if (!text.empty()) {
      contract::set_value(spec, key, text);
    }
  };
  if (event.kind == "lr") {
    set("optim.lr", value("value"));
    spec.optim.lr_rule = "none";
  } else if (event.kind == "accumulation") {
    spec.batch.accumulation = accumulation_on(spec.batch.ranks, event);
  } else if (event.kind == "end") {
    spec.schedule.epochs.reset();
    spec.schedule.images.reset();
    set("schedule.steps", value("step"));
  } else if (event.kind == "optimizer") {
    set("optim.name", value("name"));
    set("optim.lr", value("new_lr"));
    set("optim.weight_decay", value("new_weight_decay"));
    if (const std::string agvm = value("agvm"); !agvm.empty()) {
      spec.optim.agvm.enabled = agvm == "on" || agvm == "true";
    }
    for (const auto& [key, text] : event.args) {
      if (key.starts_with("optim.")) {
        contract::set_value(spec, key, text);
      }
    }
  }
}

std::string list_of(const std::vector<std::int64_t>& steps) {
  std::string text;
  for (const std::int64_t step : steps) {
    text += (text.empty() ? "" : ", ") + std::to_string(step);
  }
  return text.empty() ? "none" : text;
}

std::vector<std::int64_t> steps_of(const std::vector<Line::State>& states) {
  std::vector<std::int64_t> steps;
  steps.reserve(states.size());
  for (const Line::State& state : states) {
    steps.push_back(state.record.step);
  }
  std::sort(steps.begin(), steps.end());
  steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  return steps;
}

/// At the step itself the state before every change there; before it the newest.
std::optional<Line::State> best_state(const std::vector<Line::State>& states,
                                      std::int64_t step,
                                      const std::string& file) {
  std::optional<Line::State> best;
  for (const Line::State& state : states) {
    if (state.record.step > step || (!file.empty() && state.record.file != file)) {
      continue;
    }
    const bool later = !best || state.record.step > best->record.step;
    const bool same = best && state.record.step == best->record.step;
    const bool better = state.record.step == step ? best && state.anchor < best->anchor
                                                  : best && state.anchor > best->anchor;
    if (later || (same && better)) {
      best = state;
    }
  }
  return best;
}

}  // namespace

std::vector<std::int64_t> saved_steps(const fs::path& run) {
  Line line(run);
  return steps_of(line.states());
}

std::int64_t last_live_step(const fs::path& run) {
  return Line(run).rows(1, 0).last_step;
}

RunOrigin find_origin(const fs::path& run, std::int64_t step, const std::string& file) {
  Line line(run);
  const std::vector<Line::State> states = line.states();
  const std::optional<Line::State> state = best_state(states, step, file);
  const std::int64_t from = state ? state->record.step : 0;
  const Line::Rows rows = line.rows(from + 1, step);
  const std::int64_t reached = std::max(rows.last_step, from);
  if (step < 0 || step > reached) {
    throw contract::SpecError("--at",
                              "--at " + std::to_string(step) + ": the run reaches from step 0 to " +
                                  std::to_string(reached) + "; its state is saved at steps " +
                                  list_of(steps_of(states)) + ".");
  }
  RunOrigin origin;
  origin.folder = run;
  origin.info = line.reader().info();
  if (!state && !origin.info.parent_run.empty() && origin.info.parent_step > 0) {
    throw contract::SpecError("--at",
                              "The run is a fork and has no saved state at or before step " +
                                  std::to_string(step) +
                                  "; steps with one: " + list_of(steps_of(states)) + ".");
  }
  origin.spec = contract::parse_spec(origin.info.spec_toml);
  origin.step = step;
  origin.segment = line.segment_at(step);
  origin.file = state ? state->record.file : "";
  origin.file_step = from;
  const std::int64_t anchor = state ? state->anchor : 0;
  for (const StoredEvent& event : line.events()) {
    const contract::EventRecord& record = event.record;
    const bool known = event.id <= anchor;
    if (!line.holds(record.segment, record.step, event.id) || (!known && record.step >= step)) {
      continue;
    }
    adopt(origin.spec, record);
    if (!known && record.source == "user") {
      if (auto command = command_of(record, origin.spec.batch.ranks)) {
        origin.changes.push_back({record.step, std::move(*command)});
      }
    }
  }
  for (const auto& [at, loss] : rows.losses) {
    origin.losses.push_back(loss);
  }
  if (static_cast<std::int64_t>(origin.losses.size()) != step - from) {
    origin.losses.clear();
  }
  if (const auto at = rows.seconds.find(step); at != rows.seconds.end()) {
    origin.seconds = at->second;
  }
  return origin;
}

contract::RunSpec spec_with_changes(const fs::path& run) {
  Line line(run);
  contract::RunSpec spec = contract::parse_spec(line.reader().info().spec_toml);
  for (const StoredEvent& event : line.events()) {
    const contract::EventRecord& record = event.record;
    if (record.source != "user" || !line.holds(record.segment, record.step, event.id)) {
      continue;
    }
    if (auto command = command_of(record, spec.batch.ranks)) {
      spec.events.push_back({record.step, std::move(*command)});
    }
  }
  // At one step the spec's own commands came first, as they do in a training.
  std::stable_sort(spec.events.begin(), spec.events.end(), [](const auto& a, const auto& b) {
    return a.step < b.step;
  });
  return spec;
}

}  // namespace batchscope::app
