#pragma once

#include "engine/data/fnv.h"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchscope::train {

/// A JSON file read value by value, in the order of the file, through one buffer of 256 KiB: lists
/// of any length cost no memory. Strict JSON, but for the numbers NaN, Infinity and -Infinity,
/// which Python writes. Every error is a contract::DataError that names the file, the entry
/// ("annotations[17].bbox[2]") and the line, column and byte. One thread.
///
///   reader.begin_object();
///   for (std::string_view key; reader.key(key);) { … read or skip() the value … }
class JsonReader {
 public:
  enum class Type { kObject, kList, kText, kNumber, kBoolean, kNull };

  /// `what` begins the sentences: "The results file". A byte order mark is passed over.
  JsonReader(std::string path, std::string what);

  /// What comes next; nothing is consumed.
  Type next();
  void begin_object();
  /// The next key, which stays valid until the next call of key() at this depth. False: the object
  /// has ended. Its value has to be read or skipped before the next call.
  bool key(std::string_view& name);
  void begin_list();
  /// Whether another item comes; it has to be read or skipped before the next call.
  bool item();
  /// A finite number.
  double number();
  /// A number that may be NaN or infinite.
  double any_number();
  /// Written in any way: 7, 7.0 or 1.64e18.
  std::int64_t integer();
  /// Valid until the next call.
  std::string_view text();
  /// true, false, 0 or 1; another whole number counts as true, null as false.
  bool flag();
  /// Consumes null if it comes next.
  bool null();
  /// Any value.
  void skip();
  /// A list of objects: calls read() at the begin of each, which goes through key() to its end.
  template <typename Read>
  void each(const Read& read) {
    for (begin_list(); item();) {
      begin_object();
      read();
    }
  }
  /// Throws unless only white space follows.
  void finish();
  /// FNV-1a of the bytes read so far: of the whole file after finish().
  std::uint64_t hash() const { return hash_; }

  /// "annotations[17].bbox" of the value that comes next or was read last; "" at the top.
  std::string entry() const;
  /// Items of the innermost open list that came before the present one.
  std::size_t index() const { return frames_[depth_].index; }
  /// Throws: "The results file 'r.json', line 3, column 14 (byte 120): [17].score: <sentence>."
  [[noreturn]] void fail(const std::string& sentence) const;
  /// fail("no FIELD") unless it was there.
  void need(bool there, const char* field) const;
  template <typename T>
  const T& need(const std::optional<T>& value, const char* field) const {
    need(value.has_value(), field);
    return *value;
  }
  /// fail("expected …").
  [[noreturn]] void expected(const std::string& what) const;
  const std::string& path() const { return path_; }

 private:
  struct Frame {
    bool list = false, first = true;
    std::size_t index = 0;
    std::string key;
  };
  struct Number {
    double value = 0;
    std::int64_t integer = 0;
    bool whole = false;
  };

  void skip_mark();
  /// The next character that is no white space; -1 at the end.
  int look();
  /// Makes `count` bytes available if the file has them; false: it has fewer.
  bool ensure(std::size_t count);
  void open(bool list);
  bool more(char close);
  [[noreturn]] void invalid(const std::string& detail) const;
  std::string place() const;
  Number parse_number();
  Number parse_special();
  void literal(std::string_view word);
  std::string_view string();
  void string_piece(bool& foreign);
  void escape();
  unsigned hex4();

  std::string path_, what_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<char> buffer_;
  const char* at_;
  const char* end_;
  bool ended_ = false;
  std::uint64_t hash_ = kFnvStart;
  std::size_t bytes_before_ = 0, lines_before_ = 0, column_before_ = 0;  // of what left the buffer
  std::vector<Frame> frames_;
  std::size_t depth_ = 0;
  std::string scratch_;
};

}  // namespace batchscope::train
