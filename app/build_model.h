#pragma once

#include "engine/contract/run_spec.h"
#include "models/detector.h"

#include <memory>
#include <string>

namespace batchscope::app {

/// The detector of a spec, with its starting weights. Throws contract::SpecError for a name or
/// option that it does not have, DataError for weights that do not fit.
std::shared_ptr<models::Detector> build_model(const contract::RunSpec& spec, std::int64_t classes);

/// "cpu" or "cuda" as the device of one rank of a machine. Throws contract::SpecError.
torch::Device device_of(const std::string& name, std::int64_t local_rank);

}  // namespace batchscope::app
