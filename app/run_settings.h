#pragma once

#include "engine/contract/run_spec.h"

#include <string>
#include <vector>

namespace batchscope::app {

/// Applies "key=value" texts to a spec; relative paths are as seen from the working folder. Throws
/// contract::SpecError.
void apply_sets(contract::RunSpec& spec, const std::vector<std::string>& sets);

// What a training that has begun may still change.

/// Settings that no update depends on: they are changed in the spec.
bool kept_in_spec(const std::string& key);
/// Settings that a command changes at a step boundary.
bool changed_by_command(const std::string& key);
/// The commands that "key=value" texts ask for, at most one of each kind: keys of
/// changed_by_command(), and the words of the command optimizer (state, lr_mapping, decay_mapping),
/// which alone ask for nothing. Other keys are left out. Throws contract::SpecError naming the
/// argument at fault.
std::vector<contract::CommandBody> commands_for(const std::vector<std::string>& sets);

/// "cuda" of a stored "cuda:1", else "cpu".
std::string device_kind(const std::string& device);

}  // namespace batchscope::app
