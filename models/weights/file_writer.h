#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace batchscope::models {

/// A file that is written beside its name and renamed when it is whole; until then, and if finish()
/// is never called, it does not exist. One thread.
class FileWriter {
 public:
  struct Options {
    bool durable = false;  // on the disk, and not only with the system, when finish() returns
  };

  /// Throws DiskError if the file beside it cannot be made.
  FileWriter(std::filesystem::path path, const Options& options);
  ~FileWriter();
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// Both throw DiskError (disk full, no permission).
  void append(const void* bytes, std::uint64_t count);
  void append(const std::string& bytes) { append(bytes.data(), bytes.size()); }
  void finish();
  /// Bytes appended so far.
  std::uint64_t place() const { return place_; }

 private:
  void write(const char* bytes, std::uint64_t count);
  void flush();

  std::filesystem::path path_, beside_;
  Options options_;
  int fd_ = -1;
  std::uint64_t place_ = 0;
  std::string buffer_;
};

}  // namespace batchscope::models
