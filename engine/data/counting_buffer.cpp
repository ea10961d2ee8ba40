#include "engine/data/counting_buffer.h"

#include "engine/contract/error.h"

#include <cerrno>
#include <cstring>

namespace batchscope::train {
namespace {

void count(const char* begin, const char* end, std::size_t& line, std::size_t& column) {
  for (const char* c = begin; c != end; ++c) {
    column = *c == '\n' ? 0 : column + 1;
    line += *c == '\n' ? 1 : 0;
  }
}

}  // namespace

std::uint64_t fnv1a(const char* bytes, std::size_t count, std::uint64_t hash) {
  for (std::size_t i = 0; i < count; ++i) {
    hash = (hash ^ static_cast<std::uint8_t>(bytes[i])) * 0x100000001b3ULL;
  }
  return hash;
}

CountingBuffer::CountingBuffer(const std::string& path)
    : path_(path),
      file_(std::fopen(path.c_str(), "rb"), &std::fclose),
      chunk_(std::size_t{1} << 20) {
  if (!file_) {
    throw contract::DataError("The annotation file '" + path +
                              "' cannot be opened: " + std::strerror(errno) + ".");
  }
}

std::string CountingBuffer::place() const {
  std::size_t line = line_, column = column_;
  count(eback(), gptr(), line, column);
  const auto byte = before_ + static_cast<std::size_t>(gptr() - eback());
  return "line " + std::to_string(line) + ", column " + std::to_string(column) + " (byte " +
         std::to_string(byte) + ")";
}

void CountingBuffer::require_readable() const {
  if (std::ferror(file_.get()) != 0) {
    throw contract::DataError("The annotation file '" + path_ +
                              "' cannot be read: " + std::strerror(error_) + ".");
  }
}

CountingBuffer::int_type CountingBuffer::underflow() {
  count(eback(), egptr(), line_, column_);
  before_ += static_cast<std::size_t>(egptr() - eback());
  const std::size_t read = std::fread(chunk_.data(), 1, chunk_.size(), file_.get());
  error_ = errno;
  hash_ = fnv1a(chunk_.data(), read, hash_);
  setg(chunk_.data(), chunk_.data(), chunk_.data() + read);
  return read == 0 ? traits_type::eof() : traits_type::to_int_type(chunk_[0]);
}

}  // namespace batchscope::train
