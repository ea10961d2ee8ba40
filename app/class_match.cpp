#include "app/class_match.h"

#include "engine/contract/error.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace batchscope::app {
namespace {

using train::ClassList;

constexpr std::size_t kNamesShown = 8;

std::int64_t size_of(const ClassList& list) {
  return static_cast<std::int64_t>(list.ids.size());
}

std::int64_t total(const ClassCounts& counts) {
  return counts.things + counts.stuff;
}

void keep_things(ClassList& list) {
  list.names.resize(static_cast<std::size_t>(list.things));
  list.ids.resize(static_cast<std::size_t>(list.things));
}

std::string shown(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kNamesShown); ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > kNamesShown ? text + ", … (" + std::to_string(names.size()) + " in all)"
                                    : text;
}

bool made_up(const std::string& name) {
  const std::string word = "class ";
  return name.size() > word.size() && name.starts_with(word) &&
         name.find_first_not_of("0123456789", word.size()) == std::string::npos;
}

/// What the detector's names are compared with.
std::vector<std::string> names_for(const ModelClasses& model, const ClassList& list) {
  if (model.names == list.names || !std::all_of(model.names.begin(), model.names.end(), made_up)) {
    return list.names;
  }
  std::vector<std::string> names;
  for (const std::int64_t id : list.ids) {
    names.push_back("class " + std::to_string(id));
  }
  return names;
}

void require_known(const ModelClasses& model,
                   const ClassList& list,
                   const std::vector<std::string>& names,
                   const std::string& source) {
  const std::unordered_set<std::string> known(model.names.begin(), model.names.end());
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!known.contains(names[i])) {
      throw contract::DataError("The category " + std::to_string(list.ids[i]) + " of " + source +
                                ", '" + list.names[i] + "', is no class of the " + model.origin +
                                "; expected " + shown(model.names) + ".");
    }
  }
}

[[noreturn]] void name_twice(const std::string& name,
                             const ModelClasses& model,
                             const std::string& source) {
  throw contract::DataError("Two categories of " + source + " are called '" + name +
                            "': they cannot be told apart among the classes of the " +
                            model.origin + ".");
}

/// Labels of a detector's classes among `names`.
std::vector<std::int64_t> labels_in(const std::vector<std::string>& names,
                                    const ModelClasses& model,
                                    const std::string& source) {
  std::unordered_map<std::string, std::int64_t> places;
  for (const std::string& name : names) {
    if (!places.emplace(name, static_cast<std::int64_t>(places.size()) + 1).second) {
      name_twice(name, model, source);
    }
  }
  std::vector<std::int64_t> labels;
  for (const std::string& name : model.names) {
    const auto place = places.find(name);
    labels.push_back(place == places.end() ? 0 : place->second);
  }
  return labels;
}

/// Every pixel needs its class, and things stay things.
void require_pixels(const ModelClasses& model, const ClassMatch& match, const std::string& source) {
  for (std::size_t i = 0; i < match.labels.size(); ++i) {
    const bool thing = static_cast<std::int64_t>(i) < model.counts.things;
    if (match.labels[i] == 0) {
      throw contract::DataError("The class '" + model.names[i] + "' of the " + model.origin +
                                " is no category of " + source +
                                "; a model that labels pixels needs them all.");
    }
    if (model.boxes && thing != (match.labels[i] <= match.classes.things)) {
      throw contract::DataError("The class '" + model.names[i] + "' is " +
                                (thing ? "a thing" : "stuff") + " in the " + model.origin +
                                ", but not in " + source + ".");
    }
  }
}

std::vector<std::int64_t> in_order(std::int64_t count) {
  std::vector<std::int64_t> labels;
  for (std::int64_t label = 1; label <= count; ++label) {
    labels.push_back(label);
  }
  return labels;
}

ClassMatch by_name(const ModelClasses& model, ClassList list, const std::string& source) {
  const std::vector<std::string> names = names_for(model, list);
  ClassMatch match{std::move(list), {}, {}};
  if (names == model.names) {
    match.labels = in_order(total(model.counts));
  } else {
    match.labels = labels_in(names, model, source);
    require_known(model, match.classes, names, source);
  }
  if (model.pixels) {
    require_pixels(model, match, source);
  }
  const auto left_out = std::count(match.labels.begin(), match.labels.end(), 0);
  if (left_out > 0) {
    match.note = std::to_string(left_out) + " of " + std::to_string(match.labels.size()) +
                 " classes of the " + model.origin + " are no categories of " + source +
                 ": what is found of them is left out.";
  }
  return match;
}

[[noreturn]] void other_numbers(const ModelClasses& model,
                                const ClassList& list,
                                std::int64_t largest,
                                const std::string& source) {
  const auto text = [&model](std::int64_t things, std::int64_t all) {
    return model.boxes && model.pixels ? std::to_string(things) + " of things and " +
                                             std::to_string(all - things) + " of stuff"
                                       : std::to_string(all);
  };
  throw contract::DataError("The number of classes differs: the " + model.origin + " has " +
                            text(model.counts.things, total(model.counts)) + ", " + source + " " +
                            text(list.things, size_of(list)) + " (largest id " +
                            std::to_string(largest) + ").");
}

ClassMatch by_number(const ModelClasses& model, ClassList list, const std::string& source) {
  const std::int64_t own = total(model.counts);
  if (own == size_of(list) &&
      (!model.boxes || !model.pixels || model.counts.things == list.things)) {
    return {std::move(list), in_order(own), {}};
  }
  const std::int64_t largest =
      list.ids.empty() ? 0 : *std::max_element(list.ids.begin(), list.ids.end());
  if (model.pixels || own != largest) {
    other_numbers(model, list, largest, source);
  }
  const auto labels = train::labels_of_ids(list);
  ClassMatch match{std::move(list), {}, {}};
  for (std::int64_t id = 1; id <= own; ++id) {
    const auto label = labels.find(id);
    match.labels.push_back(label == labels.end() ? 0 : label->second);
  }
  match.note = "The " + model.origin + " has " + std::to_string(own) + " classes, " + source + " " +
               std::to_string(size_of(match.classes)) + " categories of ids up to " +
               std::to_string(largest) +
               ": labels are taken as category ids, and what is found of others is left out.";
  return match;
}

}  // namespace

bool ClassMatch::same() const {
  return labels == in_order(size_of(classes));
}

ClassMatch match_classes(const ModelClasses& model, ClassList list, const std::string& source) {
  if (!model.pixels) {
    keep_things(list);
  }
  return model.names.empty() ? by_number(model, std::move(list), source)
                             : by_name(model, std::move(list), source);
}

}  // namespace batchscope::app
