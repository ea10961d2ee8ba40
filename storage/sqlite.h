#pragma once

#include "engine/contract/error.h"
#include "storage/statement.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

struct sqlite3;

namespace batchscope::storage {

/// Another connection holds a lock; the same call may succeed later.
class BusyError : public contract::StorageError {
 public:
  using contract::StorageError::StorageError;
};

/// The statement itself cannot be carried out (a broken constraint, a table that is not there): the
/// same call would fail again, while others may succeed.
class StatementError : public contract::StorageError {
 public:
  using contract::StorageError::StorageError;
};

/// What reading a file may cost at most: it may come from a stranger.
struct ReadLimits {
  std::int64_t steps = 0;                        // of SQLite's machine; 0: any number
  const std::atomic<bool>* cancelled = nullptr;  // set: reading ends
};

/// One connection to one SQLite file. One thread. Files are data and no programs: views and
/// triggers do not run, functions in a schema are not trusted. Everything throws
/// contract::StorageError (a BusyError or StatementError where it is one) with a sentence that
/// names the file.
class Database {
 public:
  enum class Mode { kCreate, kReadWrite };
  /// kCreate: the file must not exist; kReadWrite: it must. Locks are waited for up to
  /// `busy_timeout_ms`.
  Database(const std::filesystem::path& path, Mode mode, int busy_timeout_ms = 5000);
  /// Opens for reading: a WAL database that is being written, one whose writer was killed, a
  /// self-contained file, each also in a folder that cannot be written. Never changes the file.
  static Database open_for_reading(const std::filesystem::path& path, ReadLimits limits = {});
  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;

  /// How long a lock of another connection is waited for.
  void set_busy_timeout(int milliseconds) noexcept;
  /// Runs statements that give no rows.
  void execute(const std::string& sql);
  /// First column of the first row; 0 or "" if there is none.
  std::int64_t query_integer(const std::string& sql);
  std::string query_text(const std::string& sql);
  std::int64_t last_insert_id() const;
  bool in_transaction() const;
  /// Closes now; an error while closing is reported here and swallowed by the destructor.
  void close();

  const std::filesystem::path& path() const { return path_; }
  sqlite3* handle() const { return handle_; }
  /// Throws the error that `code` stands for, unless it is SQLITE_OK, _ROW or _DONE.
  void check(int code) const;

 private:
  struct Watch;

  Database();
  static Database open_uri(const std::filesystem::path& path,
                           const char* parameters,
                           const ReadLimits& limits);
  void harden();
  void watch(const ReadLimits& limits);

  std::filesystem::path path_;          // as users know it
  std::filesystem::path private_copy_;  // temporary folder that is removed on closing, or empty
  sqlite3* handle_ = nullptr;
  std::unique_ptr<Watch> watch_;
};

/// A transaction that is rolled back unless it was committed.
class Transaction {
 public:
  enum class Kind { kRead, kWrite };
  Transaction(Database& database, Kind kind);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace batchscope::storage
