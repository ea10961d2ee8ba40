#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace batchscope::models {

/// Bytes that are read piece by piece: a file, or memory. One thread.
class ByteSource {
 public:
  explicit ByteSource(std::string origin) : origin_(std::move(origin)) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  virtual std::uint64_t size() const = 0;
  /// Copies `count` bytes at `offset`. Throws WeightError if the source ends before, or fails.
  void read(std::uint64_t offset, void* to, std::uint64_t count) const;
  std::string text(std::uint64_t offset, std::uint64_t count) const;
  /// What a message calls it: a file's path as it was given.
  const std::string& origin() const { return origin_; }

 private:
  /// The range is inside the source. False when reading fails.
  virtual bool copy(std::uint64_t offset, void* to, std::uint64_t count) const = 0;

  std::string origin_;
};

/// A file, never mapped: one that is cut while it is read is an error and not a crash.
class FileSource : public ByteSource {
 public:
  /// Throws WeightError if it cannot be opened or is not a regular file.
  explicit FileSource(const std::filesystem::path& path);
  ~FileSource() override;
  std::uint64_t size() const override { return size_; }

 private:
  bool copy(std::uint64_t offset, void* to, std::uint64_t count) const override;

  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// Bytes that someone else keeps.
class MemorySource : public ByteSource {
 public:
  MemorySource(std::string origin, std::string_view bytes)
      : ByteSource(std::move(origin)), bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }

 private:
  bool copy(std::uint64_t offset, void* to, std::uint64_t count) const override;

  std::string_view bytes_;
};

/// Little-endian numbers in bytes, as weight files have them.
template <class Number>
Number little_endian(const char* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(Number); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return static_cast<Number>(value);
}

}  // namespace batchscope::models
