#pragma once

#include <map>
#include <string>
#include <vector>

namespace batchscope::storage {

// Lists and maps of strings as the run file keeps them: JSON in a TEXT column. Bytes that are no
// UTF-8 become U+FFFD. Readers throw contract::StorageError on text that is not of that form.

std::string to_json(const std::vector<std::string>& list);
std::string to_json(const std::map<std::string, std::string>& map);
std::vector<std::string> list_from_json(const std::string& text);
std::map<std::string, std::string> map_from_json(const std::string& text);

}  // namespace batchscope::storage
