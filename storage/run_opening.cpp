#include "storage/run_opening.h"

#include "storage/json_text.h"
#include "storage/migrations.h"
#include "storage/run_files.h"
#include "storage/run_identity.h"
#include "storage/run_status.h"

#include <unistd.h>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;
using contract::StorageError;

void use_wal(Database& database) {
  const std::string mode = database.query_text("PRAGMA journal_mode = WAL");
  if (mode != "wal") {
    throw StorageError("'" + database.path().string() +
                       "': the file system of this folder does not support a write-ahead log "
                       "(journal mode is '" +
                       mode + "')");
  }
  // FULL: what was announced as committed is still there after a power cut.
  database.execute("PRAGMA synchronous = FULL; PRAGMA journal_size_limit = " +
                   std::to_string(kWalLimit));
}

void remove_database(const fs::path& file) {
  std::error_code ignored;
  for (const char* suffix : {"", "-journal", "-wal", "-shm"}) {
    fs::remove(beside(file, suffix), ignored);
  }
}

void insert_run(Database& database, const contract::RunInfo& info) {
  Statement(database,
            "INSERT INTO run (one, id, name, spec_toml, engine_version, host, device, threads, "
            "data_checksum, modules, classes, steps, total_images, parent_run, parent_step, "
            "started) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")
      .with(info.id,
            info.name,
            info.spec_toml,
            info.engine_version,
            info.host,
            info.device,
            info.threads,
            info.data_checksum,
            to_json(info.modules),
            to_json(info.classes),
            info.steps,
            info.total_images,
            info.parent_run,
            info.parent_step,
            info.started.empty() ? now_utc() : info.started)
      .run();
  Statement(database,
            "INSERT INTO state VALUES (1, 'starting', 0, ?1, 0, '', 0, 0.0, 0, 0, 0, '', 0, '', "
            "'', 0, NULL, '', 0.0, '')")
      .with(info.steps)
      .run();
}

void update_run(Database& database, const contract::RunInfo& info) {
  const std::string stored = database.query_text("SELECT id FROM run");
  if (stored != info.id) {
    throw StorageError("'" + database.path().string() + "' holds run " + stored + ", expected " +
                       info.id);
  }
  Statement(database,
            "UPDATE run SET spec_toml = ?1, engine_version = ?2, host = ?3, device = ?4, "
            "threads = ?5, data_checksum = ?6, modules = ?7, classes = ?8, steps = ?9, "
            "total_images = ?10")
      .with(info.spec_toml,
            info.engine_version,
            info.host,
            info.device,
            info.threads,
            info.data_checksum,
            to_json(info.modules),
            to_json(info.classes),
            info.steps,
            info.total_images)
      .run();
}

void claim(Database& database) {
  const std::int64_t pid = ::getpid();
  Statement(database,
            "UPDATE state SET state = 'starting', pid = ?1, pid_started = ?2, boot_id = ?3, "
            "heartbeat_unix = ?4, exit_code = NULL, finished = '', trouble = ''")
      .with(pid, process_start(pid), current_boot_id(), unix_now())
      .run();
}

}  // namespace

Database create_run(const fs::path& file, const contract::RunInfo& info) {
  if (nothing_written(file)) {
    remove_database(file);
  }
  std::error_code error;
  if (fs::exists(file, error)) {
    throw StorageError("'" + file.string() + "' exists already");
  }
  const fs::path fresh = beside(file, ".part");
  remove_database(fresh);
  try {
    Database database(fresh, Database::Mode::kCreate);
    Transaction transaction(database, Transaction::Kind::kWrite);
    database.execute(kSchemaSql);
    insert_run(database, info);
    claim(database);
    transaction.commit();
    database.close();
  } catch (const StorageError&) {
    remove_database(fresh);
    throw;
  }
  fs::rename(fresh, file, error);
  if (error) {
    throw StorageError("'" + file.string() + "' cannot be written: " + error.message());
  }
  sync_folder(file.parent_path());
  Database database(file, Database::Mode::kReadWrite);
  use_wal(database);
  return database;
}

Database reopen_run(const fs::path& file, const contract::RunInfo& info) {
  Database database(file, Database::Mode::kReadWrite);
  migrate(database);
  use_wal(database);
  Transaction transaction(database, Transaction::Kind::kWrite);
  if (!info.id.empty()) {
    update_run(database, info);
  }
  claim(database);
  transaction.commit();
  return database;
}

void write_compact_copy(Database& database) {
  const fs::path copy = beside(database.path(), ".part");
  std::error_code ignored;
  fs::remove(copy, ignored);
  if (database.query_integer("PRAGMA wal_checkpoint(TRUNCATE)") != 0) {
    throw BusyError("'" + database.path().string() +
                    "' is being read: its log cannot be closed yet");
  }
  try {
    Statement(database, "VACUUM INTO ?1").with(copy.string()).run();
    sync_file(copy);
  } catch (const StorageError&) {
    fs::remove(copy, ignored);
    throw;
  }
}

void put_compact_copy(const fs::path& file) noexcept {
  std::error_code error, ignored;
  fs::rename(beside(file, ".part"), file, error);
  if (error) {
    fs::remove(beside(file, ".part"), ignored);
    return;
  }
  sync_folder(file.parent_path());
  fs::remove(beside(file, "-wal"), ignored);
  fs::remove(beside(file, "-shm"), ignored);
}

void leave_wal(Database& database) noexcept {
  try {
    database.query_text("PRAGMA journal_mode = DELETE");
  } catch (const StorageError&) {  // others read: the log is theirs, too
  }
}

fs::path beside(const fs::path& path, const char* suffix) {
  fs::path other = path;
  other += suffix;
  return other;
}

}  // namespace batchscope::storage
