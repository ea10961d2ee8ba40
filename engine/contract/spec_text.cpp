#include "engine/contract/error.h"
#include "engine/contract/preset_texts.h"
#include "engine/contract/run_spec.h"
#include "engine/contract/spec_keys.h"

#include <algorithm>
#include <map>

namespace batchscope::contract {
namespace {

// An argument is written as a string: make_command reads text, so this round-trips for every type.
std::string event_toml(const ScriptedEvent& event) {
  std::string text = "\n[[events]]\nstep = " + std::to_string(event.step) +
                     "\ncommand = " + detail::quoted(command_name(event.command)) + "\n";
  std::string args;
  for (const auto& [name, value] : command_args(event.command)) {
    args += (args.empty() ? "" : ", ") + detail::quoted(name) + " = " + detail::quoted(value);
  }
  return args.empty() ? text : text + "args = { " + args + " }\n";
}

}  // namespace

std::string to_toml(const RunSpec& spec) {
  std::string text;
  std::string section;
  for (const auto& key : detail::keys()) {
    const std::string value = detail::to_toml_value(key.get(spec));
    if (value.empty()) {
      continue;
    }
    const auto dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      text += (text.empty() ? "[" : "\n[") + section + "]\n";
    }
    text += key.name.substr(dot + 1) + " = " + value + "\n";
  }
  for (const auto& event : spec.events) {
    text += event_toml(event);
  }
  return text;
}

std::vector<KeyInfo> schema() {
  const RunSpec defaults;
  std::vector<KeyInfo> infos;
  for (const auto& key : detail::keys()) {
    const std::string fallback = detail::to_toml_value(key.get(defaults));
    infos.push_back({key.name,
                     detail::type_name(key),
                     fallback.empty() ? "(derived)" : fallback,
                     detail::range_text(key.range),
                     key.help});
  }
  return infos;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& preset : preset_texts()) {
    names.emplace_back(preset.first);
  }
  return names;
}

std::string preset_toml(const std::string& name) {
  for (const auto& preset : preset_texts()) {
    if (preset.first == name) {
      return preset.second;
    }
  }
  throw SpecError("", "there is no preset " + name);
}

std::vector<SpecDifference> diff_specs(const RunSpec& a, const RunSpec& b) {
  std::vector<SpecDifference> differences;
  for (const auto& key : detail::keys()) {
    const std::string in_a = detail::to_toml_value(key.get(a));
    const std::string in_b = detail::to_toml_value(key.get(b));
    if (in_a != in_b) {
      differences.push_back({key.name, in_a, in_b});
    }
  }
  const auto events = [](const RunSpec& spec) {
    std::string text;
    for (const auto& event : spec.events) {
      text += (text.empty() ? "" : ", ") + command_name(event.command) + " at step " +
              std::to_string(event.step);
    }
    return text;
  };
  if (a.events != b.events) {
    differences.push_back({"events", events(a), events(b)});
  }
  return differences;
}

}  // namespace batchscope::contract
