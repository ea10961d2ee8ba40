#pragma once

#include "storage/sqlite.h"

#include <functional>
#include <vector>

namespace batchscope::storage {

/// Text of schema.sql, embedded by the build.
extern const char* const kSchemaSql;
/// "BSCP"; the value of PRAGMA application_id in every run file.
inline constexpr std::int64_t kApplicationId = 0x42534350;
/// Version of the tables that this program writes.
inline constexpr std::int64_t kSchemaVersion = 3;

/// Takes a run file from user_version `from` to `from + 1`.
struct Migration {
  std::int64_t from = 1;
  std::function<void(Database&)> apply;
};

/// The steps from version 1 to kSchemaVersion, in order.
const std::vector<Migration>& migrations();

/// Refuses what is no run file, what holds more than one (schema_check.h) and versions beyond
/// `newest`, in one sentence. Changes nothing. Every way to a run file leads through here.
void check_run_file(Database& database, std::int64_t newest = kSchemaVersion);

/// check_run_file, then every missing step, all in one transaction: the file has the newest
/// version, or is as it was.
void migrate(Database& database, const std::vector<Migration>& steps = migrations());

}  // namespace batchscope::storage
