#pragma once

#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"

#include <memory>

namespace batchscope::train {

/// The training or validation set of a spec. Throws contract::DataError (missing or malformed file,
/// no pictures, no classes) in one sentence with the path and, for JSON, the place. A validation
/// set that is not given is nullptr.
std::shared_ptr<const Dataset> make_training_set(const contract::RunSpec& spec);
std::shared_ptr<const Dataset> make_validation_set(const contract::RunSpec& spec);

}  // namespace batchscope::train
