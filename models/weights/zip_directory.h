#pragma once

#include "models/weights/byte_source.h"

#include <cstdint>
#include <map>
#include <string>

namespace batchscope::models {

/// One record of a zip file, as its central directory tells.
struct ZipRecord {
  std::uint64_t header = 0;        // where its local header begins
  std::uint64_t bytes = 0;         // of its content
  std::uint64_t stored_bytes = 0;  // the same unless it is compressed
  std::uint16_t method = 0;        // 0: stored
  std::uint16_t flags = 0;
};

/// The central directory of a zip file (with the 64-bit extension). Only that is read. Records are
/// used as they lie, so one that is compressed or encrypted can be listed and not read.
class ZipDirectory {
 public:
  /// Throws WeightError: no such file, truncated, counts or places that do not fit.
  explicit ZipDirectory(const ByteSource& source);

  const std::map<std::string, ZipRecord>& records() const { return records_; }
  /// Throws WeightError if there is no such record, or it is not stored plainly.
  const ZipRecord& plain(const std::string& name) const;

 private:
  struct Place {
    std::uint64_t begin = 0, bytes = 0, records = 0;
  };
  Place find() const;
  Place find_wide(std::uint64_t locator) const;
  void read(const Place& place);
  std::size_t read_record(const std::string& text, std::size_t at, std::uint64_t directory);

  const ByteSource& source_;
  std::map<std::string, ZipRecord> records_;
};

/// Where the content of a plain record begins: behind its local header, which is read and checked.
/// Throws WeightError.
std::uint64_t content_place(const ByteSource& source, const ZipRecord& record);

}  // namespace batchscope::models
