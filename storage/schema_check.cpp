#include "storage/schema_check.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

namespace batchscope::storage {
namespace {

constexpr std::array<std::string_view, 13> kTables = {"run",
                                                      "state",
                                                      "series",
                                                      "segment",
                                                      "live_row",
                                                      "axis_chunk",
                                                      "series_chunk",
                                                      "event",
                                                      "eval",
                                                      "eval_metric",
                                                      "probe",
                                                      "prediction",
                                                      "checkpoint"};
constexpr std::string_view kIndex = "series_chunk_key";
/// SQLite makes these itself for PRIMARY KEY and UNIQUE.
constexpr std::string_view kOwnIndex = "sqlite_autoindex_";

bool is_ours(const Statement& entry) {
  const std::string type = entry.text(0), name = entry.text(1);
  const bool has_pages = entry.integer(2) > 0;  // views and virtual tables have none
  if (type == "table") {
    return has_pages && std::ranges::find(kTables, name) != kTables.end();
  }
  return type == "index" && has_pages && (name == kIndex || name.starts_with(kOwnIndex));
}

}  // namespace

void check_schema(const Database& database) {
  const std::string file = "'" + database.path().string() + "'";
  Statement entry(database, "SELECT type, name, rootpage FROM sqlite_schema");
  while (entry.step()) {
    if (!is_ours(entry)) {
      throw contract::StorageError(file + " is not a run file: its schema holds the " +
                                   entry.text(0) + " '" + entry.text(1) +
                                   "', expected the tables of a run alone");
    }
  }
  for (const std::string_view table : kTables) {
    const std::string name(table);
    Statement computed(database, "PRAGMA table_xinfo(" + name + ")");
    constexpr int kName = 1, kHidden = 6;
    while (computed.step()) {
      if (computed.integer(kHidden) != 0) {
        std::string sentence = file;
        sentence += " is not a run file: column '";
        sentence += computed.text(kName);
        sentence += "' of table '";
        sentence += name;
        sentence += "' is computed, expected a stored one";
        throw contract::StorageError(sentence);
      }
    }
  }
  Statement key(database, "PRAGMA index_xinfo(" + std::string(kIndex) + ")");
  constexpr int kColumn = 1, kExpression = -2;
  while (key.step()) {
    if (key.integer(kColumn) == kExpression) {
      throw contract::StorageError(file + " is not a run file: its index '" + std::string(kIndex) +
                                   "' is computed");
    }
  }
}

}  // namespace batchscope::storage
