#include "storage/json_text.h"

#include "engine/contract/error.h"

#include <nlohmann/json.hpp>

namespace batchscope::storage {
namespace {

using nlohmann::json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

template <class T>
T parse(const std::string& text) {
  try {
    return json::parse(text).get<T>();
  } catch (const json::exception&) {
    throw contract::StorageError("a run file is damaged: '" + text.substr(0, 40) +
                                 "' is not the JSON that belongs here");
  }
}

}  // namespace

std::string to_json(const std::vector<std::string>& list) {
  return dump(list);
}
std::string to_json(const std::map<std::string, std::string>& map) {
  return dump(map);
}
std::vector<std::string> list_from_json(const std::string& text) {
  return parse<std::vector<std::string>>(text);
}
std::map<std::string, std::string> map_from_json(const std::string& text) {
  return parse<std::map<std::string, std::string>>(text);
}

}  // namespace batchscope::storage
