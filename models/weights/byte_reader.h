#pragma once

#include "models/weights/byte_source.h"

#include <array>
#include <cstdint>
#include <string>

namespace batchscope::models {

/// A range of a source read from its beginning to its end, a block at a time. One thread.
class ByteReader {
 public:
  /// Bytes `begin` to `end` of `source`, which must outlive it; `what` names them in messages.
  ByteReader(const ByteSource& source, std::uint64_t begin, std::uint64_t end, std::string what);

  /// All throw WeightError when the range ends before.
  std::uint8_t byte();
  std::string take(std::uint64_t count);
  template <class Number>
  Number number() {
    std::array<char, sizeof(Number)> bytes{};
    copy(bytes.data(), bytes.size());
    return little_endian<Number>(bytes.data());
  }
  /// Up to a line break, which is taken too. Throws WeightError if it is longer than `most` bytes.
  std::string line(std::size_t most);

  /// Of the next byte, in the source.
  std::uint64_t place() const { return place_; }
  std::uint64_t left() const { return end_ - place_; }
  const ByteSource& source() const { return source_; }

 private:
  void copy(char* to, std::uint64_t count);
  void fill();

  const ByteSource& source_;
  std::uint64_t place_, end_;
  std::string what_;
  std::string block_;
  std::uint64_t block_begin_ = 0;  // of block_ in the source
};

}  // namespace batchscope::models
