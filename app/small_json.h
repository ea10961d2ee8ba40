#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchscope::app {

/// An object in a small JSON file of a run folder, which anybody may have written: what is missing
/// or of another type throws contract::StorageError with one sentence that names the file, the
/// member, what was expected and what stands there.
class SmallJson {
 public:
  /// Nothing: there is no such file.
  static std::optional<SmallJson> read(const std::filesystem::path& file);

  bool has(const std::string& name) const { return value_.contains(name); }
  std::string text(const std::string& name) const;
  bool flag(const std::string& name) const;
  /// From 0 on.
  std::int64_t count(const std::string& name) const;
  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  /// null: NaN.
  std::vector<double> numbers(const std::string& name) const;
  std::vector<std::string> texts(const std::string& name) const;
  std::map<std::string, std::string> words(const std::string& name) const;
  std::vector<SmallJson> objects(const std::string& name) const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  SmallJson(std::filesystem::path file, std::string place, nlohmann::json value)
      : file_(std::move(file)), place_(std::move(place)), value_(std::move(value)) {}
  const nlohmann::json& member(const std::string& name) const;
  void expect_list(const std::string& name, const nlohmann::json& value) const;
  [[noreturn]] void refuse(const std::string& name,
                           const char* expected,
                           const nlohmann::json& found) const;

  std::filesystem::path file_;
  std::string place_;  // "" or "changes[3]."
  nlohmann::json value_;
};

}  // namespace batchscope::app
