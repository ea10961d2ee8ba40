#include "engine/metrics/coco_segmentation.h"

#include "engine/metrics/rle_polygon.h"

#include <limits>
#include <stdexcept>

namespace batchscope::train {
namespace {

std::uint32_t small_number(JsonReader& reader, const char* what) {
  const std::int64_t value = reader.integer();
  if (value < 0 || value > std::numeric_limits<std::uint32_t>::max()) {
    reader.expected(what);
  }
  return static_cast<std::uint32_t>(value);
}

std::array<std::uint32_t, 2> read_size(JsonReader& reader) {
  constexpr const char* kExpected = "two sizes, height and width";
  std::array<std::uint32_t, 2> size{};
  std::size_t n = 0;
  for (reader.begin_list(); reader.item(); ++n) {
    if (n == size.size()) {
      reader.expected(kExpected);
    }
    size[n] = small_number(reader, kExpected);
  }
  if (n != size.size()) {
    reader.expected(kExpected);
  }
  return size;
}

std::string by(std::uint32_t height, std::uint32_t width) {
  return std::to_string(height) + " x " + std::to_string(width);
}

}  // namespace

void Segmentation::clear() {
  present_ = false;
  rle_.reset();
  corners_.clear();
  ends_.clear();
}

void Segmentation::read(JsonReader& reader, bool may_be_empty) {
  clear();
  if (reader.null()) {
    return;
  }
  present_ = true;
  switch (reader.next()) {
    case JsonReader::Type::kList:
      read_polygons(reader);
      present_ = !ends_.empty();
      break;
    case JsonReader::Type::kObject:
      read_runs(reader);
      break;
    default:
      reader.expected("a list of polygons, or an object with size and counts");
  }
  if (!present_ && !may_be_empty) {
    reader.expected("at least one polygon");
  }
}

void Segmentation::read_polygons(JsonReader& reader) {
  reader.begin_list();
  while (reader.item()) {
    const std::size_t begin = corners_.size();
    reader.begin_list();
    while (reader.item()) {
      corners_.push_back(reader.number());
    }
    ends_.push_back(corners_.size());
    const std::size_t numbers = corners_.size() - begin;
    // pycocotools refuses two corners only in the first polygon: it takes them for a box.
    if (numbers % 2 != 0 || numbers < (ends_.size() == 1 ? 6 : 4)) {
      reader.fail("a polygon of " + std::to_string(numbers) +
                  " numbers; expected x and y of at least three corners");
    }
  }
}

void Segmentation::read_runs(JsonReader& reader) {
  std::optional<std::array<std::uint32_t, 2>> size;
  bool listed = false, written = false;
  reader.begin_object();
  for (std::string_view key; reader.key(key);) {
    if (key == "size") {
      size = read_size(reader);
    } else if (key == "counts" && reader.next() == JsonReader::Type::kText) {
      text_ = reader.text();
      written = true;
    } else if (key == "counts") {
      counts_.clear();
      listed = true;
      for (reader.begin_list(); reader.item();) {
        counts_.push_back(small_number(reader, "a run length"));
      }
    } else {
      reader.skip();
    }
  }
  if (!size || (!listed && !written)) {
    reader.fail(size ? "no counts" : "no size");
  }
  try {
    rle_ = written ? rle_from_text(text_, (*size)[0], (*size)[1])
                   : rle_from_counts(counts_, (*size)[0], (*size)[1]);
  } catch (const std::invalid_argument& error) {
    reader.fail(error.what());
  }
}

std::span<const double> Segmentation::polygon(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::span(corners_).subspan(begin, ends_[i] - begin);
}

Rle Segmentation::mask(std::uint32_t height, std::uint32_t width) const {
  const bool known = height > 0 && width > 0;
  if (rle_) {
    if (known && (rle_->height != height || rle_->width != width)) {
      throw std::invalid_argument("a mask of " + by(rle_->height, rle_->width) +
                                  " (height x width) for a picture of " + by(height, width));
    }
    return *rle_;
  }
  if (!known) {
    throw std::invalid_argument("polygons, but the truth does not say the picture's size");
  }
  std::vector<Rle> parts;
  for (std::size_t i = 0; i < ends_.size(); ++i) {
    parts.push_back(rle_from_polygon(polygon(i), height, width));
  }
  return rle_merge(parts);
}

std::optional<std::array<double, 4>> read_box(JsonReader& reader) {
  constexpr const char* kExpected = "four numbers x, y, width, height";
  if (reader.null()) {
    return std::nullopt;
  }
  if (reader.next() != JsonReader::Type::kList) {
    reader.expected(kExpected);
  }
  std::array<double, 4> box{};
  std::size_t n = 0;
  for (reader.begin_list(); reader.item(); ++n) {
    if (n == box.size() || reader.next() != JsonReader::Type::kNumber) {
      reader.expected(kExpected);
    }
    box[n] = reader.number();
  }
  if (n != 0 && n != box.size()) {
    reader.expected(kExpected);
  }
  return n == 0 ? std::nullopt : std::optional(box);
}

}  // namespace batchscope::train
