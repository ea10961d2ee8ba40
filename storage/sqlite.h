#pragma once

#include "engine/contract/error.h"

#include <concepts>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace batchscope::storage {

/// Another connection holds a lock; the same call may succeed later.
class BusyError : public contract::StorageError {
 public:
  using contract::StorageError::StorageError;
};

/// One connection to one SQLite file. One thread. Everything throws contract::StorageError (or
/// BusyError) with a sentence that names the file.
class Database {
 public:
  enum class Mode { kCreate, kReadWrite };
  /// kCreate: the file must not exist; kReadWrite: it must. Locks are waited for up to
  /// `busy_timeout_ms`.
  Database(const std::filesystem::path& path, Mode mode, int busy_timeout_ms = 5000);
  /// Opens for reading: a WAL database that is being written, one whose writer was killed, a
  /// self-contained file, each also in a folder that cannot be written. Never changes the file.
  static Database open_for_reading(const std::filesystem::path& path);
  ~Database();
  Database(Database&& other) noexcept;
  Database& operator=(Database&& other) noexcept;

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
  Database() = default;
  static Database open_uri(const std::filesystem::path& path, const char* parameters);

  std::filesystem::path path_;          // as users know it
  std::filesystem::path private_copy_;  // temporary folder that is removed on closing, or empty
  sqlite3* handle_ = nullptr;
};

/// Bytes that are bound as a blob.
struct BlobView {
  const void* data = nullptr;
  std::size_t size = 0;
};

/// One prepared statement. Doubles are bound and read as schema.sql says: finite ones as REAL, the
/// others as the words nan, inf and -inf.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  /// Starts over with these values for ?1, ?2, ...
  template <class... Values>
  Statement& with(const Values&... values) {
    reset();
    int index = 0;
    (bind(++index, values), ...);
    return *this;
  }
  /// Goes to the next row; false after the last.
  bool step();
  /// Runs a statement whose rows are not wanted.
  void run();
  void reset();

  std::int64_t integer(int column) const;
  double number(int column) const;
  std::string text(int column) const;
  /// Valid until the next step.
  std::string_view bytes(int column) const;
  bool is_null(int column) const;

 private:
  template <std::integral Integer>
  void bind(int index, Integer value) {
    bind_integer(index, static_cast<std::int64_t>(value));
  }
  void bind(int index, double value);
  void bind(int index, std::string_view value);
  void bind(int index, BlobView value);
  void bind(int index, std::nullptr_t);
  template <class Value>
  void bind(int index, const std::optional<Value>& value) {
    value ? bind(index, *value) : bind(index, nullptr);
  }
  void bind_integer(int index, std::int64_t value);

  const Database* database_;
  sqlite3_stmt* handle_ = nullptr;
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

/// A number as schema.sql spells it, or empty for a finite one.
std::string_view nonfinite_word(double value);

}  // namespace batchscope::storage
