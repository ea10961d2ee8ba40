#pragma once

#include "app/build_model.h"
#include "engine/contract/run_spec.h"
#include "engine/data/dataset.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace batchscope::app {

/// The data that a run of a spec begins with.
struct StartData {
  std::shared_ptr<const train::Dataset> training, validation;  // validation: may be none
  std::vector<std::string> warnings;                           // where the pictures were looked at
};
/// Opens the sets of a spec; `look`: at their pictures too, as train::preflight(). Throws
/// contract::SpecError, contract::DataError.
StartData open_data(const contract::RunSpec& spec, bool look);

/// What a start of a spec finds.
struct StartCheck {
  StartData data;  // with all warnings
  contract::ResolvedPlan plan;
  std::int64_t parameters = 0;
  std::string weights;  // what was taken from model.weights; empty: none is named
};
/// Does what a training does before its first update, in its order and by its functions, and makes
/// nothing. Throws what refuses the start: contract::SpecError (naming the key), DataError.
StartCheck check_start(contract::RunSpec spec, const std::string& device);

}  // namespace batchscope::app
