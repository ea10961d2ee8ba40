#pragma once

#include "app/build_model.h"
#include "engine/data/class_list.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::app {

/// What the file of a detector says about its labels 1…C.
struct ModelClasses {
  std::string origin;  // "checkpoint 'a.ckpt'"
  ClassCounts counts;
  std::vector<std::string> names;  // of the labels; empty: the file does not say
  bool boxes = true, pixels = false;
  std::vector<std::int64_t> ids;  // category ids of the labels; empty: the file does not say
};

/// What the labels of a detector are among other classes.
struct ClassMatch {
  train::ClassList classes;          // those that the detector may find
  std::vector<std::int64_t> labels;  // of the detector's label - 1: label in `classes`, 0: none
  std::string note;                  // a sentence about what is left out; mostly empty
  /// Whether the labels have to be looked up at all.
  bool same() const;
};

/// The detector's classes in a list, whose stuff is passed over where it finds boxes alone.
///
/// A detector with names is matched by them; names that the engine has made up ("class 7") stand
/// for the id. A class that the list lacks is never reported; a detector of pixels needs them all.
///
/// Without names the order decides. Where the numbers of classes differ, labels are category ids if
/// there are as many as the largest id (torchvision's COCO weights: 90 labels, 80 categories), and
/// no pixels.
///
/// `source` names the list within a sentence: "'a.json'". Throws contract::DataError: other
/// numbers, a class of the list that the detector does not know (the first), a name used twice.
ClassMatch match_classes(const ModelClasses& model,
                         train::ClassList list,
                         const std::string& source);

}  // namespace batchscope::app
