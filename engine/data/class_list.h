#pragma once

#include "engine/data/dataset.h"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace batchscope::train {

/// Classes in the order of their labels 1…C: those with boxes first.
struct ClassList {
  std::vector<std::string> names;
  std::vector<std::int64_t> ids;  // as the annotations have them
  std::int64_t things = 0;
  bool empty() const { return names.empty(); }
};
ClassList class_list(const Dataset& dataset);

/// Classes of annotations that know names alone: the ids are the labels, and all have boxes.
ClassList numbered_classes(std::vector<std::string> names);

/// `given`, the classes that decide the labels, or where there are none the annotations' own.
/// Throws contract::DataError for an own class that `given` does not have; `source` begins the
/// sentence.
ClassList classes_for(ClassList own, const ClassList& given, const std::string& source);

/// Labels of the ids, and of the names.
std::unordered_map<std::int64_t, std::int64_t> labels_of_ids(const ClassList& classes);
std::unordered_map<std::string, std::int64_t> labels_of_names(const ClassList& classes);

}  // namespace batchscope::train
