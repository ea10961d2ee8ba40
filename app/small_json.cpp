#include "app/small_json.h"

#include "engine/contract/error.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <utility>

namespace batchscope::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uintmax_t kMostBytes = 64U << 20;

std::string described(const json& value) {
  constexpr std::size_t kShown = 40;
  const std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() > kShown ? "a value of type " + std::string(value.type_name()) : text;
}

}  // namespace

std::optional<SmallJson> SmallJson::read(const fs::path& file) {
  std::error_code error;
  if (!fs::exists(file, error)) {
    return std::nullopt;
  }
  SmallJson read(file, "", {});
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > kMostBytes) {
    read.refuse("it is no plain file of at most 64 MB");
  }
  std::ifstream in(file);
  read.value_ = json::parse(in, nullptr, false);
  if (!read.value_.is_object()) {
    read.refuse("it holds no JSON object");
  }
  return read;
}

void SmallJson::refuse(const std::string& what) const {
  throw contract::StorageError("'" + file_.string() + "' is damaged: " + what);
}

void SmallJson::refuse(const std::string& name, const char* expected, const json& found) const {
  refuse("\"" + place_ + name + "\" is " + described(found) + ", expected " + expected);
}

const json& SmallJson::member(const std::string& name) const {
  const auto found = value_.find(name);
  if (found == value_.end()) {
    refuse("\"" + place_ + name + "\" is missing");
  }
  return *found;
}

std::string SmallJson::text(const std::string& name) const {
  const json& value = member(name);
  if (!value.is_string()) {
    refuse(name, "a text", value);
  }
  return value;
}

bool SmallJson::flag(const std::string& name) const {
  const json& value = member(name);
  if (!value.is_boolean()) {
    refuse(name, "true or false", value);
  }
  return value;
}

std::int64_t SmallJson::integer(const std::string& name) const {
  const json& value = member(name);
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!value.is_number_integer() ||
      (value.is_number_unsigned() && value.get<std::uint64_t>() > kMost)) {
    refuse(name, "a whole number", value);
  }
  return value;
}

std::int64_t SmallJson::count(const std::string& name) const {
  const std::int64_t value = integer(name);
  if (value < 0) {
    refuse(name, "0 or more", member(name));
  }
  return value;
}

double SmallJson::number(const std::string& name) const {
  const json& value = member(name);
  if (!value.is_number()) {
    refuse(name, "a number", value);
  }
  return value;
}

void SmallJson::expect_list(const std::string& name, const json& value) const {
  if (!value.is_array()) {
    refuse(name, "a list", value);
  }
}

std::vector<double> SmallJson::numbers(const std::string& name) const {
  const json& list = member(name);
  std::vector<double> values;
  expect_list(name, list);
  for (const json& value : list) {
    if (!value.is_number() && !value.is_null()) {
      refuse(name, "a list of numbers", list);
    }
    values.push_back(value.is_null() ? std::nan("") : value.get<double>());
  }
  return values;
}

std::vector<std::string> SmallJson::texts(const std::string& name) const {
  const json& list = member(name);
  std::vector<std::string> values;
  expect_list(name, list);
  for (const json& value : list) {
    if (!value.is_string()) {
      refuse(name, "a list of texts", list);
    }
    values.push_back(value);
  }
  return values;
}

std::map<std::string, std::string> SmallJson::words(const std::string& name) const {
  const json& object = member(name);
  std::map<std::string, std::string> values;
  if (!object.is_object()) {
    refuse(name, "an object of texts", object);
  }
  for (const auto& [key, value] : object.items()) {
    if (!value.is_string()) {
      refuse(name, "an object of texts", object);
    }
    values[key] = value;
  }
  return values;
}

std::vector<SmallJson> SmallJson::objects(const std::string& name) const {
  const json& list = member(name);
  std::vector<SmallJson> values;
  expect_list(name, list);
  for (const json& value : list) {
    if (!value.is_object()) {
      refuse(name, "a list of objects", list);
    }
    const std::string place = place_ + name + "[" + std::to_string(values.size()) + "].";
    values.push_back(SmallJson(file_, place, value));
  }
  return values;
}

}  // namespace batchscope::app
