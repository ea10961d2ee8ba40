#include "storage/statement.h"

#include "storage/sqlite.h"

#include <sqlite3.h>

#include <cmath>
#include <limits>
#include <utility>

namespace batchscope::storage {

Statement::Statement(const Database& database, std::string_view sql) : database_(&database) {
  database.check(sqlite3_prepare_v3(database.handle(),
                                    sql.data(),
                                    static_cast<int>(sql.size()),
                                    SQLITE_PREPARE_PERSISTENT,
                                    &handle_,
                                    nullptr));
}

Statement::~Statement() {
  sqlite3_finalize(handle_);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_), handle_(std::exchange(other.handle_, nullptr)) {}

bool Statement::step() {
  const int code = sqlite3_step(handle_);
  database_->check(code);
  return code == SQLITE_ROW;
}

void Statement::run() {
  while (step()) {
  }
  reset();
}

void Statement::reset() {
  sqlite3_reset(handle_);
}

void Statement::bind_integer(int index, std::int64_t value) {
  database_->check(sqlite3_bind_int64(handle_, index, value));
}

void Statement::bind(int index, double value) {
  if (std::isfinite(value)) {
    database_->check(sqlite3_bind_double(handle_, index, value));
  } else {
    bind(index, nonfinite_word(value));
  }
}

void Statement::bind(int index, std::string_view value) {
  // A null pointer would be bound as NULL.
  database_->check(sqlite3_bind_text(handle_,
                                     index,
                                     value.data() ? value.data() : "",
                                     static_cast<int>(value.size()),
                                     SQLITE_TRANSIENT));
}

void Statement::bind(int index, BlobView value) {
  database_->check(sqlite3_bind_blob64(
      handle_, index, value.data ? value.data : "", value.size, SQLITE_TRANSIENT));
}

void Statement::bind(int index, std::nullptr_t) {
  database_->check(sqlite3_bind_null(handle_, index));
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(handle_, column);
}

double Statement::number(int column) const {
  if (sqlite3_column_type(handle_, column) != SQLITE_TEXT) {
    return sqlite3_column_double(handle_, column);
  }
  const std::string_view word = bytes(column);
  const double infinity = std::numeric_limits<double>::infinity();
  return word == "inf"    ? infinity
         : word == "-inf" ? -infinity
                          : std::numeric_limits<double>::quiet_NaN();
}

std::string Statement::text(int column) const {
  const unsigned char* text = sqlite3_column_text(handle_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return text ? std::string(reinterpret_cast<const char*>(text), size) : std::string();
}

std::string_view Statement::bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return {static_cast<const char*>(data), data ? size : 0};
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::string_view nonfinite_word(double value) {
  if (std::isfinite(value)) {
    return {};
  }
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

}  // namespace batchscope::storage
