#include "engine/data/exif.h"

#include <algorithm>
#include <string_view>

namespace batchscope::train {
namespace {

/// The TIFF file in an Exif segment. Offsets may be anything: what lies outside reads as 0.
class Tiff {
 public:
  explicit Tiff(std::span<const std::uint8_t> bytes)
      : bytes_(bytes), little_(!bytes.empty() && bytes[0] == 'I') {}
  bool known() const { return number(0, 2) == (little_ ? 0x4949U : 0x4d4dU) && number(2, 2) == 42; }
  std::size_t size() const { return bytes_.size(); }
  /// Of up to four bytes.
  std::uint32_t number(std::size_t at, std::size_t count) const {
    if (at > bytes_.size() || count > bytes_.size() - at) {
      return 0;
    }
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      value = value << 8 | bytes_[little_ ? at + count - 1 - i : at + i];
    }
    return value;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  bool little_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> segment) {
  constexpr std::string_view kExif = "Exif";
  constexpr std::size_t kHeader = 6;  // "Exif", 0, and a byte that not all writers make 0
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3, kLong = 4;
  if (segment.size() < kHeader || !std::equal(kExif.begin(), kExif.end(), segment.begin())) {
    return 1;
  }
  const Tiff tiff(segment.subspan(kHeader));
  if (!tiff.known()) {
    return 1;
  }
  const std::size_t directory = tiff.number(4, 4);
  const std::size_t entries = tiff.number(directory, 2);
  for (std::size_t i = 0, at = directory + 2; i < entries && at < tiff.size(); ++i, at += 12) {
    if (tiff.number(at, 2) == kOrientation) {
      const std::uint32_t type = tiff.number(at + 2, 2);
      const std::uint32_t value = type == kShort  ? tiff.number(at + 8, 2)
                                  : type == kLong ? tiff.number(at + 8, 4)
                                                  : 0;
      return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
  }
  return 1;
}

}  // namespace batchscope::train
