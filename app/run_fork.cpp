#include "app/run_fork.h"

#include "app/run_settings.h"
#include "app/small_json.h"
#include "engine/contract/error.h"
#include "storage/run_files.h"
#include "storage/run_reader.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <set>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kStateName = "checkpoints/parent.ckpt";

void check_sets(const std::vector<std::string>& sets) {
  static const std::set<std::string> kWords = {"state", "lr_mapping", "decay_mapping"};
  for (const std::string& text : sets) {
    const std::string key = text.substr(0, text.find('='));
    if (!kept_in_spec(key) && !changed_by_command(key) && !kWords.contains(key)) {
      std::string sentence = key;
      sentence.append(" cannot change in a fork, which goes on with its parent's weights and ")
          .append("pictures: use runs rerun --set ")
          .append(text)
          .append(".");
      throw contract::SpecError(key, sentence);
    }
    if (key == "batch.ranks") {
      throw contract::SpecError(key, "batch.ranks cannot change in a fork.");
    }
  }
}

/// The settings of a spec among them: all but the words of the command optimizer.
std::vector<std::string> spec_sets(const std::vector<std::string>& sets) {
  std::vector<std::string> kept;
  std::copy_if(sets.begin(), sets.end(), std::back_inserter(kept), [](const std::string& text) {
    return text.substr(0, text.find('=')).find('.') != std::string::npos;
  });
  return kept;
}

std::string name_of(const std::string& parent,
                    const std::vector<std::string>& sets,
                    const std::optional<std::int64_t>& seed,
                    const std::string& otherwise) {
  std::string what;
  for (const std::string& text : spec_sets(sets)) {
    const std::string key = text.substr(0, text.find('='));
    std::string value = text.substr(text.find('=') + 1);
    std::erase(value, '"');
    const std::string last = key.substr(key.rfind('.') + 1);
    what.append(what.empty() ? "" : ", ");
    what.append(key == "optim.name" ? "" : last + " ").append(value);
  }
  if (what.empty()) {
    what = otherwise;
  }
  if (seed) {
    what += ", seed " + std::to_string(*seed);
  }
  return parent + " · " + what;
}

json change_json(const contract::ScriptedEvent& event) {
  return {{"step", event.step},
          {"command", contract::command_name(event.command)},
          {"args", contract::command_args(event.command)}};
}

json number_or_null(double value) {
  return std::isfinite(value) ? json(value) : json(nullptr);
}

void write_json(const fs::path& path, const json& value) {
  storage::ReplacingFile file(path);
  file.write(value.dump());
  file.commit();
}

void write_note(const fs::path& folder, const RunOrigin& origin, const ForkChild& child) {
  json note = {{"parent", origin.info.id},
               {"rerun", false},
               {"step", origin.step},
               {"segment", origin.segment},
               {"seed", origin.spec.run.seed},
               {"seconds", origin.seconds},
               {"spec", origin.info.spec_toml},
               {"state", origin.file.empty() ? "" : kStateName},
               {"changes", json::array()},
               {"losses", json::array()},
               {"sets", child.sets}};
  for (const contract::ScriptedEvent& change : origin.changes) {
    note["changes"].push_back(change_json(change));
  }
  for (const double loss : origin.losses) {
    note["losses"].push_back(number_or_null(loss));
  }
  write_json(folder / kForkFile, note);
}

/// Saved states are never written to, only replaced: a second name for the file is as good as a
/// copy, and outlives the parent's own.
void take_state(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::create_hard_link(from, to, error);
  if (error) {
    error.clear();
    fs::copy_file(from, to, error);
  }
  if (error) {
    throw contract::StorageError("Could not copy " + from.string() + ": " + error.message() + ".");
  }
}

}  // namespace

std::vector<std::string> split_sets(const std::string& text) {
  std::vector<std::string> parts;
  std::string part;
  int depth = 0;
  bool quoted = false;
  for (const char c : text + ",") {
    quoted = quoted != (c == '"');
    depth += quoted ? 0 : (c == '[' || c == '{') - (c == ']' || c == '}');
    if (c == ',' && depth == 0 && !quoted) {
      const std::size_t first = part.find_first_not_of(' ');
      if (first != std::string::npos) {
        parts.push_back(part.substr(first));
      }
      part.clear();
    } else {
      part += c;
    }
  }
  for (const std::string& one : parts) {
    if (one.find('=') == std::string::npos || one.front() == '=') {
      throw contract::SpecError(
          one,
          "A child is key=value,key=value…, such as optim.name=lamb,optim.lr=0.01; found \"" + one +
              "\".");
    }
  }
  return parts;
}

PreparedRun prepare_fork(const fs::path& library, const RunOrigin& origin, const ForkChild& child) {
  check_sets(child.sets);
  contract::RunSpec spec = origin.spec;
  apply_sets(spec, spec_sets(child.sets));
  commands_for(child.sets);  // refuses what a command would
  if (child.seed) {
    spec.run.seed = *child.seed;
  }
  contract::validate(spec);
  const bool named = std::any_of(child.sets.begin(), child.sets.end(), [](const std::string& set) {
    return set.starts_with("run.name=");
  });
  if (!child.name.empty()) {
    spec.run.name = child.name;
  } else if (!named) {
    spec.run.name = name_of(child.family.empty() ? origin.info.name : child.family,
                            child.sets,
                            child.seed,
                            "as it was from " + std::to_string(origin.step));
  }
  PreparedRun run = make_run_folder(library, spec);
  try {
    if (!origin.file.empty()) {
      take_state(origin.folder / origin.file, run.folder / kStateName);
    }
    write_note(run.folder, origin, child);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(run.folder, ignored);
    throw;
  }
  return run;
}

PreparedRun prepare_rerun(const fs::path& library,
                          const fs::path& run,
                          const std::string& name,
                          const std::vector<std::string>& sets,
                          bool with_changes) {
  storage::RunReader reader(run);
  const contract::RunInfo info = reader.info();
  contract::RunSpec spec =
      with_changes ? spec_with_changes(run) : contract::parse_spec(info.spec_toml);
  apply_sets(spec, sets);
  contract::validate(spec);
  if (!name.empty()) {
    spec.run.name = name;
  } else if (std::none_of(sets.begin(), sets.end(), [](const std::string& set) {
               return set.starts_with("run.name=");
             })) {
    spec.run.name = name_of(info.name, sets, std::nullopt, "again");
  }
  PreparedRun again = make_run_folder(library, spec);
  write_json(again.folder / kForkFile, {{"parent", info.id}, {"rerun", true}});
  return again;
}

ForkNote note_of(const RunOrigin& origin) {
  ForkNote note;
  note.parent = origin.info.id;
  note.step = origin.step;
  note.segment = origin.segment;
  note.seed = origin.spec.run.seed;
  note.seconds = origin.seconds;
  note.spec = contract::parse_spec(origin.info.spec_toml);
  if (!origin.file.empty()) {
    note.state = fs::absolute(origin.folder) / origin.file;
  }
  note.changes = origin.changes;
  note.losses = origin.losses;
  return note;
}

std::optional<ForkNote> read_fork_note(const fs::path& folder) {
  const std::optional<SmallJson> read = SmallJson::read(folder / kForkFile);
  if (!read) {
    return std::nullopt;
  }
  ForkNote note;
  note.parent = read->text("parent");
  note.rerun = read->flag("rerun");
  if (note.rerun) {
    return note;
  }
  note.step = read->count("step");
  note.segment = read->count("segment");
  note.seed = read->integer("seed");
  note.seconds = read->number("seconds");
  note.sets = read->texts("sets");
  note.losses = read->numbers("losses");
  if (const std::string state = read->text("state"); !state.empty()) {
    if (state != kStateName) {  // once the child has states of its own, this one is removed
      read->refuse("its state is " + state + ", expected " + kStateName);
    }
    note.state = fs::absolute(folder) / state;
  }
  try {
    note.spec = contract::parse_spec(read->text("spec"));
    for (const SmallJson& change : read->objects("changes")) {
      note.changes.push_back(
          {change.count("step"),
           contract::make_command(change.text("command"), change.words("args"))});
    }
  } catch (const contract::SpecError& error) {
    read->refuse(error.what());
  }
  return note;
}

}  // namespace batchscope::app
