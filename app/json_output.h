#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace batchscope {

/// Writes a file, or to a device or pipe of that name. A file that is there already is replaced
/// once all is written. Throws contract::StorageError with the system's reason.
void write_text(const std::string& text, const std::string& file);

/// Before hours of work: throws contract::StorageError where the file of `option` cannot be
/// written. One that is there stays as it is.
void require_writable(const std::string& file, const std::string& option);

/// What a command's `--json [FILE]` gives: to stdout as one line if `file` is empty, else to the
/// file, indented. Bytes that are no UTF-8 become U+FFFD, and what would
/// steer a terminal is escaped there. Throws as write_text().
void write_json(const nlohmann::json& value, const std::string& file);

}  // namespace batchscope
