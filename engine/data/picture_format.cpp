#include "engine/data/picture_format.h"

#include <array>
#include <string_view>

namespace batchscope::train {
namespace {

struct Format {
  std::size_t at;  // byte
  std::string_view magic;
  const char* name;
};

constexpr std::array<Format, 15> kFormats = {{
    {8, "WEBP", "a WebP picture"},
    {0, "BM", "a BMP picture"},
    {0, "GIF8", "a GIF picture"},
    {0, {"II*\0", 4}, "a TIFF picture"},
    {0, {"MM\0*", 4}, "a TIFF picture"},
    {4, "ftypavif", "an AVIF picture"},
    {4, "ftypheic", "a HEIC picture"},
    {4, "ftypmif1", "a HEIF picture"},
    {4, {"jP  ", 4}, "a JPEG 2000 picture"},
    {0, "%PDF", "a PDF document"},
    {0, "PK\x03\x04", "a ZIP file"},
    {0, "<!DOCTYPE", "a web page"},
    {0, "<!doctype", "a web page"},
    {0, "<html", "a web page"},
    {0, "version https://git-lfs", "a pointer of Git LFS, whose picture is not fetched"},
}};

}  // namespace

std::string other_format(std::span<const std::uint8_t> begin) {
  const std::string_view text(reinterpret_cast<const char*>(begin.data()), begin.size());
  for (const Format& format : kFormats) {
    if (text.size() > format.at && text.substr(format.at).starts_with(format.magic)) {
      return std::string("is ") + format.name + "; expected a JPEG or PNG file";
    }
  }
  return "is neither a JPEG nor a PNG file";
}

}  // namespace batchscope::train
