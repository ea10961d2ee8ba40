#include "storage/migrations.h"

#include "storage/schema_check.h"

namespace batchscope::storage {

const std::vector<Migration>& migrations() {
  static const std::vector<Migration> steps = {
      {1,
       [](Database& database) {
         database.execute("ALTER TABLE probe ADD COLUMN pixels BLOB");
         database.execute("ALTER TABLE prediction ADD COLUMN pixels BLOB");
       }},
      {2, [](Database& database) {
         database.execute("ALTER TABLE state ADD COLUMN lr_in_use ANY NOT NULL DEFAULT 0.0");
         database.execute("ALTER TABLE state ADD COLUMN trouble TEXT NOT NULL DEFAULT ''");
         database.execute("UPDATE state SET lr_in_use = lr");
       }}};
  return steps;
}

void check_run_file(Database& database, std::int64_t newest) {
  const std::string name = "'" + database.path().string() + "'";
  const std::int64_t application = database.query_integer("PRAGMA application_id");
  if (application == 0 && database.query_integer("SELECT count(*) FROM sqlite_schema") == 0) {
    throw contract::StorageError(name +
                                 " is not a run file yet: its start was ended before it wrote one");
  }
  if (application != kApplicationId) {
    throw contract::StorageError(name + " is not a run file: its application id is " +
                                 std::to_string(application) + ", expected " +
                                 std::to_string(kApplicationId));
  }
  const std::int64_t version = database.query_integer("PRAGMA user_version");
  if (version > newest) {
    throw contract::StorageError(name + " was written by a newer Batchscope: run file version " +
                                 std::to_string(version) + ", this program reads up to " +
                                 std::to_string(newest));
  }
  if (version < 1) {
    throw contract::StorageError(name + " is not a run file: its version is " +
                                 std::to_string(version) + ", expected 1 or more");
  }
  check_schema(database);
}

void migrate(Database& database, const std::vector<Migration>& steps) {
  const std::int64_t newest = steps.empty() ? kSchemaVersion : steps.back().from + 1;
  check_run_file(database, newest);
  std::int64_t version = database.query_integer("PRAGMA user_version");
  if (version == newest) {
    return;
  }
  Transaction transaction(database, Transaction::Kind::kWrite);
  for (const Migration& step : steps) {
    if (step.from == version) {
      step.apply(database);
      database.execute("PRAGMA user_version = " + std::to_string(++version));
    }
  }
  if (version != newest) {
    throw contract::StorageError("'" + database.path().string() +
                                 "': there is no way from run file version " +
                                 std::to_string(version) + " to " + std::to_string(newest));
  }
  transaction.commit();
}

}  // namespace batchscope::storage
