#pragma once

#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"

#include <memory>

namespace batchscope::train {

// The kinds of data sets read from files: coco, coco-panoptic, voc, ade20k, openimages. All throw
// contract::DataError as the readers of the kind, contract::SpecError for a missing key and for
// data.masks where the kind has none.

/// Whether data.kind is one of them.
bool is_annotated_kind(const std::string& kind);

/// The files of Open Images' own figure are those of the validation set; without one they are read
/// with the training set, which nothing is measured on, to find what is wrong with them.
std::shared_ptr<const Dataset> make_annotated_training_set(const contract::DataSection& data);

/// The validation set; nullptr where there is none: neither data.val_annotations nor data.val_list.
/// Where only one of the two is given, the other files are the training set's. It has all
/// pictures, whatever data.max_pictures and data.skip_empty say. Its classes are
/// those of `training`, or without it those of data.annotations; where these are not given, its
/// own.
std::shared_ptr<const Dataset> make_annotated_validation_set(const contract::DataSection& data,
                                                             const Dataset* training);

}  // namespace batchscope::train
