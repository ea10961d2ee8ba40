#include "storage/sqlite.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>
#include <utility>

namespace batchscope::storage {
namespace {

namespace fs = std::filesystem;

std::string sentence(const fs::path& path, int code, const char* detail) {
  const std::string name = "'" + path.string() + "'";
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return name + " is in use by another process (" + detail + ")";
    case SQLITE_NOTADB:
      return name + " is not a run file: it is no SQLite database";
    case SQLITE_CORRUPT:
      return name + " is damaged: " + detail;
    case SQLITE_FULL:
      return "no space left on the disk of " + name;
    case SQLITE_CANTOPEN:
      return name + " cannot be opened: " + detail;
    case SQLITE_INTERRUPT:
      return name + " is not read to its end: it takes too long, or is not wanted any more";
    case SQLITE_READONLY:
      return name + " cannot be written: " + detail;
    default:
      return name + ": " + detail + " (SQLite code " + std::to_string(code) + ")";
  }
}

[[noreturn]] void fail(const fs::path& path, int code, const char* detail) {
  const int primary = code & 0xff;
  if (primary == SQLITE_BUSY || primary == SQLITE_LOCKED) {
    throw BusyError(sentence(path, code, detail));
  }
  constexpr std::array kOfTheStatement = {
      SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH, SQLITE_MISUSE, SQLITE_RANGE};
  if (std::ranges::find(kOfTheStatement, primary) != kOfTheStatement.end()) {
    throw StatementError(sentence(path, code, detail));
  }
  throw contract::StorageError(sentence(path, code, detail));
}

/// file: URI of an absolute path; SQLite reads %, ? and # in one specially.
std::string uri_of(const fs::path& path, const char* parameters) {
  std::string uri = "file://";
  for (const char c : fs::absolute(path).string()) {
    if (c == '%' || c == '?' || c == '#') {
      static const char* const kHex = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      uri += c;
    }
  }
  return uri + "?" + parameters;
}

fs::path side_file(const fs::path& path, const char* suffix) {
  fs::path side = path;
  side += suffix;
  return side;
}

/// The first read: takes the locks and opens the WAL, so that every later read works too.
int probe(sqlite3* handle) {
  return sqlite3_exec(handle, "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
}

bool cannot_make_side_files(int code) {
  const int primary = code & 0xff;
  return primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY;
}

constexpr int kReaderBusyMs = 5000;
/// Longest value that a reader takes. Pictures are the longest there are.
constexpr int kLongestValue = 256 << 20;
/// How often the limits of reading are looked at, in steps.
constexpr int kWatchEvery = 1000;

}  // namespace

struct Database::Watch {
  ReadLimits limits;
  std::int64_t steps = 0;
  bool over() {
    steps += kWatchEvery;
    return (limits.steps > 0 && steps > limits.steps) ||
           (limits.cancelled != nullptr && limits.cancelled->load());
  }
};

Database::Database() = default;

void Database::harden() {
  for (const auto& [setting, value] : {std::pair{SQLITE_DBCONFIG_DEFENSIVE, 1},
                                       {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
                                       {SQLITE_DBCONFIG_ENABLE_VIEW, 0},
                                       {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0}}) {
    check(sqlite3_db_config(handle_, setting, value, nullptr));
  }
  execute("PRAGMA cell_size_check = ON");
}

void Database::watch(const ReadLimits& limits) {
  sqlite3_limit(handle_, SQLITE_LIMIT_LENGTH, kLongestValue);
  if (limits.steps > 0 || limits.cancelled != nullptr) {
    watch_ = std::make_unique<Watch>(Watch{limits});
    const auto over = [](void* watch) { return static_cast<Watch*>(watch)->over() ? 1 : 0; };
    sqlite3_progress_handler(handle_, kWatchEvery, over, watch_.get());
  }
}

Database::Database(const fs::path& path, Mode mode, int busy_timeout_ms) : path_(path) {
  std::error_code error;
  if (mode == Mode::kCreate && fs::exists(path, error)) {
    throw contract::StorageError("'" + path.string() + "' exists already");
  }
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                    (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &handle_, flags, nullptr);
  if (code != SQLITE_OK) {
    const std::string detail = handle_ ? sqlite3_errmsg(handle_) : "out of memory";
    close();
    fail(path, code, detail.c_str());
  }
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, busy_timeout_ms);
  try {
    harden();
  } catch (...) {
    sqlite3_close_v2(std::exchange(handle_, nullptr));  // no destructor runs
    throw;
  }
}

Database Database::open_uri(const fs::path& path,
                            const char* parameters,
                            const ReadLimits& limits) {
  Database database;
  database.path_ = path;
  const int code = sqlite3_open_v2(uri_of(path, parameters).c_str(),
                                   &database.handle_,
                                   SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                                   nullptr);
  if (code != SQLITE_OK) {
    const std::string detail =
        database.handle_ ? sqlite3_errmsg(database.handle_) : "out of memory";
    fail(path, code, detail.c_str());
  }
  sqlite3_extended_result_codes(database.handle_, 1);
  sqlite3_busy_timeout(database.handle_, kReaderBusyMs);
  database.harden();
  database.watch(limits);
  return database;
}

Database Database::open_for_reading(const fs::path& path, ReadLimits limits) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) {
    throw contract::StorageError("there is no run file '" + path.string() + "'");
  }
  Database database = open_uri(path, "mode=ro", limits);
  const int code = probe(database.handle_);
  if (!cannot_make_side_files(code)) {
    database.check(code);
    return database;
  }
  const fs::path wal = side_file(path, "-wal");
  if (!fs::exists(wal, error) || fs::file_size(wal, error) == 0) {
    // No writer and nothing in a log: the file alone is the whole truth.
    database = open_uri(path, "mode=ro&immutable=1", limits);
    database.check(probe(database.handle_));
    return database;
  }
  // A killed writer's log can only be read where an index of it can be made: beside a copy.
  std::string folder = (fs::temp_directory_path(error) / "batchscope-XXXXXX").string();
  if (!mkdtemp(folder.data())) {
    throw contract::StorageError("no temporary folder can be made to read '" + path.string() + "'");
  }
  Database owner;
  owner.private_copy_ = folder;
  const fs::path copy = owner.private_copy_ / "run.sqlite";
  if (!fs::copy_file(path, copy, error) || !fs::copy_file(wal, side_file(copy, "-wal"), error)) {
    throw contract::StorageError("'" + path.string() +
                                 "' cannot be copied for reading: " + error.message());
  }
  database = open_uri(copy, "mode=ro", limits);
  database.path_ = path;
  std::swap(database.private_copy_, owner.private_copy_);
  database.check(probe(database.handle_));
  return database;
}

void Database::close() {
  const int code = sqlite3_close_v2(std::exchange(handle_, nullptr));
  if (!private_copy_.empty()) {
    std::error_code ignored;
    fs::remove_all(std::exchange(private_copy_, {}), ignored);
  }
  if (code != SQLITE_OK) {
    fail(path_, code, sqlite3_errstr(code));
  }
}

Database::~Database() {
  try {
    close();
  } catch (const contract::StorageError&) {  // a destructor does not throw
  }
}

Database::Database(Database&& other) noexcept
    : path_(std::move(other.path_)),
      private_copy_(std::exchange(other.private_copy_, {})),
      handle_(std::exchange(other.handle_, nullptr)),
      watch_(std::move(other.watch_)) {}

Database& Database::operator=(Database&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(private_copy_, other.private_copy_);
  std::swap(handle_, other.handle_);
  std::swap(watch_, other.watch_);
  return *this;
}

void Database::check(int code) const {
  if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
    fail(path_, code, sqlite3_errmsg(handle_));
  }
}

void Database::set_busy_timeout(int milliseconds) noexcept {
  sqlite3_busy_timeout(handle_, milliseconds);
}

void Database::execute(const std::string& sql) {
  check(sqlite3_exec(handle_, sql.c_str(), nullptr, nullptr, nullptr));
}

std::int64_t Database::query_integer(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

std::string Database::query_text(const std::string& sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.text(0) : std::string();
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_);
}

bool Database::in_transaction() const {
  return sqlite3_get_autocommit(handle_) == 0;
}

Transaction::Transaction(Database& database, Kind kind) : database_(database) {
  database_.execute(kind == Kind::kRead ? "BEGIN" : "BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (open_) {
    // SQLite may have rolled back by itself (disk full); there is nothing to say then.
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void Transaction::commit() {
  database_.execute("COMMIT");
  open_ = false;
}

}  // namespace batchscope::storage
