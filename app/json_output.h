#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace batchscope {

/// What a command's `--json [FILE]` gives: to stdout as one line if `file` is empty, else to the
/// file, indented. Throws contract::Error (storage) when the file cannot be written.
void write_json(const nlohmann::json& value, const std::string& file);

}  // namespace batchscope
