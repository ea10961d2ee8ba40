#include "engine/contract/run_spec.h"

#include "engine/contract/error.h"
#include "engine/contract/spec_keys.h"

#include <toml++/toml.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace batchscope::contract {
namespace {

using detail::Key;
using detail::Value;
using detail::ValueType;

struct Place {
  std::string file;
  int line = 0, column = 0;
  std::string text() const {
    if (line == 0) {
      return "";
    }
    return " (" + (file.empty() ? std::string("line ") : file + ", line ") + std::to_string(line) +
           ", column " + std::to_string(column) + ")";
  }
};

[[noreturn]] void refuse(const std::string& field, const std::string& why, const Place& place) {
  throw SpecError(field, field + " " + why + place.text(), place.line, place.column);
}

Place place_of(const toml::node& node, const std::string& file) {
  const auto begin = node.source().begin;
  return {file, static_cast<int>(begin.line), static_cast<int>(begin.column)};
}

std::string kind_of(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

// Elements of a TOML list as T, or nullopt if one has another type.
template <class T>
std::optional<std::vector<T>> list_of(const toml::node& node) {
  const auto* array = node.as_array();
  if (array == nullptr) {
    return std::nullopt;
  }
  std::vector<T> list;
  for (const auto& item : *array) {
    const auto value = item.value_exact<T>();
    if (value) {
      list.push_back(*value);
    } else if constexpr (std::is_same_v<T, double>) {
      const auto integer = item.value_exact<std::int64_t>();
      if (!integer) {
        return std::nullopt;
      }
      list.push_back(static_cast<double>(*integer));
    } else {
      return std::nullopt;
    }
  }
  return list;
}

template <class T>
Value value_or_none(const std::optional<T>& value) {
  return value ? Value{*value} : Value{};
}

// monostate when the node is not of the key's type.
Value read_node(const Key& key, const toml::node& node) {
  switch (key.type) {
    case ValueType::kBool:
      return value_or_none(node.value_exact<bool>());
    case ValueType::kInteger:
      return value_or_none(node.value_exact<std::int64_t>());
    case ValueType::kFloat:
      if (const auto integer = node.value_exact<std::int64_t>()) {
        return static_cast<double>(*integer);
      }
      return value_or_none(node.value_exact<double>());
    case ValueType::kString:
      return value_or_none(node.value_exact<std::string>());
    case ValueType::kFloatPair: {
      const auto list = list_of<double>(node);
      return list && list->size() == 2 ? Value{*list} : Value{};
    }
    case ValueType::kFloats:
      return value_or_none(list_of<double>(node));
    case ValueType::kIntegers:
      return value_or_none(list_of<std::int64_t>(node));
    case ValueType::kStrings:
      return value_or_none(list_of<std::string>(node));
    case ValueType::kShadows:
      break;  // read_shadows
  }
  return {};
}

// The value of a node for a key; `field` names it in refusals.
Value checked_value(const Key& key,
                    const toml::node& node,
                    const std::string& field,
                    const Place& place) {
  Value value = read_node(key, node);
  if (std::holds_alternative<std::monostate>(value)) {
    refuse(field,
           "must be " + std::string(key.type == ValueType::kInteger ? "an " : "a ") +
               detail::type_name(key) + ", found " + kind_of(node),
           place);
  }
  if (const auto violation = detail::range_violation(key.range, value); !violation.empty()) {
    refuse(field, violation, place);
  }
  return value;
}

// Keys of one [[optim.shadow]], which are those of [optim]; tables within it are its sections.
void read_shadow_keys(ShadowSpec& shadow,
                      const toml::table& table,
                      const std::string& prefix,
                      const std::string& file) {
  for (const auto& [name, node] : table) {
    const std::string path = prefix + std::string(name.str());
    const Place place = place_of(node, file);
    if (path == "label" && node.is_string()) {
      shadow.label = *node.value_exact<std::string>();
    } else if (const Key* key = detail::find_key("optim." + path)) {
      try {
        detail::check_shadow_key(path);
      } catch (const SpecError& e) {
        throw SpecError(e.field(), e.what() + place.text(), place.line, place.column);
      }
      shadow.set[path] =
          detail::to_toml_value(checked_value(*key, node, "optim.shadow." + path, place));
    } else if (const auto* inner = node.as_table()) {
      read_shadow_keys(shadow, *inner, path + ".", file);
    } else {
      refuse("optim.shadow." + path,
             "is not a key of a shadow, which has label and the keys of [optim]",
             place);
    }
  }
}

void read_shadows(RunSpec& spec, const toml::node& node, const Place& place) {
  const auto* array = node.as_array();
  if (array == nullptr) {
    refuse("optim.shadow", "must be a list of tables ([[optim.shadow]])", place);
  }
  spec.optim.shadow.clear();
  for (const auto& item : *array) {
    if (!item.is_table()) {
      refuse("optim.shadow", "must be a list of tables ([[optim.shadow]])", place);
    }
    ShadowSpec shadow;
    read_shadow_keys(shadow, *item.as_table(), "", place.file);
    detail::settle_label(shadow);
    spec.optim.shadow.push_back(std::move(shadow));
  }
}

void assign(RunSpec& spec, const Key& key, const toml::node& node, const Place& place) {
  if (key.type == ValueType::kShadows) {
    read_shadows(spec, node, place);
  } else {
    key.set(spec, checked_value(key, node, key.name, place));
  }
}

[[noreturn]] void unknown(const std::string& name, const Place& place) {
  const std::string near = detail::nearest_key(name);
  refuse(name,
         "is not a key of a spec" + (near.empty() ? std::string() : ", did you mean " + near + "?"),
         place);
}

bool is_section(const std::string& name) {
  for (const auto& key : detail::keys()) {
    if (key.name.starts_with(name + ".")) {
      return true;
    }
  }
  return false;
}

std::string argument_text(const toml::node& node) {
  if (const auto text = node.value_exact<std::string>()) {
    return *text;
  }
  std::ostringstream out;
  node.visit([&](const auto& v) {
    if constexpr (toml::is_value<decltype(v)> || toml::is_array<decltype(v)>) {
      out << v;
    }
  });
  return out.str();
}

void read_arguments(const toml::table& table,
                    const std::string& prefix,
                    std::map<std::string, std::string>& args) {
  for (const auto& [name, node] : table) {
    const std::string path = prefix + std::string(name.str());
    if (const auto* inner = node.as_table()) {
      read_arguments(*inner, path + ".", args);
    } else {
      args[path] = argument_text(node);
    }
  }
}

ScriptedEvent read_event(const toml::table& table, const std::string& file) {
  const Place place = place_of(table, file);
  std::map<std::string, std::string> args;
  for (const auto& [name, node] : table) {
    const std::string word(name.str());
    if (word == "args" && node.is_table()) {
      read_arguments(*node.as_table(), "", args);
    } else if (word != "step" && word != "command") {
      refuse("events." + word,
             "is not a key of an event, which has step, command and args",
             place_of(node, file));
    }
  }
  const auto step = table["step"].value_exact<std::int64_t>();
  const auto command = table["command"].value_exact<std::string>();
  if (!step || *step < 0) {
    refuse("events.step", "must be an integer >= 0 in every event", place);
  }
  if (!command) {
    refuse("events.command", "must be a string in every event", place);
  }
  try {
    return {*step, make_command(*command, args)};
  } catch (const SpecError& e) {
    throw SpecError("events." + e.field(),
                    "event at step " + std::to_string(*step) + ": " + e.what() + place.text(),
                    place.line,
                    place.column);
  }
}

void read_events(RunSpec& spec, const toml::node& node, const std::string& file) {
  const auto* array = node.as_array();
  if (array == nullptr) {
    refuse("events", "must be a list of tables ([[events]])", place_of(node, file));
  }
  for (const auto& item : *array) {
    if (!item.is_table()) {
      refuse("events", "must be a list of tables ([[events]])", place_of(item, file));
    }
    spec.events.push_back(read_event(*item.as_table(), file));
  }
}

void read_table(RunSpec& spec,
                const toml::table& table,
                const std::string& prefix,
                const std::string& file) {
  for (const auto& [name, node] : table) {
    const std::string path = prefix + std::string(name.str());
    const auto begin = name.source().begin;
    const Place place{file, static_cast<int>(begin.line), static_cast<int>(begin.column)};
    if (path == "events") {
      read_events(spec, node, file);
    } else if (const Key* key = detail::find_key(path)) {
      assign(spec, *key, node, place_of(node, file));
    } else if (is_section(path)) {
      if (!node.is_table()) {
        refuse(path, "must be a table, found " + kind_of(node), place);
      }
      read_table(spec, *node.as_table(), path + ".", file);
    } else {
      unknown(path, place);
    }
  }
}

/// The error with the place of its key, or of the table that the key would be in.
SpecError placed(const SpecError& error, const toml::table& table, const std::string& file) {
  const toml::node* node = &table;
  Place place;
  std::istringstream words(error.field());
  for (std::string word; std::getline(words, word, '.');) {
    if (const auto* list = node->as_array(); list != nullptr && !list->empty()) {
      node = &list->front();
    }
    const auto* inner = node->as_table();
    const toml::node* found = inner == nullptr ? nullptr : inner->get(word);
    if (found == nullptr) {
      break;
    }
    node = found;
    place = place_of(*node, file);
  }
  return place.line == 0
             ? error
             : SpecError(error.field(), error.what() + place.text(), place.line, place.column);
}

void make_absolute(std::string& path, const std::filesystem::path& folder) {
  if (!path.empty() && std::filesystem::path(path).is_relative()) {
    path = std::filesystem::weakly_canonical(folder / path).string();
  }
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) {
    throw SpecError("", "spec " + path.string() + " could not be read");
  }
  return text.str();
}

// A value as a person types it after --set: TOML, or a bare word for a string.
std::string as_toml(const Key& key, const std::string& text) {
  if (key.type == ValueType::kString &&
      (text.empty() || (text.front() != '"' && text.front() != '\''))) {
    return detail::quoted(text);
  }
  if (key.type == ValueType::kBool && (text == "on" || text == "off")) {
    return text == "on" ? "true" : "false";
  }
  return text;
}

}  // namespace

void make_paths_absolute(RunSpec& spec, const std::string& folder) {
  for (std::string* path : {&spec.data.annotations,
                            &spec.data.images,
                            &spec.data.segments,
                            &spec.data.list,
                            &spec.data.val_annotations,
                            &spec.data.val_images,
                            &spec.data.val_segments,
                            &spec.data.val_list,
                            &spec.data.classes,
                            &spec.data.hierarchy,
                            &spec.data.val_image_labels,
                            &spec.model.weights}) {
    make_absolute(*path, folder);
  }
}

RunSpec parse_spec(const std::string& text,
                   const std::string& folder,
                   const std::string& file_name) {
  RunSpec spec;
  toml::table table;
  try {
    table = toml::parse(text);
    read_table(spec, table, "", file_name);
  } catch (const toml::parse_error& e) {
    const auto begin = e.source().begin;
    const Place place{file_name, static_cast<int>(begin.line), static_cast<int>(begin.column)};
    throw SpecError("",
                    "not valid TOML: " + std::string(e.description()) + place.text(),
                    place.line,
                    place.column);
  }
  if (!folder.empty()) {
    make_paths_absolute(spec, folder);
  }
  try {
    detail::check_contradictions(spec);
  } catch (const SpecError& error) {
    throw placed(error, table, file_name);
  }
  return spec;
}

SpecError located(const SpecError& error, const std::string& path) {
  std::error_code ignored;
  if (error.line() > 0 || !std::filesystem::is_regular_file(path, ignored)) {
    return error;
  }
  try {
    return placed(
        error, toml::parse(read_file(path)), std::filesystem::path(path).filename().string());
  } catch (const toml::parse_error&) {
    return error;
  }
}

RunSpec load_spec(const std::string& path_or_preset) {
  const std::filesystem::path path(path_or_preset);
  std::error_code error;
  if (std::filesystem::is_regular_file(path, error)) {
    return parse_spec(read_file(path),
                      std::filesystem::absolute(path).parent_path().string(),
                      path.filename().string());
  }
  const auto names = preset_names();
  if (std::find(names.begin(), names.end(), path_or_preset) != names.end()) {
    return parse_spec(
        preset_toml(path_or_preset), std::filesystem::current_path().string(), path_or_preset);
  }
  std::string known;
  for (const auto& name : names) {
    known += (known.empty() ? "" : ", ") + name;
  }
  throw SpecError("",
                  "there is no spec file " + path_or_preset +
                      " and no preset of that name (presets: " + known + ")");
}

void set_value(RunSpec& spec, const std::string& name, const std::string& text) {
  const Key* key = detail::find_key(name);
  if (key == nullptr) {
    unknown(name, {});
  }
  if (text.empty() && key->optional) {
    key->set(spec, {});
    return;
  }
  try {
    const auto table = toml::parse("value = " + as_toml(*key, text) + "\n");
    if (table.size() != 1) {
      refuse(name, "takes one value, found " + detail::quoted(text), {});
    }
    assign(spec, *key, *table.get("value"), {});
  } catch (const toml::parse_error&) {
    refuse(name, "must be a " + detail::type_name(*key) + ", found " + detail::quoted(text), {});
  }
}

std::string get_value(const RunSpec& spec, const std::string& name) {
  const Key* key = detail::find_key(name);
  if (key == nullptr) {
    unknown(name, {});
  }
  return detail::to_toml_value(key->get(spec));
}

}  // namespace batchscope::contract
