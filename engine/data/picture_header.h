#pragma once

#include <cstdint>
#include <string>

namespace batchscope::train {

/// What the first bytes of a picture file say.
struct PictureHeader {
  std::int64_t width = 0, height = 0;  // px
  int orientation = 1;                 // of a JPEG file's Exif data, 1…8; 1: as stored
};

/// Reads the header of a JPEG or PNG picture without decoding it: a few reads of a few bytes, and
/// one of the Exif data where there are any. Throws contract::DataError naming the file: missing,
/// empty, another format, cut off before its size, no pixels. Any thread.
PictureHeader read_picture_header(const std::string& path);

}  // namespace batchscope::train
