#include "app/written_classes.h"

#include "app/prediction_inputs.h"
#include "engine/contract/error.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

namespace batchscope::app {
namespace {

/// The detector's own classes under `ids`; empty: 1 to C.
ClassMatch own_classes(const ModelClasses& model, const std::vector<std::int64_t>& ids) {
  std::vector<std::string> names = model.names;
  const auto count = static_cast<std::size_t>(model.counts.things + model.counts.stuff);
  while (names.size() < count) {
    names.push_back("class " + std::to_string(names.size() + 1));
  }
  ClassMatch match{train::numbered_classes(std::move(names)), {}, {}};
  match.classes.things = model.counts.things;
  match.labels = match.classes.ids;
  if (!ids.empty()) {
    match.classes.ids = ids;
  }
  return match;
}

/// The classes of a COCO file that has all of the detector's, by name.
std::optional<ClassMatch> known_by_name(const ModelClasses& model, const std::string& file) {
  if (model.names.empty() || !std::filesystem::is_regular_file(file)) {
    return std::nullopt;
  }
  try {
    train::ClassList list = read_class_file(file, model, 0);
    const std::set<std::string> names(list.names.begin(), list.names.end());
    const bool all = std::ranges::all_of(
        model.names, [&](const std::string& name) { return names.contains(name); });
    return all ? std::optional(match_classes(model, std::move(list), "'" + file + "'"))
               : std::nullopt;
  } catch (const contract::DataError&) {
    return std::nullopt;  // it has no categories
  }
}

}  // namespace

ClassMatch written_classes(const ModelClasses& model,
                           const contract::DataSection& data,
                           const std::string& categories,
                           const std::string& image_ids) {
  if (!categories.empty()) {
    return match_classes(
        model, read_class_file(categories, model, data.ignored_label), "'" + categories + "'");
  }
  if (!model.ids.empty()) {
    return own_classes(model, model.ids);
  }
  for (const std::string& file : {image_ids, data.annotations}) {
    if (auto match = known_by_name(model, file)) {
      match->note = "The " + model.origin + " does not say its category ids: those of '" + file +
                    "' are taken, by name. " + match->note;
      return *std::move(match);
    }
  }
  ClassMatch match = own_classes(model, {});
  match.note = "The " + model.origin + " does not say its category ids: they are 1 to " +
               std::to_string(match.labels.size()) +
               " in what is written; --categories names others.";
  return match;
}

}  // namespace batchscope::app
