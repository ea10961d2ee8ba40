#include "engine/contract/error.h"
#include "engine/metrics/label_map.h"

#include <algorithm>
#include <png.h>
#include <stdexcept>

namespace batchscope::train {
namespace {

void write(const std::string& path, const LabelMap& map, png_uint_32 format, const void* pixels) {
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = map.width;
  header.height = map.height;
  header.format = format;
  if (png_image_write_to_file(&header, path.c_str(), 0, pixels, 0, nullptr) == 0) {
    throw contract::StorageError("The picture '" + path +
                                 "' could not be written: " + header.message + ".");
  }
}

template <typename T, unsigned kParts>
std::vector<T> split(const LabelMap& map) {
  std::vector<T> values(map.labels.size() * kParts);
  auto* out = values.data();
  for (const std::uint32_t label : map.labels) {
    for (unsigned part = 0; part < kParts; ++part) {
      *out++ = static_cast<T>(label >> (8 * part));
    }
  }
  return values;
}

}  // namespace

void write_label_map(const std::string& path, const LabelMap& map, LabelCoding coding) {
  const bool panoptic = coding == LabelCoding::kPanoptic;
  const std::uint32_t largest =
      map.labels.empty() ? 0 : *std::max_element(map.labels.begin(), map.labels.end());
  if (largest >= (panoptic ? 1U << 24 : 1U << 16)) {
    throw std::invalid_argument("a label of " + std::to_string(largest) +
                                " does not fit into a PNG of labels");
  }
  if (panoptic) {
    write(path, map, PNG_FORMAT_RGB, split<png_byte, 3>(map).data());
  } else if (largest < 256) {
    write(path, map, PNG_FORMAT_GRAY, split<png_byte, 1>(map).data());
  } else {
    write(path, map, PNG_FORMAT_LINEAR_Y, split<png_uint_16, 1>(map).data());
  }
}

}  // namespace batchscope::train
