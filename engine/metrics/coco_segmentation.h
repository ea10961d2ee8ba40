#pragma once

#include "engine/data/json_reader.h"
#include "engine/metrics/rle.h"

#include <optional>

namespace batchscope::train {

/// The value of "segmentation": polygons, or run lengths (compressed or not).
class Segmentation {
 public:
  /// Reads the value that comes next in place of the present one; null leaves none, and so does an
  /// empty list if `may_be_empty` (files of boxes write it). Throws
  /// contract::DataError through the reader.
  void read(JsonReader& reader, bool may_be_empty = false);
  void clear();
  bool present() const { return present_; }
  /// Whether the mask depends on the size of the picture.
  bool polygons() const { return present_ && !rle_; }
  /// The mask. height and width: of the picture; 0 x 0: unknown. Throws std::invalid_argument:
  /// polygons without a size, polygons of too few corners, run lengths of another size.
  Rle mask(std::uint32_t height, std::uint32_t width) const;

 private:
  void read_polygons(JsonReader& reader);
  void read_runs(JsonReader& reader);
  std::span<const double> polygon(std::size_t i) const;

  bool present_ = false;
  std::optional<Rle> rle_;
  std::vector<double> corners_;    // of all polygons
  std::vector<std::size_t> ends_;  // of each polygon in corners_
  std::vector<std::uint32_t> counts_;
  std::string text_;
};

/// Four finite numbers x, y, width, height; nothing for null and, as pycocotools has it, [].
std::optional<std::array<double, 4>> read_box(JsonReader& reader);

}  // namespace batchscope::train
