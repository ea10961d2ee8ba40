#pragma once

#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"

#include <memory>

namespace batchscope::train {

/// The training or validation set of a spec. Throws contract::DataError (missing or malformed file,
/// no pictures, no classes) in one sentence with the path and, for JSON, the place, and
/// contract::SpecError for a key of [data] that is out of range or missing, and for a kind of data
/// that lacks what the spec's model learns from (boxes, masks, classes of pixels).
std::shared_ptr<const Dataset> make_training_set(const contract::RunSpec& spec);

/// nullptr where the spec names no validation set. Its labels are the training set's: those of
/// `training` if given, else they are read from the spec's training annotations, and without these
/// from its own. Without val_images its pictures are in `images`.
std::shared_ptr<const Dataset> make_validation_set(
    const contract::RunSpec& spec, const std::shared_ptr<const Dataset>& training = nullptr);

}  // namespace batchscope::train
