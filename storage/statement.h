#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3_stmt;

namespace batchscope::storage {

class Database;

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

/// A number as schema.sql spells it, or empty for a finite one.
std::string_view nonfinite_word(double value);

}  // namespace batchscope::storage
