#pragma once

#include <string>
#include <utility>
#include <vector>

namespace batchscope::contract {

/// The presets of resources/specs as (name, TOML), compiled in; made by the build.
const std::vector<std::pair<std::string, std::string>>& preset_texts();

}  // namespace batchscope::contract
