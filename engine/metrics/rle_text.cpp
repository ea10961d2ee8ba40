#include "engine/metrics/rle.h"

#include <stdexcept>

// COCO's compressed run lengths: from the fourth on, a length is the difference to the one two
// before it; each is written least significant 5 bits first, one character (48 + bits) per piece,
// bit 5 = more pieces follow, the top bit of the last piece is the sign.

namespace batchscope::train {
namespace {

constexpr unsigned kMore = 0x20, kSign = 0x10;
constexpr unsigned kMostPieces = 7;  // 35 bits

/// Takes one number off the front of the text.
std::int64_t take_number(std::string_view& text) {
  std::int64_t value = 0;
  for (unsigned piece = 0; piece < kMostPieces && !text.empty(); ++piece) {
    const int bits = text.front() - 48;
    if (bits < 0 || bits > 0x3f) {
      throw std::invalid_argument("a character that no compressed run length has");
    }
    text.remove_prefix(1);
    value |= std::int64_t{bits & 0x1f} << (5 * piece);
    if ((static_cast<unsigned>(bits) & kMore) == 0) {
      const bool negative = (static_cast<unsigned>(bits) & kSign) != 0;
      return negative ? value - (std::int64_t{1} << (5 * (piece + 1))) : value;
    }
  }
  throw std::invalid_argument(text.empty() ? "the last run length is cut off"
                                           : "a run length of more than 7 characters");
}

}  // namespace

Rle rle_from_text(std::string_view text, std::uint32_t height, std::uint32_t width) {
  std::vector<std::uint32_t> counts;
  counts.reserve(text.size() / 2 + 1);
  while (!text.empty()) {
    std::int64_t count = take_number(text);
    if (counts.size() > 2) {
      count += counts[counts.size() - 2];
    }
    if (count < 0 || count > static_cast<std::int64_t>(kMaxMaskPixels)) {
      throw std::invalid_argument("run " + std::to_string(counts.size()) + " has the length " +
                                  std::to_string(count));
    }
    counts.push_back(static_cast<std::uint32_t>(count));
  }
  return rle_from_counts(counts, height, width);
}

std::string rle_to_text(const Rle& rle) {
  std::string text;
  for (std::size_t i = 0; i < rle.counts.size(); ++i) {
    std::int64_t value = rle.counts[i];
    if (i > 2) {
      value -= rle.counts[i - 2];
    }
    for (bool more = true; more;) {
      auto bits = static_cast<unsigned>(value & 0x1f);
      value >>= 5;
      more = (bits & kSign) != 0 ? value != -1 : value != 0;
      bits |= more ? kMore : 0;
      text.push_back(static_cast<char>(bits + 48));
    }
  }
  return text;
}

}  // namespace batchscope::train
