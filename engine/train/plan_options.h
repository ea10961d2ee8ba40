#pragma once

#include "engine/contract/run_spec.h"
#include "optim/agvm.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"

#include <string>
#include <vector>

namespace batchscope::train {

// From the words of a spec to the options of the optim room. Pure functions.

optim::Options optimizer_options(const contract::RunSpec& spec, const contract::ResolvedPlan& plan);

/// The anchor is the module of that name; a model without it anchors on its first module.
optim::AgvmOptions agvm_options(const contract::RunSpec& spec,
                                const contract::ResolvedPlan& plan,
                                const std::vector<std::string>& modules);

optim::Schedule make_schedule(const contract::RunSpec& spec, const contract::ResolvedPlan& plan);

/// Throws contract::SpecError for settings that this engine cannot train with.
void check_trainable(const contract::RunSpec& spec);

}  // namespace batchscope::train
