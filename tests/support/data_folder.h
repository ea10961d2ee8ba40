#pragma once

#include "tests/support/sentences.h"

#include <QtTest>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <png.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace batchscope {

/// A temporary folder for a small data set, filled by a test.
class DataFolder {
 public:
  std::string path(const std::string& name = {}) const {
    return (std::filesystem::path(folder_.path().toStdString()) / name).string();
  }
  /// Writes a file; folders in its name are made.
  void write(const std::string& name, const std::string& content) const {
    make_room(name);
    std::ofstream(path(name), std::ios::binary) << content;
  }
  /// A grey PNG of 8 bits, or an RGB one of labels R + 256 G + 65536 B; values row by row.
  void png(const std::string& name,
           std::uint32_t width,
           std::uint32_t height,
           const std::vector<std::uint32_t>& values,
           bool colours = false) const {
    make_room(name);
    const std::uint32_t step = colours ? 3 : 1;
    std::vector<std::uint8_t> bytes;
    for (const std::uint32_t value : values) {
      for (std::uint32_t i = 0; i < step; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(value >> 8 * i));
      }
    }
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = width;
    image.height = height;
    image.format = colours ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    if (bytes.size() != std::size_t{width} * height * step ||
        png_image_write_to_file(&image, path(name).c_str(), 0, bytes.data(), 0, nullptr) == 0) {
      throw std::logic_error("test: " + name + " could not be written");
    }
  }
  /// A picture of one colour.
  void picture(const std::string& name, std::uint32_t width, std::uint32_t height) const {
    png(name,
        width,
        height,
        std::vector<std::uint32_t>(std::size_t{width} * height, 0x405060),
        true);
  }

 private:
  void make_room(const std::string& name) const {
    std::filesystem::create_directories(std::filesystem::path(path(name)).parent_path());
  }
  QTemporaryDir folder_;
};

/// The folder of the real data that tests may use; they skip where it is absent.
inline std::string shared_data() {
  const QByteArray given = qgetenv("BATCHSCOPE_SHARED_DATA");
  return given.isEmpty() ? BATCHSCOPE_SOURCE_DIR "/../shared/data" : given.toStdString();
}

}  // namespace batchscope
