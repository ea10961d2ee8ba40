#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <streambuf>
#include <string>
#include <vector>

namespace batchscope::train {

/// FNV-1a, 64 bits, continued from `hash` (kFnvStart at the beginning).
inline constexpr std::uint64_t kFnvStart = 0xcbf29ce484222325ULL;
std::uint64_t fnv1a(const char* bytes, std::size_t count, std::uint64_t hash);

/// A file read in pieces of 1 MiB, which knows its hash and where its reader is. One thread.
class CountingBuffer : public std::streambuf {
 public:
  /// Throws contract::DataError when the file cannot be opened.
  explicit CountingBuffer(const std::string& path);
  /// Hash of all that was read from the file.
  std::uint64_t hash() const { return hash_; }
  /// "line 3, column 14 (byte 120)" of the character read last.
  std::string place() const;
  /// Throws contract::DataError when the file ended because reading failed.
  void require_readable() const;

 protected:
  int_type underflow() override;

 private:
  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<char> chunk_;
  std::uint64_t hash_ = kFnvStart;
  int error_ = 0;
  std::size_t before_ = 0, line_ = 1, column_ = 0;  // of the chunks before this one
};

}  // namespace batchscope::train
