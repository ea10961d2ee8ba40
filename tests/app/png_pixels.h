#pragma once

#include <array>
#include <cstdint>
#include <png.h>
#include <set>
#include <string>
#include <vector>

namespace batchscope {

/// What a PNG holds, in 8 bits a value; nothing where it cannot be read.
class PngPixels {
 public:
  PngPixels(const std::string& path, bool colours) : step_(colours ? 3 : 1) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&image, path.c_str()) == 0) {
      return;
    }
    image.format = colours ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    values_.resize(PNG_IMAGE_SIZE(image));
    width = static_cast<int>(image.width);
    height = static_cast<int>(image.height);
    if (png_image_finish_read(&image, nullptr, values_.data(), 0, nullptr) == 0) {
      width = height = 0;
    }
  }
  std::array<int, 3> at(int x, int y) const {
    const auto begin = (std::size_t(y) * std::size_t(width) + std::size_t(x)) * step_;
    return {values_.at(begin), values_.at(begin + step_ / 2), values_.at(begin + step_ - 1)};
  }
  std::set<int> all() const { return {values_.begin(), values_.end()}; }
  bool operator==(const PngPixels& other) const = default;

  int width = 0, height = 0;

 private:
  std::size_t step_;
  std::vector<std::uint8_t> values_;
};

}  // namespace batchscope
