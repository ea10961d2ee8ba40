#include "engine/data/picture_header.h"

#include "engine/contract/error.h"
#include "engine/data/exif.h"
#include "engine/data/picture_format.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

namespace batchscope::train {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw contract::DataError("The picture '" + path + "' " + what + ".");
}

/// A file read at chosen places: pread leaves no buffer to fill.
class Bytes {
 public:
  explicit Bytes(const std::string& path) : path_(path), file_(::open(path.c_str(), O_RDONLY)) {
    if (file_ < 0) {
      fail(path,
           errno == ENOENT ? "does not exist"
                           : std::string("cannot be opened: ") + std::strerror(errno));
    }
  }
  ~Bytes() { ::close(file_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;

  /// How many of `count` bytes there are at `at`.
  std::size_t read(std::uint8_t* out, std::size_t count, std::int64_t at) const {
    const ssize_t got = ::pread(file_, out, count, at);
    if (got < 0) {
      fail(path_, std::string("cannot be read: ") + std::strerror(errno));
    }
    return static_cast<std::size_t>(got);
  }

 private:
  std::string path_;
  int file_;
};

std::int64_t big_endian(const std::uint8_t* bytes, int count) {
  std::int64_t value = 0;
  for (int i = 0; i < count; ++i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

/// Frame headers of all codings; C4, C8 and CC are other segments.
bool starts_frame(std::uint8_t marker) {
  return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/// Of the segment of `length` bytes at `at`.
int orientation_at(const Bytes& file, std::int64_t at, std::int64_t length) {
  std::vector<std::uint8_t> segment(static_cast<std::size_t>(length));
  segment.resize(file.read(segment.data(), segment.size(), at));
  return exif_orientation(segment);
}

/// Walks over the segments of a JPEG file to its frame header.
PictureHeader jpeg_header(const Bytes& file, const std::string& path) {
  constexpr std::uint8_t kApp1 = 0xe1;
  PictureHeader header;
  bool exif = false;  // seen: only the first counts
  std::int64_t at = 2;
  for (std::array<std::uint8_t, 9> b{}; file.read(b.data(), b.size(), at) == b.size();) {
    if (b[0] != 0xff) {
      fail(path, "is a damaged JPEG file: no marker at byte " + std::to_string(at));
    }
    if (b[1] == 0xff) {
      ++at;  // fill bytes may precede a marker
    } else if (b[1] == 0x01 || (b[1] >= 0xd0 && b[1] <= 0xd8)) {
      at += 2;
    } else if (starts_frame(b[1])) {
      header.width = big_endian(&b[7], 2);
      header.height = big_endian(&b[5], 2);
      return header;
    } else {
      const std::int64_t length = big_endian(&b[2], 2);
      if (b[1] == kApp1 && length > 2 && !exif && std::memcmp(&b[4], "Exif", 5) == 0) {
        exif = true;
        header.orientation = orientation_at(file, at + 4, length - 2);
      }
      at += 2 + length;
    }
  }
  fail(path, "is a damaged JPEG file: it ends before its size is said");
}

}  // namespace

PictureHeader read_picture_header(const std::string& path) {
  constexpr std::array<std::uint8_t, 8> kPng = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  const Bytes file(path);
  std::array<std::uint8_t, 24> b{};
  const std::size_t count = file.read(b.data(), b.size(), 0);
  PictureHeader header;
  if (count == 0) {
    fail(path, "is an empty file");
  }
  if (count >= 3 && b[0] == 0xff && b[1] == 0xd8 && b[2] == 0xff) {
    header = jpeg_header(file, path);
  } else if (count >= kPng.size() && std::memcmp(b.data(), kPng.data(), kPng.size()) == 0) {
    if (count < b.size() || std::memcmp(&b[12], "IHDR", 4) != 0) {
      fail(path, "is a damaged PNG file: it has no header");
    }
    header.width = big_endian(&b[16], 4);
    header.height = big_endian(&b[20], 4);
  } else {
    fail(path, other_format({b.data(), count}));
  }
  if (header.width < 1 || header.height < 1) {
    fail(path,
         "has " + std::to_string(header.width) + "x" + std::to_string(header.height) + " pixels");
  }
  return header;
}

}  // namespace batchscope::train
