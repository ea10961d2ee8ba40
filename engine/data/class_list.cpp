#include "engine/data/class_list.h"

#include "engine/contract/error.h"

namespace batchscope::train {
namespace {

template <typename Key>
std::unordered_map<Key, std::int64_t> labels_of(const std::vector<Key>& keys) {
  std::unordered_map<Key, std::int64_t> labels;
  for (const Key& key : keys) {
    labels.emplace(key, static_cast<std::int64_t>(labels.size()) + 1);
  }
  return labels;
}

}  // namespace

ClassList class_list(const Dataset& dataset) {
  ClassList list{dataset.classes(), {}, dataset.things()};
  for (std::size_t i = 0; i < list.names.size(); ++i) {
    list.ids.push_back(dataset.category_id(static_cast<std::int64_t>(i) + 1));
  }
  return list;
}

ClassList numbered_classes(std::vector<std::string> names) {
  ClassList classes{std::move(names), {}, 0};
  classes.things = static_cast<std::int64_t>(classes.names.size());
  for (std::int64_t label = 1; label <= classes.things; ++label) {
    classes.ids.push_back(label);
  }
  return classes;
}

ClassList classes_for(ClassList own, const ClassList& given, const std::string& source) {
  if (given.empty()) {
    return own;
  }
  const auto labels = labels_of_ids(given);
  for (std::size_t i = 0; i < own.names.size(); ++i) {
    const auto found = labels.find(own.ids[i]);
    const bool thing = static_cast<std::int64_t>(i) < own.things;
    if (found == labels.end() || (found->second <= given.things) != thing ||
        given.names[static_cast<std::size_t>(found->second - 1)] != own.names[i]) {
      throw contract::DataError(source + " has the category " + std::to_string(own.ids[i]) + " '" +
                                own.names[i] + "', which the training annotations do not have.");
    }
  }
  return given;
}

std::unordered_map<std::int64_t, std::int64_t> labels_of_ids(const ClassList& classes) {
  return labels_of(classes.ids);
}

std::unordered_map<std::string, std::int64_t> labels_of_names(const ClassList& classes) {
  return labels_of(classes.names);
}

}  // namespace batchscope::train
