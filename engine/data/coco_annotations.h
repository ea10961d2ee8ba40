#pragma once

#include "engine/data/coco_lists.h"
#include "engine/metrics/coco_segmentation.h"

#include <cstdint>
#include <string>
#include <vector>

namespace batchscope::train {

struct CocoPicture {
  std::int64_t id = 0;
  std::string file_name;
  std::int64_t width = 0, height = 0;  // 0: the file does not say
};
struct CocoObject {
  std::int64_t image_id = 0, category_id = 0;
  double x = 0, y = 0, w = 0, h = 0;  // px
  double area = 0;                    // w·h where the file does not say
  bool crowd = false;
  bool id_zero = false;
};

/// The parts of a COCO instance file that detection needs, each list in the order of the file.
struct CocoAnnotations {
  std::vector<CocoPicture> pictures;
  std::vector<CocoObject> objects;
  std::vector<CocoCategory> categories;
  std::vector<Segmentation> segmentations;  // of the objects, if asked; some may not be present
  std::uint64_t hash = 0;                   // FNV-1a of the file's bytes
};

/// Reads a COCO instance file value by value, never as a whole; with `segmentations` the polygons
/// and run lengths, too. Throws contract::DataError with the path, the entry and the line and
/// column: no such file, not JSON, a list or a needed value missing (images: id, file_name;
/// annotations: image_id, category_id, bbox; categories: id, name), a value of another type. Keys
/// that are not needed are skipped.
CocoAnnotations read_coco_annotations(const std::string& path, bool segmentations = false);

}  // namespace batchscope::train
