#pragma once

#include "engine/contract/run_spec.h"
#include "engine/data/picture_set.h"

#include <memory>

namespace batchscope::train {

// The kinds of data sets read from files, but for coco: coco-panoptic, voc, ade20k, openimages.

/// Whether data.kind is one of them.
bool is_annotated_kind(const std::string& kind);

/// The training set of [data], or its validation set with these classes (empty: its own); nullptr
/// where there is none: neither data.val_annotations nor data.val_list. Where only one of the two
/// is given, the other files are the training set's. Throws contract::DataError as the readers of
/// the kind, contract::SpecError for a missing key.
std::shared_ptr<const Dataset> make_annotated_set(const contract::DataSection& data,
                                                  bool training,
                                                  const ClassList& classes);

/// The classes of the training annotations; no picture is looked for. Throws contract::DataError.
ClassList annotated_classes(const contract::DataSection& data);

}  // namespace batchscope::train
