#include "models/weights/byte_reader.h"

#include "models/weights/weight_error.h"

#include <algorithm>
#include <cstring>

namespace batchscope::models {

ByteReader::ByteReader(const ByteSource& source,
                       std::uint64_t begin,
                       std::uint64_t end,
                       std::string what)
    : source_(source),
      place_(begin),
      end_(std::min(end, source.size())),
      what_(std::move(what)),
      block_begin_(begin) {
  place_ = std::min(place_, end_);
}

void ByteReader::fill() {
  constexpr std::uint64_t kBlock = 1 << 16;
  block_ = source_.text(place_, std::min(kBlock, left()));
  block_begin_ = place_;
}

void ByteReader::copy(char* to, std::uint64_t count) {
  if (count > left()) {
    refuse_file(source_.origin(),
                "is truncated: its " + what_ + " ends at byte " + std::to_string(end_) +
                    " and should go on");
  }
  while (count > 0) {
    if (place_ - block_begin_ >= block_.size()) {
      fill();
    }
    const std::uint64_t first = place_ - block_begin_;
    const std::uint64_t part = std::min<std::uint64_t>(count, block_.size() - first);
    std::memcpy(to, block_.data() + first, part);
    to += part;
    place_ += part;
    count -= part;
  }
}

std::uint8_t ByteReader::byte() {
  char one = 0;
  copy(&one, 1);
  return static_cast<std::uint8_t>(one);
}

std::string ByteReader::take(std::uint64_t count) {
  // Checked by copy() too, but memory is asked for here.
  std::string bytes(std::min(count, left()), '\0');
  copy(bytes.data(), count);
  return bytes;
}

std::string ByteReader::line(std::size_t most) {
  std::string text;
  for (char c = static_cast<char>(byte()); c != '\n'; c = static_cast<char>(byte())) {
    if (text.size() == most) {
      refuse_file(source_.origin(),
                  "has a line of more than " + std::to_string(most) + " bytes in its " + what_);
    }
    text += c;
  }
  return text;
}

}  // namespace batchscope::models
