#pragma once

#include "models/weights/file_writer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::models {

/// A zip file of stored records as torch.save lays it out: every record begins at a multiple of 64
/// bytes, its check sum follows it, the directory has the 64-bit extension. One thread.
class ZipWriter {
 public:
  /// `folder` is the name before every record's, without a slash. `file` must outlive it.
  ZipWriter(FileWriter& file, std::string folder) : file_(file), folder_(std::move(folder)) {}

  /// One whole record. Throws DiskError.
  void add(const std::string& name, const void* bytes, std::uint64_t count);
  void add(const std::string& name, const std::string& bytes) {
    add(name, bytes.data(), bytes.size());
  }
  /// The directory; nothing may follow. Throws DiskError.
  void finish();
  /// A number that depends on the names and contents of all records so far: 40 digits.
  std::string digest() const;

 private:
  struct Record {
    std::string name;
    std::uint64_t header = 0, bytes = 0;
    std::uint32_t crc = 0;
  };
  void write_header(const Record& record);

  FileWriter& file_;
  std::string folder_;
  std::vector<Record> records_;
};

}  // namespace batchscope::models
