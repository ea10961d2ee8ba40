#pragma once

#include <filesystem>
#include <string>

namespace batchscope::app {

/// Reads a saved state with its checksum. What is wrong with it, in one sentence; empty: it is
/// whole.
std::string state_problem(const std::filesystem::path& file);

}  // namespace batchscope::app
